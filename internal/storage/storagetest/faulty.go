package storagetest

import (
	"context"
	"strings"
	"sync"

	"github.com/thalweg-io/thalweg/internal/storage"
)

// Op names a call of a FileSystem, Writer or Reader for a Rule.
type Op string

// The calls that can be made to fail.
const (
	OpCreate    Op = "create"
	OpWrite     Op = "write"
	OpClose     Op = "close" // of a Writer
	OpAbort     Op = "abort"
	OpOpen      Op = "open"
	OpRead      Op = "read" // Read and ReadAt
	OpStat      Op = "stat"
	OpList      Op = "list"
	OpRename    Op = "rename" // matched by its source
	OpRemove    Op = "remove"
	OpRemoveAll Op = "remove all"
	OpMkdir     Op = "mkdir"
)

// A Rule makes calls fail. The first rule that matches a call decides.
type Rule struct {
	Op   Op     // "" matches every call
	Name string // matches names that contain it; "" matches all
	Nth  int    // only the n-th matching call, from 1; 0: every one

	// Err is what the call reports, wrapped in a *storage.Error; nil means storage.ErrUnavailable.
	Err error

	// After makes the call first and reports Err all the same: the server's answer was lost.
	After bool

	// Torn lets a write through up to this many bytes before it fails; the rest of the file fails too.
	Torn int

	// Stall blocks the call until its context ends (it then reports the context's error), or until Release (it then goes on as if there
	// were no rule).
	Stall bool
}

// FaultyFS is a FileSystem that follows rules. It is safe for concurrent use.
type FaultyFS struct {
	fs storage.FileSystem

	mu struct {
		sync.Mutex
		rules    []*armed
		calls    map[Op]int
		released chan struct{}
		stalled  chan struct{} // a token for each call that began to stall
	}
}

type armed struct {
	Rule
	seen int
}

// Faulty wraps fs. Without rules it is fs.
func Faulty(fs storage.FileSystem, rules ...Rule) *FaultyFS {
	f := &FaultyFS{fs: fs}
	f.mu.calls = make(map[Op]int)
	f.mu.released = make(chan struct{})
	f.mu.stalled = make(chan struct{}, 1024)
	f.Add(rules...)
	return f
}

var _ storage.FileSystem = (*FaultyFS)(nil)

// Add appends rules.
func (f *FaultyFS) Add(rules ...Rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range rules {
		f.mu.rules = append(f.mu.rules, &armed{Rule: r})
	}
}

// Clear drops all rules; stalled calls stay stalled.
func (f *FaultyFS) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.rules = nil
}

// Release lets go on what is stalled now.
func (f *FaultyFS) Release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.mu.released)
	f.mu.released = make(chan struct{})
}

// Stalled yields one token for each call that began to stall, so that a test waits for it without sleeping.
func (f *FaultyFS) Stalled() <-chan struct{} { return f.mu.stalled }

// Calls counts the calls of one kind so far.
func (f *FaultyFS) Calls(op Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.calls[op]
}

// match counts a call and finds its rule.
func (f *FaultyFS) match(op Op, name string) (rule *Rule, released <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.calls[op]++
	for _, r := range f.mu.rules {
		if r.Op != "" && r.Op != op || !strings.Contains(name, r.Name) {
			continue
		}
		r.seen++
		if rule == nil && (r.Nth == 0 || r.Nth == r.seen) {
			rule = &r.Rule
		}
	}
	return rule, f.mu.released
}

// apply runs one call under the rules. The result of a call that After reports as failed is undone by drop.
func apply[T any](ctx context.Context, f *FaultyFS, op Op, name string, call func() (T, error), drop func(T)) (T, error) {
	rule, released := f.match(op, name)
	return obey(ctx, f, rule, released, op, name, call, drop)
}

func obey[T any](ctx context.Context, f *FaultyFS, rule *Rule, released <-chan struct{}, op Op, name string, call func() (T, error), drop func(T)) (T, error) {
	var none T
	if rule == nil {
		return call()
	}
	if rule.Stall {
		f.mu.stalled <- struct{}{}
		select {
		case <-ctx.Done():
			return none, &storage.Error{Op: string(op), Path: name, Kind: ctx.Err()}
		case <-released:
			return call()
		}
	}
	if rule.After {
		v, err := call()
		if err != nil {
			return none, err
		}
		drop(v)
	}
	return none, rule.failure(op, name)
}

func (r *Rule) failure(op Op, name string) error {
	kind := r.Err
	if kind == nil {
		kind = storage.ErrUnavailable
	}
	return &storage.Error{Op: string(op), Path: name, Kind: kind}
}

