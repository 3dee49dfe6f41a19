package files

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/internal/storage"
)

type sink struct {
	dir    string
	suffix string
	spool  int64
}

// Writer implements flow.Sink.
func (s *sink) Writer(t flow.Task) (flow.Writer[[]byte], error) {
	fs, err := t.FileSystem(s.dir)
	if err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	return &writer{sink: s, task: t, fs: fs}, nil
}

// writer is the sink of one subtask. Its interval is the task's; what finish, Commit and Recover use is not changed, or is atomic.
type writer struct {
	*sink
	task     flow.Task
	fs       storage.FileSystem
	interval *spool // of the records since the last barrier; nil: none
	number   int64  // of intervals that had records, in this generation
	spooled  atomic.Int64
	consumed atomic.Int64 // committed files that others had already taken away
	litter   []string     // files whose writing failed, for finish and Discard alone: the server may have kept them
	sealed   sync.Map     // *spool: not yet written
}

// transaction is a file that is durable under its pending name. The form in checkpoints is JSON.
type transaction struct {
	Pending string `json:"pending"` // both are names in Dir
	Final   string `json:"final"`
	Dir     string `json:"dir"`
}

// Write implements flow.Writer.
func (w *writer) Write(records [][]byte) error {
	if w.interval == nil {
		w.interval = &spool{dir: w.task.TempDir()}
	}
	before := w.interval.size
	for _, r := range records {
		if err := w.interval.write(r); err != nil {
			return fmt.Errorf("files: spool for %s: %w", w.dir, err)
		}
	}
	if held := w.spooled.Add(w.interval.size - before); held > w.spool {
		return fmt.Errorf("files: the spool for %s is full: %d bytes wait for storage, and %d are allowed; files.Spool raises that, "+
			"and shorter checkpoint intervals need less", w.dir, held, w.spool)
	}
	return nil
}

// Prepare implements flow.Transactional. A file never spans a barrier, and an interval without records makes none.
func (w *writer) Prepare() (func(context.Context) ([]byte, error), error) {
	if w.interval == nil {
		return nil, nil
	}
	s, number := w.interval, w.number
	w.interval = nil
	w.number++
	w.sealed.Store(s, nil)
	return func(ctx context.Context) ([]byte, error) { return w.finish(ctx, s, number) }, nil
}

// finish writes a spool as one file under a name that has never been used.
func (w *writer) finish(ctx context.Context, s *spool, number int64) ([]byte, error) {
	id := uniqueID()
	t := transaction{Dir: w.dir, Pending: w.pendingPrefix() + w.task.Generation().String() + "-" + id,
		Final: fmt.Sprintf("part-%05d-%s-%06d-%s%s", w.task.Subtask(), sortable(w.task.Generation()), number, id, w.suffix)}
	name := storage.Join(w.dir, t.Pending)
	if err := w.store(ctx, name, s); err != nil {
		w.litter = append(w.litter, name)
		return nil, fmt.Errorf("files: write %d bytes: %w", s.size, err)
	}
	w.spooled.Add(-s.size)
	s.close()
	w.sealed.Delete(s)
	_ = w.sweep(ctx) // it is tried again
	return json.Marshal(t)
}

func (w *writer) store(ctx context.Context, name string, s *spool) error {
	f, err := w.fs.Create(ctx, name)
	if err != nil {
		return err
	}
	defer f.Abort()
	content, err := s.content()
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, content); err != nil {
		return err
	}
	return f.Close()
}

// sweep removes what failed attempts may have left. It is tried now and then; what it cannot remove, Recover of the next generation does.
func (w *writer) sweep(ctx context.Context) (last error) {
	var left []string
	for _, name := range w.litter {
		if err := w.fs.Remove(ctx, name); err != nil && !errors.Is(err, storage.ErrNotExist) {
			left, last = append(left, name), err
		}
	}
	w.litter = left
	return last
}

// Commit implements flow.Transactional: a rename, which may have been done before.
func (w *writer) Commit(ctx context.Context, encoded []byte) error {
	t, err := decodeTransaction(encoded)
	if err != nil {
		return flow.Permanent(err)
	}
	pending, final := storage.Join(t.Dir, t.Pending), storage.Join(t.Dir, t.Final)
	err = w.fs.Rename(ctx, pending, final)
	if err == nil || !errors.Is(err, storage.ErrNotExist) && !errors.Is(err, storage.ErrExist) {
		return w.judge(err)
	}
	// The names are used once, so whatever is there is ours.
	_, missing := w.fs.Stat(ctx, pending)
	if missing == nil {
		return flow.Permanent(fmt.Errorf("files: commit %s: %w, but the pending file is there: somebody has copied it; remove one of the two", final, err))
	}
	if !errors.Is(missing, storage.ErrNotExist) {
		return w.judge(missing)
	}
	_, missing = w.fs.Stat(ctx, final)
	if errors.Is(missing, storage.ErrNotExist) {
		// It was committed before, and somebody has taken it away since: that is what output is for.
		w.consumed.Add(1)
		w.task.Logger().Info("a committed file has been consumed already", "file", final)
		return nil
	}
	return w.judge(missing)
}

