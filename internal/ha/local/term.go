package local

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/thalweg-io/thalweg/internal/ha"
)

// term implements ha.Term. Its file work is one at a time, under the same lock as the release: so once release has returned,
// nothing of this term is written any more.
type term struct {
	*Services
	me     ha.Contender
	epoch  epochFile
	store  files
	ctx    context.Context
	cancel context.CancelCauseFunc

	io struct {
		sync.Mutex
		lock    *lock // nil once released
		unclear bool  // a step's outcome is open: recover first
	}
}

func newTerm(s *Services, me ha.Contender, e epochFile, l *lock) *term {
	t := &term{Services: s, me: me, epoch: e, store: files{s.path("store")}}
	t.ctx, t.cancel = context.WithCancelCause(context.Background())
	t.io.lock = l
	return t
}

func (t *term) Context() context.Context   { return t.ctx }
func (t *term) Epoch() ha.Epoch            { return t.epoch.Epoch }
func (t *term) ClusterIncarnation() string { return t.epoch.Cluster }

// Resign implements ha.Term; Lead's goroutine frees the lock.
func (t *term) Resign() { t.cancel(ha.ErrResigned) }

// release frees the lock, after withdrawing what was published.
func (t *term) release() {
	t.io.Lock()
	defer t.io.Unlock()
	if t.io.lock == nil {
		return
	}
	if t.current() == nil {
		if err := os.Remove(t.path("leader")); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.log.Warn("cannot withdraw the published leader; it counts no more all the same", "error", err)
		}
	}
	t.io.lock.unlock()
	t.io.lock = nil
}

// current checks the fence: the lock is held on the file that others see, and the newest grant is this one.
func (t *term) current() error {
	if t.io.lock == nil {
		return errors.New("the lock was released")
	}
	if !t.io.lock.current() {
		return fmt.Errorf("%s was removed or replaced", t.io.lock.path)
	}
	e, err := t.readEpoch()
	if err != nil {
		return err
	}
	if e != t.epoch {
		return fmt.Errorf("%s names epoch %d of %s", t.path("epoch"), e.Epoch, e.Incarnation)
	}
	return nil
}

// enter begins file work: it fails if the term is over or fenced. The caller unlocks io if it succeeds.
func (t *term) enter(ctx context.Context) error {
	t.io.Lock()
	err := t.enterLocked(ctx)
	if err != nil {
		t.io.Unlock()
	}
	return err
}

func (t *term) enterLocked(ctx context.Context) error {
	if t.ctx.Err() != nil {
		return fmt.Errorf("local: epoch %d is over: %w", t.epoch.Epoch, context.Cause(t.ctx))
	}
	if ctx.Err() != nil {
		return fmt.Errorf("local: %w: %w", ha.ErrUnavailable, context.Cause(ctx))
	}
	if err := t.current(); err != nil {
		err = fmt.Errorf("%w (epoch %d): %w", ha.ErrFenced, t.epoch.Epoch, err)
		t.log.Warn("refused by the fence", "epoch", t.epoch.Epoch, "error", err)
		t.cancel(err)
		return err
	}
	if t.io.unclear {
		if err := t.recover(); err != nil {
			return fmt.Errorf("local: %w: %w", ha.ErrUnavailable, err)
		}
		t.io.unclear = false
	}
	return nil
}

// watch ends the term if it is fenced.
func (t *term) watch() {
	if t.enter(context.Background()) == nil {
		t.io.Unlock()
	}
}

// Publish implements ha.Term.
func (t *term) Publish(ctx context.Context) error {
	info, err := json.Marshal(ha.LeaderInfo{
		Epoch: t.epoch.Epoch, Incarnation: t.me.Incarnation, RPCAddress: t.me.RPCAddress, RESTAddress: t.me.RESTAddress,
		ClusterIncarnation: t.epoch.Cluster,
	})
	if err != nil {
		return err
	}
	if err := t.enter(ctx); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	defer t.io.Unlock()
	if err := replaceFile(t.path("leader"), info); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return nil
}

// Get implements ha.Store.
func (t *term) Get(ctx context.Context, path string) (ha.Value, error) {
	if err := ha.CheckPath(path); err != nil {
		return ha.Value{}, fmt.Errorf("get: %w", err)
	}
	if err := t.enter(ctx); err != nil {
		return ha.Value{}, fmt.Errorf("get %s: %w", path, err)
	}
	defer t.io.Unlock()
	v, err := t.store.read(path)
	if err != nil {
		return ha.Value{}, fmt.Errorf("get %s: %w", path, err)
	}
	return v, nil
}

// List implements ha.Store.
func (t *term) List(ctx context.Context, dir string) ([]string, error) {
	if err := ha.CheckPath(dir); err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	if err := t.enter(ctx); err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	defer t.io.Unlock()
	names, err := t.store.list(dir)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	return names, nil
}

