package storagetest

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/thalweg-io/thalweg/internal/storage"
)

func testWriteRead(t *testing.T, g Target) {
	name := storage.Join(g.Dir, "a")
	put(t, g.FS, name, "hello")
	if got := get(t, g.FS, name); got != "hello" {
		t.Errorf("read %q", got)
	}
	info, err := g.FS.Stat(ctxFor(t), name)
	mustNil(t, "stat", err)
	if info.Size != 5 || info.Dir || info.Name != "a" || info.Path != name || info.ModTime.IsZero() {
		t.Errorf("Stat is %+v", info)
	}

	// A file written in pieces of odd sizes is their concatenation.
	w, err := g.FS.Create(ctxFor(t), storage.Join(g.Dir, "pieces"))
	mustNil(t, "create", err)
	defer w.Abort()
	var want strings.Builder
	buf := make([]byte, 0, 70_000)
	for i := range 40 {
		buf = append(buf[:0], strings.Repeat(string(rune('a'+i%26)), i*1733)...)
		want.Write(buf)
		_, err := w.Write(buf)
		mustNil(t, "write", err)
		clear(buf) // a Writer does not keep what it was given
	}
	mustNil(t, "close", w.Close())
	if got := get(t, g.FS, storage.Join(g.Dir, "pieces")); got != want.String() {
		t.Errorf("pieces: read %d bytes that differ from the %d written", len(got), want.Len())
	}
}

// Before Close nobody sees the name, and whoever polls it meanwhile sees all or nothing.
func testAtomicVisibility(t *testing.T, g Target) {
	name := storage.Join(g.Dir, "a")
	content := strings.Repeat("0123456789abcdef", 20_000) // several packets
	w, err := g.FS.Create(ctxFor(t), name)
	mustNil(t, "create", err)
	defer w.Abort()
	unseen := func(when string) {
		t.Helper()
		wantMissing(t, g.FS, name)
		_, err := g.FS.Open(ctxFor(t), name)
		wantErr(t, "open "+when, err, storage.ErrNotExist, name)
		if ns := names(t, g.FS, g.Dir); len(ns) != 0 {
			t.Errorf("%s the directory lists %q", when, ns)
		}
	}
	unseen("after create")
	_, err = io.WriteString(w, content[:len(content)/2])
	mustNil(t, "write", err)
	unseen("after half")

	done := make(chan struct{})
	polled := make(chan error, 1)
	go func() { polled <- pollWhole(t, g.FS, name, content, done) }()
	_, err = io.WriteString(w, content[len(content)/2:])
	mustNil(t, "write", err)
	mustNil(t, "close", w.Close())
	close(done)
	mustNil(t, "reader beside the writer", <-polled)
	if ns := names(t, g.FS, g.Dir); len(ns) != 1 || ns[0] != "a" {
		t.Errorf("after close the directory lists %q", ns)
	}
}

// pollWhole reads name until done is closed, once more after that, and fails on anything but "missing" and the whole content.
func pollWhole(t *testing.T, fs storage.FileSystem, name, content string, done <-chan struct{}) error {
	for last := false; ; {
		got, err := storage.ReadFile(t.Context(), fs, name, 1<<30)
		switch {
		case errors.Is(err, storage.ErrNotExist) && !last:
		case err != nil:
			return err
		case string(got) != content:
			return fmt.Errorf("a reader saw %d of %d bytes", len(got), len(content))
		}
		if last {
			return nil
		}
		select {
		case <-done:
			last = true
		default:
		}
	}
}

