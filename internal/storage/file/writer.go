package file

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/thalweg-io/thalweg/internal/storage"
)

// Create implements storage.FileSystem: the file is written beside its final name and moved there by Close.
func (f *FS) Create(ctx context.Context, name string) (storage.Writer, error) {
	p, err := f.begin(ctx, "create", name)
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(p); err == nil {
		return nil, &storage.Error{Op: "create", Path: name, Kind: storage.ErrExist}
	}
	w := &writer{ctx: ctx, fs: f, name: name, final: p, temp: filepath.FromSlash(storage.UnfinishedName(filepath.ToSlash(p)))}
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	w.file, err = os.OpenFile(w.temp, flags, 0o644)
	if errors.Is(err, storage.ErrNotExist) {
		if err = mkdirAll(filepath.Dir(p)); err == nil {
			w.file, err = os.OpenFile(w.temp, flags, 0o644)
		}
	}
	if err != nil {
		return nil, fail("create", name, err)
	}
	return w, nil
}

// A writer is a file under its unfinished name. Once done, the outcome in err stands.
type writer struct {
	ctx         context.Context
	fs          *FS
	name        string // as the caller named it
	final, temp string // paths
	file        *os.File
	done        bool
	err         error
}

func (w *writer) Write(p []byte) (int, error) {
	if err := w.alive("write"); err != nil {
		return 0, err
	}
	n, err := w.file.Write(p)
	if err != nil {
		return n, fail("write", w.name, err)
	}
	return n, nil
}

func (w *writer) alive(op string) error {
	switch {
	case w.done || w.fs.closed.Load():
		return &storage.Error{Op: op, Path: w.name, Kind: storage.ErrClosed}
	case w.ctx.Err() != nil:
		return &storage.Error{Op: op, Path: w.name, Kind: w.ctx.Err()}
	}
	return nil
}

// Close syncs the bytes before the move, so that the name never stands for less than the whole file, and the directory after it.
func (w *writer) Close() error {
	if w.done {
		return w.err
	}
	if err := w.alive("close"); err != nil {
		w.abort()
		w.err = err
		return err
	}
	err := w.file.Sync()
	if err == nil {
		err = renameNoReplace(w.temp, w.final)
	}
	if err != nil {
		w.abort()
		w.err = fail("close", w.name, err)
		return w.err
	}
	w.done = true
	err = w.file.Close()
	if serr := syncDir(filepath.Dir(w.final)); err == nil {
		err = serr
	}
	if err != nil { // in place, whole, and perhaps not durable: the outcome is unknown
		w.err = &storage.Error{Op: "close", Path: w.name, Kind: storage.ErrUnavailable, Err: bare(err)}
	}
	return w.err
}

func (w *writer) Abort() error {
	if w.done {
		return nil
	}
	w.err = &storage.Error{Op: "close", Path: w.name, Kind: storage.ErrClosed, Err: errors.New("the file was aborted")}
	if err := w.abort(); err != nil {
		return fail("abort", w.name, err)
	}
	return nil
}

func (w *writer) abort() error {
	w.done = true
	w.file.Close()
	if err := os.Remove(w.temp); err != nil && !errors.Is(err, storage.ErrNotExist) {
		return err
	}
	return nil
}