func apply0(ctx context.Context, f *FaultyFS, op Op, name string, call func() error) error {
	_, err := apply(ctx, f, op, name, func() (struct{}, error) { return struct{}{}, call() }, func(struct{}) {})
	return err
}

func ignore[T any](T) {}

// Create implements storage.FileSystem.
func (f *FaultyFS) Create(ctx context.Context, name string) (storage.Writer, error) {
	w, err := apply(ctx, f, OpCreate, name, func() (storage.Writer, error) { return f.fs.Create(ctx, name) }, func(w storage.Writer) { w.Abort() })
	if err != nil {
		return nil, err
	}
	return &faultyWriter{ctx: ctx, f: f, name: name, w: w}, nil
}

// Open implements storage.FileSystem.
func (f *FaultyFS) Open(ctx context.Context, name string) (storage.Reader, error) {
	r, err := apply(ctx, f, OpOpen, name, func() (storage.Reader, error) { return f.fs.Open(ctx, name) }, func(r storage.Reader) { r.Close() })
	if err != nil {
		return nil, err
	}
	return &faultyReader{Reader: r, ctx: ctx, f: f, name: name}, nil
}

// Stat implements storage.FileSystem.
func (f *FaultyFS) Stat(ctx context.Context, name string) (storage.Info, error) {
	return apply(ctx, f, OpStat, name, func() (storage.Info, error) { return f.fs.Stat(ctx, name) }, ignore)
}

// List implements storage.FileSystem.
func (f *FaultyFS) List(ctx context.Context, dir string) ([]storage.Info, error) {
	return apply(ctx, f, OpList, dir, func() ([]storage.Info, error) { return f.fs.List(ctx, dir) }, ignore)
}

// Rename implements storage.FileSystem.
func (f *FaultyFS) Rename(ctx context.Context, from, to string) error {
	return apply0(ctx, f, OpRename, from, func() error { return f.fs.Rename(ctx, from, to) })
}

// Remove implements storage.FileSystem.
func (f *FaultyFS) Remove(ctx context.Context, name string) error {
	return apply0(ctx, f, OpRemove, name, func() error { return f.fs.Remove(ctx, name) })
}

// RemoveAll implements storage.FileSystem.
func (f *FaultyFS) RemoveAll(ctx context.Context, name string) error {
	return apply0(ctx, f, OpRemoveAll, name, func() error { return f.fs.RemoveAll(ctx, name) })
}

// MkdirAll implements storage.FileSystem.
func (f *FaultyFS) MkdirAll(ctx context.Context, dir string) error {
	return apply0(ctx, f, OpMkdir, dir, func() error { return f.fs.MkdirAll(ctx, dir) })
}

// Close implements storage.FileSystem.
func (f *FaultyFS) Close() error { return f.fs.Close() }

// A faultyWriter keeps the contract when a rule makes it fail: a file with a failed write never becomes visible.
type faultyWriter struct {
	ctx    context.Context
	f      *FaultyFS
	name   string
	w      storage.Writer
	failed error // of the first failed Write
	closed bool
	result error // of Close
}

func (w *faultyWriter) Write(p []byte) (int, error) {
	if w.failed != nil {
		return 0, w.failed
	}
	rule, released := w.f.match(OpWrite, w.name)
	if rule != nil && rule.Torn > 0 {
		n, _ := w.w.Write(p[:min(rule.Torn, len(p))])
		w.failed = rule.failure(OpWrite, w.name)
		return n, w.failed
	}
	n, err := obey(w.ctx, w.f, rule, released, OpWrite, w.name, func() (int, error) { return w.w.Write(p) }, ignore)
	w.failed = err
	return n, err
}

func (w *faultyWriter) Close() error {
	if w.closed {
		return w.result
	}
	w.closed = true
	if w.failed != nil {
		w.w.Abort()
		w.result = w.failed
		return w.result
	}
	w.result = apply0(w.ctx, w.f, OpClose, w.name, w.w.Close)
	if w.result != nil {
		w.w.Abort() // after a Close that was made it does nothing
	}
	return w.result
}

func (w *faultyWriter) Abort() error {
	return apply0(w.ctx, w.f, OpAbort, w.name, w.w.Abort)
}

type faultyReader struct {
	storage.Reader
	ctx  context.Context
	f    *FaultyFS
	name string
}

func (r *faultyReader) Read(p []byte) (int, error) {
	return apply(r.ctx, r.f, OpRead, r.name, func() (int, error) { return r.Reader.Read(p) }, ignore)
}

func (r *faultyReader) ReadAt(p []byte, off int64) (int, error) {
	return apply(r.ctx, r.f, OpRead, r.name, func() (int, error) { return r.Reader.ReadAt(p, off) }, ignore)
}