// judge: what trying again cannot help fails the task.
func (w *writer) judge(err error) error {
	if errors.Is(err, storage.ErrPermission) || errors.Is(err, storage.ErrInvalidName) {
		return flow.Permanent(fmt.Errorf("files: %w", err))
	}
	return err
}

// Recover implements flow.Transactional. It makes the directory, so that one that cannot be written is found before the first record.
func (w *writer) Recover(ctx context.Context, named [][]byte) error {
	keep := make(map[string]bool)
	for _, encoded := range named {
		t, err := decodeTransaction(encoded)
		if err != nil {
			return flow.Permanent(err)
		}
		keep[t.Pending] = true
	}
	if err := w.fs.MkdirAll(ctx, w.dir); err != nil {
		if !storage.Retriable(err) {
			return flow.Permanent(fmt.Errorf("files: the output %s cannot be made: %w", w.dir, err))
		}
		return err
	}
	list, err := w.fs.List(ctx, w.dir)
	if err != nil {
		return w.judge(err)
	}
	for _, f := range list {
		g, ours := w.generationOf(f.Name)
		if !ours || keep[f.Name] || !g.Less(w.task.Generation()) {
			continue
		}
		if err := w.fs.Remove(ctx, storage.Join(w.dir, f.Name)); err != nil && !errors.Is(err, storage.ErrNotExist) {
			return w.judge(err)
		}
	}
	return nil
}

// Discard implements flow.Discarder: it removes pending files, and what failed attempts have left.
func (w *writer) Discard(ctx context.Context, transactions [][]byte) error {
	for _, encoded := range transactions {
		t, err := decodeTransaction(encoded)
		if err != nil {
			return err
		}
		w.litter = append(w.litter, storage.Join(t.Dir, t.Pending))
	}
	if err := w.sweep(ctx); err != nil {
		return fmt.Errorf("files: remove %d pending files: %w", len(w.litter), err)
	}
	return nil
}

// Close implements flow.Writer. Other pending files stay: a checkpoint may name them.
func (w *writer) Close() error {
	w.sealed.Range(func(s, _ any) bool {
		s.(*spool).close()
		return true
	})
	if w.interval != nil {
		w.interval.close()
	}
	return nil
}

// pendingPrefix begins the names of this subtask's pending files, in all generations: ".pending-<job>-<operator>-<subtask>-".
func (w *writer) pendingPrefix() string {
	return fmt.Sprintf(".pending-%s-%s-%d-", w.task.JobID(), plain(w.task.Operator()), w.task.Subtask())
}

// generationOf reads "<epoch>.<n>-<id>" behind the prefix.
func (w *writer) generationOf(name string) (g flow.Generation, ours bool) {
	rest, ours := strings.CutPrefix(name, w.pendingPrefix())
	if !ours {
		return g, false
	}
	generation, _, ok := strings.Cut(rest, "-")
	epoch, n, ok2 := strings.Cut(generation, ".")
	var err, err2 error
	g.Epoch, err = strconv.ParseUint(epoch, 10, 64)
	g.N, err2 = strconv.ParseUint(n, 10, 64)
	return g, ok && ok2 && err == nil && err2 == nil
}

// plain turns an operator's uid into a part of a file name, unambiguously: what is no letter or digit becomes _ and its code.
func plain(uid string) string {
	var b strings.Builder
	for _, c := range []byte(uid) {
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '.' {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "_%02x", c)
	}
	return b.String()
}

// sortable orders generations as names order.
func sortable(g flow.Generation) string { return fmt.Sprintf("%04d.%04d", g.Epoch, g.N) }

func uniqueID() string {
	var id [8]byte
	rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

func decodeTransaction(b []byte) (t transaction, err error) {
	if err := json.Unmarshal(b, &t); err != nil {
		return t, fmt.Errorf("files: decode a transaction: %w", err)
	}
	for _, name := range []string{t.Pending, t.Final} {
		if name == "" || strings.Contains(name, "/") || t.Dir == "" {
			return t, fmt.Errorf("files: decode a transaction: %.200q is none", b)
		}
	}
	return t, nil
}
