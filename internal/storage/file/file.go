// Package file is the storage.FileSystem of the local disk (scheme "file", and names without a scheme).
//
// It owns durability: a file is synced, then moved to its name, then its directory is synced, before Close returns nil. It never overwrites:
// moves are done by the kernel under "no replace". It holds no connection and no goroutine. A context is looked at before each operation; a
// system call that hangs (a dead network file system) cannot be interrupted.
package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/thalweg-io/thalweg/internal/storage"
)

// FS is the local file system. The zero value is ready for use.
type FS struct {
	closed atomic.Bool
}

// Open is the storage.Opener of the scheme "file". A URI names no host, or localhost.
func Open(_ context.Context, authority string) (storage.FileSystem, error) {
	if authority != "" && authority != "localhost" {
		return nil, fmt.Errorf("file URIs name no host, got %q: write file:///path", authority)
	}
	return &FS{}, nil
}

var _ storage.FileSystem = (*FS)(nil)

// begin checks what is the same for all operations and turns a name into a path of the operating system.
func (f *FS) begin(ctx context.Context, op, name string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", &storage.Error{Op: op, Path: name, Kind: err}
	}
	if f.closed.Load() {
		return "", &storage.Error{Op: op, Path: name, Kind: storage.ErrClosed}
	}
	scheme, authority, p := storage.Split(name)
	switch {
	case scheme != "" && scheme != "file" || authority != "" && authority != "localhost":
		return "", &storage.Error{Op: op, Path: name, Kind: storage.ErrInvalidName, Err: errors.New("not a name of the local file system")}
	case p == "" || strings.IndexByte(p, 0) >= 0:
		return "", &storage.Error{Op: op, Path: name, Kind: storage.ErrInvalidName, Err: errors.New("empty, or with a zero byte")}
	}
	return filepath.FromSlash(p), nil
}

// fail makes the seam's error of one of the operating system.
func fail(op, name string, err error) error {
	var kind error
	switch {
	case errors.Is(err, syscall.ENOTEMPTY):
		kind = storage.ErrNotEmpty
	case errors.Is(err, syscall.ENOTDIR):
		kind = storage.ErrNotDirectory
	case errors.Is(err, syscall.EISDIR):
		kind = storage.ErrIsDirectory
	case errors.Is(err, storage.ErrNotExist):
		kind = storage.ErrNotExist
	case errors.Is(err, storage.ErrExist):
		kind = storage.ErrExist
	case errors.Is(err, storage.ErrPermission), errors.Is(err, syscall.EROFS):
		kind = storage.ErrPermission
	case errors.Is(err, storage.ErrClosed):
		kind = storage.ErrClosed
	case errors.Is(err, syscall.ENAMETOOLONG):
		kind = storage.ErrInvalidName
	}
	return &storage.Error{Op: op, Path: name, Kind: kind, Err: bare(err)}
}

// bare takes off the operation and path that package os adds: the seam's error says both, in the caller's words.
func bare(err error) error {
	var pe *os.PathError
	var le *os.LinkError
	switch {
	case errors.As(err, &pe):
		return pe.Err
	case errors.As(err, &le):
		return le.Err
	}
	return err
}

// Open implements storage.FileSystem.
func (f *FS) Open(ctx context.Context, name string) (storage.Reader, error) {
	p, err := f.begin(ctx, "open", name)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(p)
	if err != nil {
		return nil, fail("open", name, err)
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = syscall.EISDIR
	}
	if err != nil {
		file.Close()
		return nil, fail("open", name, err)
	}
	return &reader{ctx: ctx, fs: f, name: name, file: file, size: info.Size()}, nil
}

// Stat implements storage.FileSystem.
func (f *FS) Stat(ctx context.Context, name string) (storage.Info, error) {
	p, err := f.begin(ctx, "stat", name)
	if err != nil {
		return storage.Info{}, err
	}
	info, err := os.Stat(p)
	if err != nil {
		return storage.Info{}, fail("stat", name, err)
	}
	return storage.InfoOf(name, info), nil
}

