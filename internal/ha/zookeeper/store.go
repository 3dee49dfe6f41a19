package zookeeper

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/thalweg-io/thalweg/internal/ha"
)

// Get implements ha.Store.
func (t *term) Get(ctx context.Context, path string) (ha.Value, error) {
	if err := ha.CheckPath(path); err != nil {
		return ha.Value{}, fmt.Errorf("get: %w", err)
	}
	r, err := t.read(ctx, Request{Kind: Get, Path: t.paths.key(path)})
	switch {
	case errors.Is(err, ErrNoNode):
		return ha.Value{}, fmt.Errorf("get %s: %w", path, ha.ErrNotFound)
	case err != nil:
		return ha.Value{}, fmt.Errorf("get %s: %w", path, err)
	}
	return ha.Value{Data: r.Data, Version: int64(r.Stat.Version)}, nil
}

// List implements ha.Store.
func (t *term) List(ctx context.Context, dir string) ([]string, error) {
	if err := ha.CheckPath(dir); err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	r, err := t.read(ctx, Request{Kind: Children, Path: t.paths.key(dir)})
	switch {
	case errors.Is(err, ErrNoNode):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	slices.Sort(r.Children)
	return r.Children, nil
}

// expanded is a fenced multi without its fence: the caller's operations and the directories that they need.
type expanded struct {
	requests []Request
	from     []int // per request the caller's op, or -1 for a directory
	guessed  []bool
	dirs     []string // that exist once this has succeeded
}

// expand turns ops into requests. It looks up what is missing, so a concurrent change of this same term may make it wrong: then
// the multi is refused as a whole and expand runs again.
func (t *term) expand(ctx context.Context, ops []ha.Op) (expanded, error) {
	var x expanded
	added := map[string]bool{}
	add := func(r Request, from int, guessed bool) {
		x.requests, x.from, x.guessed = append(x.requests, r), append(x.from, from), append(x.guessed, guessed)
	}
	directories := func(path string) error {
		for _, dir := range ancestors(path) {
			if len(dir) <= len(t.paths.base) || added[dir] || t.isKnown(dir) {
				continue
			}
			added[dir] = true
			x.dirs = append(x.dirs, dir)
			r, err := t.read(ctx, Request{Kind: Exists, Path: dir})
			if err != nil {
				return err
			}
			if !r.Exists {
				add(Request{Kind: Create, Path: dir}, -1, true)
			}
		}
		return nil
	}
	for i, op := range ops {
		path := t.paths.key(op.Path)
		switch op.Kind {
		case ha.OpDelete:
			add(Request{Kind: Delete, Path: path, Version: -1}, i, false)
			continue
		case ha.OpPut:
			if op.Version != ha.AnyVersion {
				add(Request{Kind: Set, Path: path, Data: op.Data, Version: int32(op.Version)}, i, false)
				continue
			}
			exists := added[path] // by an earlier op of this same step
			if !exists {
				r, err := t.read(ctx, Request{Kind: Exists, Path: path})
				if err != nil {
					return x, err
				}
				exists = r.Exists
			}
			if exists {
				add(Request{Kind: Set, Path: path, Data: op.Data, Version: -1}, i, true)
				continue
			}
		}
		if err := directories(path); err != nil {
			return x, err
		}
		added[path] = true
		add(Request{Kind: Create, Path: path, Data: op.Data}, i, op.Kind == ha.OpPut)
	}
	return x, nil
}

// Apply implements ha.Store.
func (t *term) Apply(ctx context.Context, ops ...ha.Op) error {
	if err := ha.CheckOps(ops); err != nil {
		return err
	}
	for try := 0; ; try++ {
		x, err := t.expand(ctx, ops)
		if over := t.over(); over != nil {
			return over
		}
		if err != nil { // ctx has ended
			return fmt.Errorf("apply %s: %w: %w", describe(ops), ha.ErrUnavailable, err)
		}
		err = t.multi(ctx, x.requests...)
		var refused *refusal
		if err == nil {
			t.learn(x.dirs)
			return nil
		}
		if !errors.As(err, &refused) {
			return fmt.Errorf("apply %s: %w", describe(ops), err)
		}
		t.forget()
		i := refused.op
		// What expand looked up may have changed meanwhile: a directory or a node that came or went.
		if try < 8 && (x.guessed[i] || x.requests[i].Kind == Create && errors.Is(err, ErrNoNode)) {
			continue
		}
		if x.from[i] < 0 {
			return fmt.Errorf("apply %s: directory %s: %w: %w", describe(ops), x.requests[i].Path, ha.ErrConflict, err)
		}
		return fmt.Errorf("%s: %w: %w", ops[x.from[i]], ha.ErrConflict, err)
	}
}

// describe names a step for errors.
func describe(ops []ha.Op) string {
	switch len(ops) {
	case 0:
		return "nothing"
	case 1:
		return ops[0].String()
	}
	return fmt.Sprintf("%s and %d more", ops[0], len(ops)-1)
}

// Settle implements ha.Store.
func (t *term) Settle(ctx context.Context, ops ...ha.Op) error {
	for {
		err := t.Apply(ctx, ops...)
		switch {
		case errors.Is(err, ha.ErrUnknown):
			t.log.Info("outcome unknown, reading back", "epoch", t.grant.Epoch, "ops", describe(ops))
			done, err := t.happened(ctx, ops)
			if err != nil {
				return fmt.Errorf("settle %s: %w: %w", describe(ops), ha.ErrUnknown, err)
			}
			if done {
				return nil
			}
			// Seen behind the barrier: it did not happen and never will.
		case errors.Is(err, ha.ErrUnavailable):
			if err := t.pause(ctx, retryDelay); err != nil {
				return fmt.Errorf("settle %s: %w", describe(ops), err)
			}
		default:
			return err
		}
	}
}

// happened reports whether the state is what ops make of it. Asked behind a barrier, after one of them whose answer was lost,
// it is the outcome: this term is the only one that writes, and one path has one writer at a time.
func (t *term) happened(ctx context.Context, ops []ha.Op) (bool, error) {
	if err := t.barrier(ctx); err != nil {
		return false, err
	}
	last := map[string]int{}
	for i, op := range ops {
		last[op.Path] = i
	}
	for i, op := range ops {
		if last[op.Path] != i {
			continue // a later op of the same step decides what is there
		}
		r, err := t.read(ctx, Request{Kind: Get, Path: t.paths.key(op.Path)})
		missing := errors.Is(err, ErrNoNode)
		switch {
		case err != nil && !missing:
			return false, err
		case op.Kind == ha.OpDelete:
			if !missing {
				return false, nil
			}
		case missing || !bytes.Equal(r.Data, op.Data):
			return false, nil
		case op.Kind == ha.OpPut && op.Version != ha.AnyVersion && int64(r.Stat.Version) <= op.Version:
			return false, nil
		}
	}
	return true, nil
}

// treeBatch is how many nodes one step of DeleteTree removes.
const treeBatch = 100

// DeleteTree implements ha.Store.
func (t *term) DeleteTree(ctx context.Context, dir string) error {
	if err := ha.CheckPath(dir); err != nil {
		return fmt.Errorf("delete tree: %w", err)
	}
	t.forget()
	for {
		paths, err := t.tree(ctx, t.paths.key(dir), nil)
		if err != nil {
			return fmt.Errorf("delete tree %s: %w", dir, err)
		}
		if len(paths) == 0 {
			return nil
		}
		for batch := range slices.Chunk(paths, treeBatch) {
			if err := t.deleteAll(ctx, batch); err != nil {
				return fmt.Errorf("delete tree %s: %w", dir, err)
			}
		}
		t.forget()
	}
}

// tree lists dir and everything below it, children first.
func (t *term) tree(ctx context.Context, dir string, all []string) ([]string, error) {
	r, err := t.read(ctx, Request{Kind: Children, Path: dir})
	if errors.Is(err, ErrNoNode) {
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	slices.Sort(r.Children)
	for _, child := range r.Children {
		if all, err = t.tree(ctx, dir+"/"+child, all); err != nil {
			return nil, err
		}
	}
	return append(all, dir), nil
}

// deleteAll removes nodes in one fenced step. It returns nil where listing again shows what is left: a step that was refused
// because the tree has changed, or whose outcome a barrier has decided.
func (t *term) deleteAll(ctx context.Context, paths []string) error {
	var ops []Request
	for _, path := range paths {
		ops = append(ops, Request{Kind: Delete, Path: path, Version: -1})
	}
	err := t.multi(ctx, ops...)
	var refused *refusal
	switch {
	case errors.Is(err, ha.ErrUnknown):
		return t.barrier(ctx)
	case errors.As(err, &refused) && (errors.Is(err, ErrNoNode) || errors.Is(err, ErrNotEmpty)),
		errors.Is(err, ha.ErrUnavailable):
		return t.pause(ctx, retryDelay)
	}
	return err
}

func (t *term) isKnown(dir string) bool {
	t.known.Lock()
	defer t.known.Unlock()
	return t.known.dirs[dir]
}

func (t *term) learn(dirs []string) {
	t.known.Lock()
	defer t.known.Unlock()
	for _, dir := range dirs {
		t.known.dirs[dir] = true
	}
}

// forget is for when directories may have gone.
func (t *term) forget() {
	t.known.Lock()
	defer t.known.Unlock()
	clear(t.known.dirs)
}