func testWriteOnce(t *testing.T, g Target) {
	name := storage.Join(g.Dir, "a")
	put(t, g.FS, name, "first")
	wantErr(t, "second create", writeAll(t, g.FS, name, "second"), storage.ErrExist, name)
	if got := get(t, g.FS, name); got != "first" {
		t.Errorf("the file was overwritten with %q", got)
	}

	// The other file may come into being while this one is written.
	late := storage.Join(g.Dir, "late")
	w, err := g.FS.Create(ctxFor(t), late)
	mustNil(t, "create", err)
	defer w.Abort()
	_, err = io.WriteString(w, "second")
	mustNil(t, "write", err)
	put(t, g.FS, late, "first")
	wantErr(t, "close over a file that came meanwhile", w.Close(), storage.ErrExist, late)
	if got := get(t, g.FS, late); got != "first" {
		t.Errorf("the file that came meanwhile was overwritten with %q", got)
	}

	// A directory is as much in the way as a file.
	dir := storage.Join(g.Dir, "dir")
	mustNil(t, "mkdir", g.FS.MkdirAll(ctxFor(t), dir))
	wantErr(t, "create over a directory", writeAll(t, g.FS, dir, "x"), storage.ErrExist, dir)
	if ns := names(t, g.FS, dir); len(ns) != 0 {
		t.Errorf("create over a directory put %q into it", ns)
	}
	if ns := names(t, g.FS, g.Dir); len(ns) != 3 {
		t.Errorf("left behind: %q", ns)
	}
}

func writeAll(t *testing.T, fs storage.FileSystem, name, content string) error {
	w, err := fs.Create(t.Context(), name)
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := io.WriteString(w, content); err != nil {
		return err
	}
	return w.Close()
}

func testConcurrentCreate(t *testing.T, g Target) {
	const writers = 8
	for round := range 5 {
		name := storage.Join(g.Dir, fmt.Sprint("f", round))
		errs := make([]error, writers)
		start := make(chan struct{})
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() {
				<-start
				errs[i] = writeAll(t, g.FS, name, strings.Repeat(fmt.Sprint(i), 1000+i))
			})
		}
		close(start)
		wg.Wait()
		winner := -1
		for i, err := range errs {
			switch {
			case err == nil && winner >= 0:
				t.Fatalf("writers %d and %d both made %s", winner, i, name)
			case err == nil:
				winner = i
			default:
				wantErr(t, "a writer that lost", err, storage.ErrExist, name)
			}
		}
		if winner < 0 {
			t.Fatalf("no writer won: %v", errs)
		}
		if got := get(t, g.FS, name); got != strings.Repeat(fmt.Sprint(winner), 1000+winner) {
			t.Errorf("writer %d won, the file has %.10q...", winner, got)
		}
	}
}

func testAbort(t *testing.T, g Target) {
	for _, size := range []int{0, 10, 300_000} {
		name := storage.Join(g.Dir, fmt.Sprint("f", size))
		w, err := g.FS.Create(ctxFor(t), name)
		mustNil(t, "create", err)
		_, err = w.Write(make([]byte, size))
		mustNil(t, "write", err)
		mustNil(t, "abort", w.Abort())
		mustNil(t, "second abort", w.Abort())
		if w.Close() == nil {
			t.Error("close after abort said nil")
		}
		wantMissing(t, g.FS, name)
		put(t, g.FS, name, "again") // the name is free
	}
	// Nothing else is in the directory: it can be removed once what is listed is gone.
	for _, n := range names(t, g.FS, g.Dir) {
		mustNil(t, "remove", g.FS.Remove(ctxFor(t), storage.Join(g.Dir, n)))
	}
	mustNil(t, "remove of the directory, which aborted files must have left", g.FS.Remove(ctxFor(t), g.Dir))
}

func testWriterEnd(t *testing.T, g Target) {
	name := storage.Join(g.Dir, "a")
	w, err := g.FS.Create(ctxFor(t), name)
	mustNil(t, "create", err)
	_, err = io.WriteString(w, "x")
	mustNil(t, "write", err)
	mustNil(t, "close", w.Close())
	mustNil(t, "second close", w.Close())
	mustNil(t, "abort after close", w.Abort())
	_, err = w.Write([]byte("y"))
	wantErr(t, "write after close", err, storage.ErrClosed, name)
	if got := get(t, g.FS, name); got != "x" {
		t.Errorf("the file has %q", got)
	}
}