// List implements storage.FileSystem. An entry that is deleted meanwhile is left out.
func (f *FS) List(ctx context.Context, dir string) ([]storage.Info, error) {
	p, err := f.begin(ctx, "list", dir)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(p) // sorted by name
	if err != nil {
		return nil, fail("list", dir, err)
	}
	infos := make([]storage.Info, 0, len(entries))
	for _, e := range entries {
		if storage.Unfinished(e.Name()) {
			continue
		}
		info, err := os.Stat(filepath.Join(p, e.Name()))
		switch {
		case errors.Is(err, storage.ErrNotExist):
		case err != nil:
			return nil, fail("list", storage.Join(dir, e.Name()), err)
		default:
			infos = append(infos, storage.InfoOf(storage.Join(dir, e.Name()), info))
		}
	}
	return slices.Clip(infos), nil
}

// Rename implements storage.FileSystem. The directories of both names are synced before it returns.
func (f *FS) Rename(ctx context.Context, from, to string) error {
	pf, err := f.begin(ctx, "rename", from)
	if err != nil {
		return err
	}
	pt, err := f.begin(ctx, "rename", to)
	if err != nil {
		return err
	}
	if err := renameNoReplace(pf, pt); err != nil {
		return fail("rename", from+" to "+to, err)
	}
	err = syncDir(filepath.Dir(pt))
	if err == nil && filepath.Dir(pf) != filepath.Dir(pt) {
		err = syncDir(filepath.Dir(pf))
	}
	if err != nil {
		return fail("rename", from+" to "+to, err)
	}
	return nil
}

// Remove implements storage.FileSystem.
func (f *FS) Remove(ctx context.Context, name string) error {
	p, err := f.begin(ctx, "remove", name)
	if err != nil {
		return err
	}
	if err := os.Remove(p); err != nil {
		return fail("remove", name, err)
	}
	return nil
}

// RemoveAll implements storage.FileSystem.
func (f *FS) RemoveAll(ctx context.Context, name string) error {
	p, err := f.begin(ctx, "remove all of", name)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(p); err != nil && !errors.Is(err, syscall.ENOTDIR) { // nothing can be below a file
		return fail("remove all of", name, err)
	}
	return nil
}

// MkdirAll implements storage.FileSystem. What it made is synced up to the first directory that existed.
func (f *FS) MkdirAll(ctx context.Context, dir string) error {
	p, err := f.begin(ctx, "mkdir", dir)
	if err != nil {
		return err
	}
	if err := mkdirAll(p); err != nil {
		return fail("mkdir", dir, err)
	}
	return nil
}

func mkdirAll(p string) error {
	info, err := os.Stat(p)
	switch {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return syscall.ENOTDIR
	case !errors.Is(err, storage.ErrNotExist):
		return err
	}
	parent := filepath.Dir(p)
	if parent == p {
		return err
	}
	if err := mkdirAll(parent); err != nil {
		return err
	}
	if err := os.Mkdir(p, 0o755); err != nil {
		if info, serr := os.Stat(p); serr != nil || !info.IsDir() { // somebody else made it meanwhile: fine
			return err
		}
	}
	return syncDir(parent)
}

// syncDir makes the entries of a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) { // some file systems cannot sync directories
		return err
	}
	return nil
}

// Close implements storage.FileSystem.
func (f *FS) Close() error {
	f.closed.Store(true)
	return nil
}

// A reader is an open file. The kernel keeps the file while it is open, also when its name is gone.
type reader struct {
	ctx  context.Context
	fs   *FS
	name string
	file *os.File
	size int64
}

func (r *reader) Size() int64 { return r.size }

func (r *reader) Read(p []byte) (int, error) {
	if err := r.alive(); err != nil {
		return 0, err
	}
	n, err := r.file.Read(p)
	return n, r.result(err)
}

func (r *reader) ReadAt(p []byte, off int64) (int, error) {
	if err := r.alive(); err != nil {
		return 0, err
	}
	n, err := r.file.ReadAt(p, off)
	return n, r.result(err)
}

func (r *reader) Seek(off int64, whence int) (int64, error) {
	n, err := r.file.Seek(off, whence)
	return n, r.result(err)
}

func (r *reader) Close() error { return r.result(r.file.Close()) }

func (r *reader) alive() error {
	if err := r.ctx.Err(); err != nil {
		return &storage.Error{Op: "read", Path: r.name, Kind: err}
	}
	if r.fs.closed.Load() {
		return &storage.Error{Op: "read", Path: r.name, Kind: storage.ErrClosed}
	}
	return nil
}

func (r *reader) result(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return fail("read", r.name, err)
}
