package local

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/thalweg-io/thalweg/internal/ha"
)

// memory is an ha.Store that lives and dies with the process: one term, nobody to fence, every outcome known.
type memory struct {
	mu struct {
		sync.Mutex
		values map[string]ha.Value
	}
}

func newMemory() *memory {
	m := &memory{}
	m.mu.values = map[string]ha.Value{}
	return m
}

// Get implements ha.Store.
func (m *memory) Get(_ context.Context, path string) (ha.Value, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.mu.values[path]
	if !ok {
		return ha.Value{}, fmt.Errorf("get %s: %w", path, ha.ErrNotFound)
	}
	v.Data = bytes.Clone(v.Data)
	return v, nil
}

// List implements ha.Store.
func (m *memory) List(_ context.Context, dir string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for path := range m.mu.values {
		if rest, ok := strings.CutPrefix(path, dir+"/"); ok {
			name, _, _ := strings.Cut(rest, "/")
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Apply implements ha.Store.
func (m *memory) Apply(_ context.Context, ops ...ha.Op) error {
	if err := ha.CheckOps(ops); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, op := range ops {
		v, ok := m.mu.values[op.Path]
		if op.Kind == ha.OpCreate && ok || op.Kind == ha.OpDelete && !ok ||
			op.Kind == ha.OpPut && op.Version != ha.AnyVersion && (!ok || v.Version != op.Version) {
			return fmt.Errorf("apply: op %d, %s: %w", i, op, ha.ErrConflict)
		}
	}
	for _, op := range ops {
		if op.Kind == ha.OpDelete {
			delete(m.mu.values, op.Path)
			continue
		}
		v, ok := m.mu.values[op.Path]
		if ok {
			v.Version++
		}
		v.Data = bytes.Clone(op.Data)
		m.mu.values[op.Path] = v
	}
	return nil
}

// Settle implements ha.Store: here no outcome is ever unknown.
func (m *memory) Settle(ctx context.Context, ops ...ha.Op) error { return m.Apply(ctx, ops...) }

// DeleteTree implements ha.Store.
func (m *memory) DeleteTree(_ context.Context, dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for path := range m.mu.values {
		if path == dir || strings.HasPrefix(path, dir+"/") {
			delete(m.mu.values, path)
		}
	}
	return nil
}
