package hdfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	lib "github.com/colinmarc/hdfs/v2"

	"github.com/thalweg-io/thalweg/internal/storage"
)

// Open implements storage.FileSystem.
func (f *FS) Open(ctx context.Context, name string) (storage.Reader, error) {
	p, err := f.path("open", name)
	if err != nil {
		return nil, err
	}
	r := &reader{ctx: ctx, fs: f, name: name, path: p, size: -1}
	err = f.call(ctx, "open", name, func(c *client, _ bool) error { return r.attach(c) })
	if err != nil {
		return nil, err
	}
	return r, nil
}

// A reader is one open file on one client. A replica that fails is replaced by the library; when no replica is left, or the client is lost,
// the file is opened again with another client for as long as calls are retried.
type reader struct {
	ctx  context.Context
	fs   *FS
	name string
	path string
	size int64

	mu     sync.Mutex // ReadAt may be called concurrently
	c      *client    // nil while there is none
	file   *lib.FileReader
	at     int64 // where file stands
	pos    int64 // offset of Read and Seek
	closed bool
}

// attach opens the file with c, which it keeps.
func (r *reader) attach(c *client) error {
	file, err := c.lib.Open(r.path)
	if err != nil {
		return err
	}
	if file.Stat().IsDir() {
		return storage.ErrIsDirectory
	}
	size := file.Stat().Size()
	if r.size >= 0 && size != r.size {
		return fmt.Errorf("%w: the file had %d bytes when it was opened and has %d now", errPermanent, r.size, size)
	}
	c.keep()
	r.c, r.file, r.size, r.at = c, file, size, 0
	return nil
}

// detach gives the client back, or up when it failed.
func (r *reader) detach(failed bool) {
	if r.c == nil {
		return
	}
	if failed {
		r.c.kill()
	}
	r.file.Close()
	r.fs.pool.release(r.c)
	r.c, r.file = nil, nil
}

func (r *reader) Size() int64 { return r.size }

func (r *reader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, err := r.readLocked(p, r.pos)
	r.pos += int64(n)
	return n, err
}

func (r *reader) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, &storage.Error{Op: "read", Path: r.name, Err: errors.New("negative offset")}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for n < len(p) && err == nil {
		var k int
		k, err = r.readLocked(p[n:], off+int64(n))
		n += k
	}
	return n, err
}

// readLocked reads some bytes at off, at least one unless it fails or p is empty.
func (r *reader) readLocked(p []byte, off int64) (n int, err error) {
	switch {
	case r.closed:
		return 0, &storage.Error{Op: "read", Path: r.name, Kind: storage.ErrClosed}
	case len(p) == 0:
		return 0, nil
	}
	err = r.fs.retry(r.ctx, "read", r.name, func(bool) error {
		if r.fs.pool.isClosed() {
			return storage.ErrClosed
		}
		if off >= r.size {
			return nil
		}
		if err := r.ensureClient(); err != nil {
			return err
		}
		n, err = r.try(p, off)
		if err != nil {
			r.detach(true)
		}
		return err
	})
	if err == nil && off >= r.size {
		err = io.EOF
	}
	return n, err
}

// ensureClient attaches a client when the last one was given up.
func (r *reader) ensureClient() error {
	if r.c != nil {
		return nil
	}
	c, err := r.fs.pool.acquire(r.ctx)
	if err != nil {
		return err
	}
	if err := r.attach(c); err != nil {
		if kindOf(err) == storage.ErrUnavailable {
			c.retire(err)
		}
		r.fs.pool.release(c)
		return err
	}
	return nil
}

// try reads at off with the present client. Going forwards a little keeps the connection; anything else makes a new one.
func (r *reader) try(p []byte, off int64) (int, error) {
	if off != r.at {
		if _, err := r.file.Seek(off, io.SeekStart); err != nil {
			return 0, err
		}
		r.at = off
	}
	n, err := r.file.Read(p)
	r.at += int64(n)
	if n > 0 {
		return n, nil // an error comes again with the next call
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF // inside the file
	}
	return 0, err
}

func (r *reader) Seek(off int64, whence int) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		off += r.pos
	case io.SeekEnd:
		off += r.size
	}
	switch {
	case r.closed:
		return 0, &storage.Error{Op: "seek", Path: r.name, Kind: storage.ErrClosed}
	case whence < io.SeekStart || whence > io.SeekEnd || off < 0:
		return 0, &storage.Error{Op: "seek", Path: r.name, Err: fmt.Errorf("invalid offset %d or whence %d", off, whence)}
	}
	r.pos = off
	return off, nil
}

func (r *reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	r.detach(false)
	return nil
}
