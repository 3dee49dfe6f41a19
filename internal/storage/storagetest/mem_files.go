package storagetest

import (
	"bytes"
	"context"
	"errors"

	"github.com/thalweg-io/thalweg/internal/storage"
)

// A memWriter keeps the bytes until Close puts them under the name.
type memWriter struct {
	ctx  context.Context
	m    *Mem
	name string
	path string
	buf  bytes.Buffer
	done bool
	err  error
}

func (w *memWriter) Write(p []byte) (int, error) {
	if w.done {
		return 0, &storage.Error{Op: "write", Path: w.name, Kind: storage.ErrClosed}
	}
	if _, err := w.m.begin(w.ctx, "write", w.name); err != nil {
		return 0, err
	}
	w.m.disk.mu.Unlock()
	return w.buf.Write(p)
}

func (w *memWriter) Close() error {
	if w.done {
		return w.err
	}
	w.done = true
	if _, w.err = w.m.begin(w.ctx, "close", w.name); w.err != nil {
		return w.err
	}
	d := w.m.disk
	defer d.mu.Unlock()
	switch parent := d.nodes[storage.Dir(w.path)]; {
	case parent == nil || !parent.dir:
		w.err = &storage.Error{Op: "close", Path: w.name, Kind: storage.ErrNotExist, Err: errors.New("the directory is gone")}
	case d.nodes[w.path] != nil:
		w.err = &storage.Error{Op: "close", Path: w.name, Kind: storage.ErrExist}
	default:
		d.nodes[w.path] = &memNode{data: w.buf.Bytes(), at: d.now()}
		d.fresh[w.path] = true
	}
	return w.err
}

func (w *memWriter) Abort() error {
	if !w.done {
		w.done = true
		w.err = &storage.Error{Op: "close", Path: w.name, Kind: storage.ErrClosed, Err: errors.New("the file was aborted")}
	}
	return nil
}

type memReader struct {
	ctx    context.Context
	m      *Mem
	name   string
	r      *bytes.Reader
	closed bool
}

func (r *memReader) Size() int64 { return r.r.Size() }

func (r *memReader) alive() error {
	if r.closed {
		return &storage.Error{Op: "read", Path: r.name, Kind: storage.ErrClosed}
	}
	_, err := r.m.begin(r.ctx, "read", r.name)
	if err == nil {
		r.m.disk.mu.Unlock()
	}
	return err
}

func (r *memReader) Read(p []byte) (int, error) {
	if err := r.alive(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

func (r *memReader) ReadAt(p []byte, off int64) (int, error) {
	if err := r.alive(); err != nil {
		return 0, err
	}
	return r.r.ReadAt(p, off)
}

func (r *memReader) Seek(off int64, whence int) (int64, error) { return r.r.Seek(off, whence) }

func (r *memReader) Close() error {
	r.closed = true
	return nil
}