// Apply implements ha.Store.
func (t *term) Apply(ctx context.Context, ops ...ha.Op) error {
	if err := ha.CheckOps(ops); err != nil {
		return err
	}
	if err := t.enter(ctx); err != nil {
		return err
	}
	defer t.io.Unlock()
	p := planner{store: t.store, values: map[string]*ha.Value{}}
	for _, op := range ops {
		if err := p.add(op); err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
	}
	switch err := t.commit(p.changes); {
	case errors.Is(err, errUndecided):
		return fmt.Errorf("local: %w: %w", ha.ErrUnavailable, err)
	case err != nil:
		t.io.unclear = true
		return fmt.Errorf("local: %w: %w", ha.ErrUnknown, err)
	}
	return nil
}

// Settle implements ha.Store. A disk that fails in the middle of a step is the only unknown outcome here; one more look decides,
// and if the disk still fails, the caller hears that it is unknown.
func (t *term) Settle(ctx context.Context, ops ...ha.Op) error {
	err := t.Apply(ctx, ops...)
	if !errors.Is(err, ha.ErrUnknown) {
		return err
	}
	if err := t.enter(ctx); err != nil { // finishes a step that was decided
		return fmt.Errorf("settle: %w: %w", ha.ErrUnknown, err)
	}
	done := true
	for _, op := range ops {
		v, err := t.store.read(op.Path)
		if err != nil && !errors.Is(err, ha.ErrNotFound) {
			t.io.Unlock()
			return fmt.Errorf("settle: %w: %w", ha.ErrUnknown, err)
		}
		missing := err != nil
		done = done && (op.Kind == ha.OpDelete) == missing && (missing || bytes.Equal(v.Data, op.Data))
	}
	t.io.Unlock()
	if done {
		return nil
	}
	return t.Apply(ctx, ops...)
}

// DeleteTree implements ha.Store.
func (t *term) DeleteTree(ctx context.Context, dir string) error {
	if err := ha.CheckPath(dir); err != nil {
		return fmt.Errorf("delete tree: %w", err)
	}
	names, err := t.List(ctx, dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := t.DeleteTree(ctx, dir+"/"+name); err != nil {
			return err
		}
	}
	if err := t.enter(ctx); err != nil {
		return fmt.Errorf("delete tree %s: %w", dir, err)
	}
	defer t.io.Unlock()
	if err := t.store.remove(dir); err != nil {
		return fmt.Errorf("delete tree %s: %w", dir, err)
	}
	return nil
}

// planner turns operations into changes, each checked against the store as the ones before leave it.
type planner struct {
	store   files
	values  map[string]*ha.Value // looked up or planned; nil: missing
	changes []change
}

func (p *planner) get(path string) (*ha.Value, error) {
	if v, ok := p.values[path]; ok {
		return v, nil
	}
	v, err := p.store.read(path)
	switch {
	case errors.Is(err, ha.ErrNotFound):
		p.values[path] = nil
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ha.ErrUnavailable, err)
	default:
		p.values[path] = &v
	}
	return p.values[path], nil
}

func (p *planner) set(path string, version int64, data []byte) {
	p.values[path] = &ha.Value{Version: version, Data: data}
	p.changes = append(p.changes, change{Path: path, Version: version, Data: data})
}

func (p *planner) add(op ha.Op) error {
	have, err := p.get(op.Path)
	if err != nil {
		return err
	}
	switch {
	case op.Kind == ha.OpDelete && have != nil:
		return p.remove(op.Path)
	case op.Kind == ha.OpCreate && have != nil:
		return fmt.Errorf("%w: it exists", ha.ErrConflict)
	case op.Kind == ha.OpPut && have != nil && op.Version != ha.AnyVersion && op.Version != have.Version:
		return fmt.Errorf("%w: it has version %d", ha.ErrConflict, have.Version)
	case op.Kind == ha.OpPut && have != nil:
		p.set(op.Path, have.Version+1, op.Data)
		return nil
	case op.Kind == ha.OpDelete || op.Kind == ha.OpPut && op.Version != ha.AnyVersion:
		return fmt.Errorf("%w: it is missing", ha.ErrConflict)
	}
	for i := range op.Path {
		if op.Path[i] != '/' {
			continue
		}
		dir, err := p.get(op.Path[:i])
		if err != nil {
			return err
		}
		if dir == nil {
			p.set(op.Path[:i], 0, nil)
		}
	}
	p.set(op.Path, 0, op.Data)
	return nil
}

func (p *planner) remove(path string) error {
	names, err := p.store.list(path)
	if err != nil {
		return fmt.Errorf("%w: %w", ha.ErrUnavailable, err)
	}
	for _, name := range names {
		if child, err := p.get(path + "/" + name); child != nil || err != nil {
			return fmt.Errorf("%w: it has children", ha.ErrConflict)
		}
	}
	for planned, v := range p.values {
		if v != nil && strings.HasPrefix(planned, path+"/") {
			return fmt.Errorf("%w: it has children", ha.ErrConflict)
		}
	}
	p.values[path] = nil
	p.changes = append(p.changes, change{Path: path, Remove: true})
	return nil
}
