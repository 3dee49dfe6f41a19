package hdfs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	lib "github.com/colinmarc/hdfs/v2"

	"github.com/thalweg-io/thalweg/internal/storage"
)

// A writer is one file under its unfinished name, and the client that holds its lease. It ends by Close or Abort, once.
type writer struct {
	ctx   context.Context
	fs    *FS
	name  string // as the caller named it
	final string // path
	temp  string // path
	file  *lib.FileWriter
	c     *client // nil after the end
	size  int64
	err   error // of the first failed call; the file is lost
	done  bool
}

// Create implements storage.FileSystem.
func (f *FS) Create(ctx context.Context, name string) (storage.Writer, error) {
	p, err := f.path("create", name)
	if err != nil {
		return nil, err
	}
	w := &writer{ctx: ctx, fs: f, name: name, final: p}
	err = f.call(ctx, "create", name, func(c *client, again bool) error {
		if _, err := c.lib.Stat(p); err == nil {
			return storage.ErrExist
		} else if !errors.Is(err, storage.ErrNotExist) {
			return err
		}
		if again && w.temp != "" {
			f.garbage.add(w.temp) // the attempt whose answer was lost may have made it
		}
		f.garbage.collect(c)
		w.temp = storage.UnfinishedName(p)
		var err error
		if w.file, err = c.create(w.temp); err != nil {
			return err
		}
		c.writing.Store(true)
		c.keep()
		w.c = c
		return nil
	})
	if err != nil {
		if w.temp != "" && (storage.Retriable(err) || ctx.Err() != nil) {
			f.garbage.add(w.temp)
		}
		return nil, err
	}
	return w, nil
}

// create begins a file, and makes its directory if that is missing.
func (c *client) create(p string) (*lib.FileWriter, error) {
	replication, blockSize := c.pool.cluster.replication, c.pool.cluster.blockSize
	if replication == 0 || blockSize == 0 {
		d, err := c.lib.ServerDefaults() // asked once for each client; every write needs them anyway
		if err != nil {
			return nil, err
		}
		if replication == 0 {
			replication = d.Replication
		}
		if blockSize == 0 {
			blockSize = d.BlockSize
		}
	}
	file, err := c.lib.CreateFile(p, replication, blockSize, 0o644)
	if errors.Is(err, storage.ErrNotExist) {
		if err = c.lib.MkdirAll(storage.Dir(p), 0o755); err == nil {
			file, err = c.lib.CreateFile(p, replication, blockSize, 0o644)
		}
	}
	return file, err
}

// The library copies what it is given before it sends.
const maxWrite = 1 << 20

func (w *writer) Write(p []byte) (n int, err error) {
	switch {
	case w.err != nil:
		return 0, w.err
	case w.done:
		return 0, &storage.Error{Op: "write", Path: w.name, Kind: storage.ErrClosed}
	}
	for n < len(p) && err == nil {
		var k int
		k, err = w.file.Write(p[n:min(len(p), n+maxWrite)])
		n += k
		if err == nil {
			err = w.c.failure() // errors of a block's connection do not come out of Write
		}
	}
	w.size += int64(n)
	if err != nil {
		return n, w.fail("write", err)
	}
	return n, nil
}

// fail notes the first error and gives the file up.
func (w *writer) fail(op string, err error) error {
	if cause := w.c.failure(); cause != nil {
		err = cause
	}
	w.err = w.fs.failure(w.ctx, op, w.name, err)
	w.done = true
	w.drop()
	return w.err
}

// drop ends the library's goroutines for this file, whatever state it is in, and then the unfinished file. The file's Close must not reach a
// NameNode here: it would declare the file whole.
func (w *writer) drop() {
	w.c.kill()
	w.file.Close()
	w.fs.pool.release(w.c)
	w.c = nil
	w.removeTemp()
}

// cleanupTime bounds what is done after a failure, on a context that may have ended.
const cleanupTime = 2 * time.Second

func (w *writer) removeTemp() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), cleanupTime)
	defer cancel()
	c, err := w.fs.pool.acquire(ctx)
	if err == nil {
		err = c.lib.Remove(w.temp)
		if kindOf(err) == storage.ErrUnavailable {
			c.retire(err)
		}
		w.fs.pool.release(c)
	}
	if err != nil && !errors.Is(err, storage.ErrNotExist) {
		w.fs.garbage.add(w.temp)
	}
}

// How often Close asks whether the NameNode knows of the last block.
const (
	firstComplete = 5 * time.Millisecond
	maxComplete   = 200 * time.Millisecond
)

// Close waits until the DataNodes have all bytes and the NameNode knows it, then moves the file to its name.
func (w *writer) Close() error {
	if w.done {
		return w.err
	}
	if err := w.complete(); err != nil {
		return w.fail("close", err)
	}
	w.done = true
	w.fs.pool.release(w.c)
	w.c = nil
	w.err = w.fs.call(w.ctx, "close", w.name, func(c *client, again bool) error { return c.move(w.temp, w.final, again) })
	if w.err != nil {
		w.removeTemp()
	}
	return w.err
}

func (w *writer) complete() error {
	if err := w.c.failure(); err != nil {
		return err
	}
	giveUp := time.Now().Add(w.fs.opts.DataTimeout)
	for pause := firstComplete; ; pause = min(2*pause, maxComplete) {
		err := w.file.Close()
		if !lib.IsErrReplicating(err) {
			return err
		}
		if time.Now().After(giveUp) {
			return fmt.Errorf("the last block has too few replicas after %v: %w", w.fs.opts.DataTimeout, err)
		}
		t := time.NewTimer(pause)
		select {
		case <-w.ctx.Done():
			t.Stop()
			return w.ctx.Err()
		case <-t.C:
		}
	}
}

func (w *writer) Abort() error {
	if w.done {
		return nil
	}
	w.done = true
	w.err = &storage.Error{Op: "close", Path: w.name, Kind: storage.ErrClosed, Err: errors.New("the file was aborted")}
	w.drop()
	return nil
}

// garbage is the unfinished files that could not be removed when they were given up. They are removed with later calls.
type garbage struct {
	mu    sync.Mutex
	paths []string
}

// maxGarbage bounds what is remembered over a long outage, batch what one Create clears away.
const (
	maxGarbage   = 10_000
	garbageBatch = 8
)

func (g *garbage) add(p string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.paths) < maxGarbage {
		g.paths = append(g.paths, p)
	}
}

// collect removes some, with a client that has just had an answer.
func (g *garbage) collect(c *client) {
	g.mu.Lock()
	n := min(len(g.paths), garbageBatch)
	batch := g.paths[:n:n]
	g.paths = g.paths[n:]
	g.mu.Unlock()
	for i, p := range batch {
		if kindOf(c.lib.Remove(p)) == storage.ErrUnavailable {
			for _, p := range batch[i:] {
				g.add(p)
			}
			return
		}
	}
}
