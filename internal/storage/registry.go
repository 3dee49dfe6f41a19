package storage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// An Opener connects to the file system of one authority ("" when a name has none). It should fail soon when the configuration cannot be right
// and need not wait for a server: the first call will.
type Opener func(ctx context.Context, authority string) (FileSystem, error)

// A Registry finds the file system that a name belongs to. It opens each one (scheme and authority) once, at first use, and keeps it until
// Close. It is safe for concurrent use.
type Registry struct {
	openers map[string]Opener // by scheme; not changed after NewRegistry

	mu struct {
		sync.Mutex
		open   map[string]FileSystem // by "scheme://authority"
		closed bool
	}
}

// DefaultScheme is that of a name that says none.
const DefaultScheme = "file"

// NewRegistry makes a Registry of the given schemes.
func NewRegistry(openers map[string]Opener) *Registry {
	r := &Registry{openers: maps.Clone(openers)}
	r.mu.open = make(map[string]FileSystem)
	return r
}

// Resolve returns the file system of a name. The file system stays the Registry's: the caller does not close it. The name is used with it as
// it is. Concurrent first uses of one authority wait for each other.
func (r *Registry) Resolve(ctx context.Context, name string) (FileSystem, error) {
	scheme, authority, p := Split(name)
	if scheme == "" {
		scheme = DefaultScheme
	}
	if p == "" {
		return nil, &Error{Op: "resolve", Path: name, Kind: ErrInvalidName, Err: errors.New("the path is empty")}
	}
	open, ok := r.openers[scheme]
	if !ok {
		return nil, &Error{Op: "resolve", Path: name, Kind: ErrInvalidName,
			Err: fmt.Errorf("unknown scheme %q; known are %s", scheme, strings.Join(slices.Sorted(maps.Keys(r.openers)), ", "))}
	}
	key := scheme + "://" + authority

	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.closed {
		return nil, &Error{Op: "resolve", Path: name, Kind: ErrClosed}
	}
	if fs, ok := r.mu.open[key]; ok {
		return fs, nil
	}
	fs, err := open(ctx, authority)
	if err != nil {
		return nil, &Error{Op: "open file system of", Path: name, Err: err}
	}
	r.mu.open[key] = fs
	return fs, nil
}

// Close closes every file system that was opened. Later calls of Resolve fail.
func (r *Registry) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.closed = true
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(r.mu.open)) {
		if err := r.mu.open[key].Close(); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", key, err))
		}
	}
	clear(r.mu.open)
	return errors.Join(errs...)
}
