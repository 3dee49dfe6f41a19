package storagetest

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/internal/storage"
)

// grace is what a call may take beyond its context's end.
const grace = 2 * time.Second

func testDenied(t *testing.T, g Target) {
	fs, dir := g.Denied(t)
	ctx, name, old := ctxFor(t), storage.Join(dir, "new"), storage.Join(dir, "readable")
	wantErr(t, "create", writeAll(t, fs, name, "x"), storage.ErrPermission, name)
	wantErr(t, "mkdir", fs.MkdirAll(ctx, name), storage.ErrPermission, name)
	wantErr(t, "remove", fs.Remove(ctx, old), storage.ErrPermission, old)
	wantErr(t, "remove all", fs.RemoveAll(ctx, old), storage.ErrPermission, old)
	wantErr(t, "rename", fs.Rename(ctx, old, name), storage.ErrPermission, old)
	_, err := fs.Stat(ctx, old)
	mustNil(t, "stat", err)
	get(t, fs, old)

	err = storage.Probe(ctx, fs, dir)
	if !errors.Is(err, storage.ErrPermission) {
		t.Fatalf("probe: %v, want ErrPermission", err)
	}
	for _, part := range []string{dir, "cannot write a file", "user \"", "chown"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("probe's error %q does not say %q", err, part)
		}
	}
}

// A connection that is cut costs a retry when the server is back, and ErrUnavailable when it is not.
func testConnectionLost(t *testing.T, g Target) {
	name := storage.Join(g.Dir, "a")
	put(t, g.FS, name, "x")
	g.Server.Cut()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := g.FS.Stat(ctx, name); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stat without a server until its context ended: %v", err)
	}
	began := time.Now()
	_, err := g.FS.Stat(ctxFor(t), name)
	wantErr(t, "stat without a server", err, storage.ErrUnavailable, name)
	if took := time.Since(began); took < 6*time.Second || took > patience/2 {
		t.Errorf("a call gave up after %v; a NameNode that restarts needs 6 s", took)
	}
	perr := storage.Probe(t.Context(), g.FS, g.Dir)
	if !errors.Is(perr, storage.ErrUnavailable) || !strings.Contains(perr.Error(), "running") {
		t.Errorf("probe without a server: %v", perr)
	}

	done := make(chan error, 1)
	go func() { _, err := g.FS.Stat(t.Context(), name); done <- err }()
	time.AfterFunc(time.Second, g.Server.Resume) // the call is retrying meanwhile; whether it is does not matter to the outcome
	mustNil(t, "stat over a restart", <-done)
	g.Server.Cut()
	g.Server.Resume()
	if got := get(t, g.FS, name); got != "x" { // idle connections are broken: nobody may notice
		t.Errorf("read %q", got)
	}
	put(t, g.FS, storage.Join(g.Dir, "b"), "y")
}

func testConnectionLostInWrite(t *testing.T, g Target) {
	name := storage.Join(g.Dir, "a")
	w, err := g.FS.Create(ctxFor(t), name)
	mustNil(t, "create", err)
	_, err = w.Write(make([]byte, 200_000))
	mustNil(t, "write", err)
	g.Server.Cut()
	err = fill(w, 10<<20)
	wantErr(t, "write and close without a server", err, storage.ErrUnavailable, name)
	began := time.Now()
	w.Abort()
	if took := time.Since(began); took > patience/2 {
		t.Errorf("abort took %v", took)
	}
	g.Server.Resume()
	wantMissing(t, g.FS, name)
	mustNil(t, "the same name again", storage.WriteFile(ctxFor(t), g.FS, name, []byte("x")))
}

// fill writes n bytes and closes; it returns the first error.
func fill(w storage.Writer, n int) error {
	chunk := make([]byte, 64<<10)
	for ; n > 0; n -= len(chunk) {
		if _, err := w.Write(chunk); err != nil {
			return err
		}
	}
	return w.Close()
}

// A server that accepts and never answers must not hold a call beyond its context, nor any call for ever.
func testStalled(t *testing.T, g Target) {
	put(t, g.FS, storage.Join(g.Dir, "a"), "x")
	g.Server.Stall()
	for _, what := range []string{"idle connections", "new connections"} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		began := time.Now()
		for call, err := range everyCall(ctx, g.FS, g.Dir) {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s, %s: %v, want the deadline", what, call, err)
			}
			if took := time.Since(began); took > 300*time.Millisecond+grace {
				t.Errorf("%s, %s: %v with a deadline of 300 ms", what, call, took)
			}
			cancel()
			ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
			began = time.Now()
		}
		cancel()
	}
	began := time.Now()
	_, err := g.FS.Stat(t.Context(), g.Dir) // no deadline
	wantErr(t, "stat without a deadline", err, storage.ErrUnavailable, g.Dir)
	if took := time.Since(began); took > patience {
		t.Errorf("a call without a deadline took %v", took)
	}
	g.Server.Resume()
	names(t, g.FS, g.Dir)
	put(t, g.FS, storage.Join(g.Dir, "c"), "y")
}

func testStalledInWrite(t *testing.T, g Target) {
	name := storage.Join(g.Dir, "a")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	w, err := g.FS.Create(ctx, name)
	mustNil(t, "create", err)
	_, err = w.Write(make([]byte, 200_000))
	mustNil(t, "write", err)
	g.Server.Stall()
	began := time.Now()
	err = fill(w, 20<<20)
	wantErr(t, "write and close", err, context.DeadlineExceeded, name)
	if took := time.Since(began); took > 2*time.Second+grace {
		t.Errorf("write and close took %v, the deadline was 2 s", took)
	}
	began = time.Now()
	w.Abort()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("abort took %v", took)
	}
	g.Server.Resume()
	wantMissing(t, g.FS, name)
}

func testStalledInRead(t *testing.T, g Target) {
	name := storage.Join(g.Dir, "a")
	w, err := g.FS.Create(ctxFor(t), name)
	mustNil(t, "create", err)
	mustNil(t, "fill", fill(w, 20<<20)) // more than the sockets' buffers hold
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	r, err := g.FS.Open(ctx, name)
	mustNil(t, "open", err)
	defer r.Close()
	_, err = io.ReadFull(r, make([]byte, 1000))
	mustNil(t, "read", err)
	g.Server.Stall()
	began := time.Now()
	_, err = io.Copy(io.Discard, r)
	wantErr(t, "read", err, context.DeadlineExceeded, name)
	if took := time.Since(began); took > 2*time.Second+grace {
		t.Errorf("read took %v, the deadline was 2 s", took)
	}
	g.Server.Resume()
}
