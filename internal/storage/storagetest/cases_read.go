package storagetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/thalweg-io/thalweg/internal/storage"
)

func testReader(t *testing.T, g Target) {
	content := make([]byte, 300_001)
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range content {
		content[i] = byte(rnd.Uint32())
	}
	name := storage.Join(g.Dir, "a")
	put(t, g.FS, name, string(content))
	r, err := g.FS.Open(ctxFor(t), name)
	mustNil(t, "open", err)
	defer r.Close()
	if r.Size() != int64(len(content)) {
		t.Fatalf("Size is %d", r.Size())
	}

	// io.Reader, Seeker and ReaderAt as their contracts say, on a short file that iotest reads many times.
	small := storage.Join(g.Dir, "small")
	put(t, g.FS, small, string(content[:1500]))
	sr, err := g.FS.Open(ctxFor(t), small)
	mustNil(t, "open", err)
	defer sr.Close()
	mustNil(t, "iotest", iotest.TestReader(sr, content[:1500]))

	// Random seeks, short and long, forwards and back.
	for range 30 {
		off, n := rnd.IntN(len(content)), rnd.IntN(2000)
		_, err := r.Seek(int64(off), io.SeekStart)
		mustNil(t, "seek", err)
		buf := make([]byte, min(n, len(content)-off))
		_, err = io.ReadFull(r, buf)
		mustNil(t, "read", err)
		if string(buf) != string(content[off:off+len(buf)]) {
			t.Fatalf("read of %d bytes at %d differs", len(buf), off)
		}
	}

	// Parallel ReadAt, which leaves the offset of Read alone.
	_, err = r.Seek(7, io.SeekStart)
	mustNil(t, "seek", err)
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		off := rnd.IntN(len(content) - 5000)
		wg.Go(func() {
			buf := make([]byte, 5000)
			if _, err := r.ReadAt(buf, int64(off)); err != nil {
				errs[i] = err
			} else if string(buf) != string(content[off:off+5000]) {
				errs[i] = fmt.Errorf("bytes at %d differ", off)
			}
		})
	}
	wg.Wait()
	mustNil(t, "parallel ReadAt", errors.Join(errs...))
	buf := make([]byte, 10)
	_, err = io.ReadFull(r, buf)
	mustNil(t, "read", err)
	if string(buf) != string(content[7:17]) {
		t.Error("ReadAt moved the offset of Read")
	}
	if n, err := r.ReadAt(buf, r.Size()-4); n != 4 || err != io.EOF {
		t.Errorf("ReadAt across the end: %d, %v", n, err)
	}
	if n, err := r.ReadAt(buf, r.Size()+4); n != 0 || err != io.EOF {
		t.Errorf("ReadAt behind the end: %d, %v", n, err)
	}
	mustNil(t, "close", r.Close())
	_, err = r.Read(buf)
	wantErr(t, "read after close", err, storage.ErrClosed, name)
}

func testEmptyFile(t *testing.T, g Target) {
	name := storage.Join(g.Dir, "empty")
	w, err := g.FS.Create(ctxFor(t), name)
	mustNil(t, "create", err)
	mustNil(t, "close with nothing written", w.Close())
	if got := get(t, g.FS, name); got != "" {
		t.Errorf("read %q", got)
	}
}

func testEndedContext(t *testing.T, g Target) {
	name := storage.Join(g.Dir, "a")
	put(t, g.FS, name, "x")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for what, err := range everyCall(ctx, g.FS, g.Dir) {
		wantErr(t, what, err, context.Canceled, g.Dir)
	}
	if got := get(t, g.FS, name); got != "x" {
		t.Errorf("a call with an ended context had an effect: %q", got)
	}
}

// everyCall makes each call of a FileSystem once; file "a" exists in dir, the others do not.
func everyCall(ctx context.Context, fs storage.FileSystem, dir string) func(yield func(string, error) bool) {
	a, b := storage.Join(dir, "a"), storage.Join(dir, "b")
	calls := []struct {
		what string
		call func() error
	}{
		{"create", func() error {
			w, err := fs.Create(ctx, b)
			if err == nil {
				err = w.Close()
			}
			return err
		}},
		{"open", func() error { _, err := storage.ReadFile(ctx, fs, a, 100); return err }},
		{"stat", func() error { _, err := fs.Stat(ctx, a); return err }},
		{"list", func() error { _, err := fs.List(ctx, dir); return err }},
		{"rename", func() error { return fs.Rename(ctx, a, b) }},
		{"remove", func() error { return fs.Remove(ctx, a) }},
		{"remove all", func() error { return fs.RemoveAll(ctx, a) }},
		{"mkdir", func() error { return fs.MkdirAll(ctx, b) }},
	}
	return func(yield func(string, error) bool) {
		for _, c := range calls {
			if !yield(c.what, c.call()) {
				return
			}
		}
	}
}

func testContextEndsWhileOpen(t *testing.T, g Target) {
	name := storage.Join(g.Dir, "a")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w, err := g.FS.Create(ctx, name)
	mustNil(t, "create", err)
	_, err = w.Write(make([]byte, 100_000))
	mustNil(t, "write", err)
	old := storage.Join(g.Dir, "old")
	put(t, g.FS, old, strings.Repeat("x", 1_000_000))
	r, err := g.FS.Open(ctx, old)
	mustNil(t, "open", err)
	_, err = io.ReadFull(r, make([]byte, 10))
	mustNil(t, "read", err)
	cancel()
	wantErr(t, "close", w.Close(), context.Canceled, name)
	_, err = io.Copy(io.Discard, r)
	wantErr(t, "read", err, context.Canceled, old)
	w.Abort()
	r.Close()
	wantMissing(t, g.FS, name)
	mustNil(t, "remove", g.FS.Remove(ctxFor(t), old))
	mustNil(t, "remove of the directory, in which nothing may be left", g.FS.Remove(ctxFor(t), g.Dir))
}

func testWholeFiles(t *testing.T, g Target) {
	ctx, name := ctxFor(t), storage.Join(g.Dir, "sub/a")
	mustNil(t, "write file", storage.WriteFile(ctx, g.FS, name, []byte("whole")))
	wantErr(t, "write file again", storage.WriteFile(ctx, g.FS, name, []byte("whole")), storage.ErrExist, name)
	b, err := storage.ReadFile(ctx, g.FS, name, 5)
	mustNil(t, "read file", err)
	if string(b) != "whole" {
		t.Errorf("read %q", b)
	}
	_, err = storage.ReadFile(ctx, g.FS, name, 4)
	wantErr(t, "read file above the limit", err, storage.ErrTooLarge, name)
}

func testProbe(t *testing.T, g Target) {
	dir := storage.Join(g.Dir, "made/by/probe")
	mustNil(t, "probe", storage.Probe(ctxFor(t), g.FS, dir))
	mustNil(t, "probe again", storage.Probe(ctxFor(t), g.FS, dir))
	mustNil(t, "remove of the probed directory, which must be empty", g.FS.Remove(ctxFor(t), dir))
	file := storage.Join(g.Dir, "file")
	put(t, g.FS, file, "x")
	err := storage.Probe(ctxFor(t), g.FS, file)
	if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "in the way") {
		t.Errorf("probe of a file: %v", err)
	}
}

func testBigFile(t *testing.T, g Target) {
	size := g.BigFile
	if size == 0 {
		size = 64 << 20
	}
	name := storage.Join(g.Dir, "big")
	chunk := make([]byte, 1<<20)
	rnd := rand.NewChaCha8([32]byte{})
	rnd.Read(chunk)

	began := time.Now()
	w, err := g.FS.Create(ctxFor(t), name)
	mustNil(t, "create", err)
	defer w.Abort()
	sum := sha256.New()
	for i := int64(0); i < size; i += int64(len(chunk)) {
		copy(chunk, fmt.Sprint("chunk ", i))
		sum.Write(chunk)
		_, err := w.Write(chunk)
		mustNil(t, "write", err)
	}
	mustNil(t, "close", w.Close())
	wrote := time.Since(began)

	began = time.Now()
	r, err := g.FS.Open(ctxFor(t), name)
	mustNil(t, "open", err)
	defer r.Close()
	got := sha256.New()
	n, err := io.CopyBuffer(got, struct{ io.Reader }{r}, chunk)
	mustNil(t, "read", err)
	if n != size || string(got.Sum(nil)) != string(sum.Sum(nil)) {
		t.Errorf("read %d of %d bytes, or others than were written", n, size)
	}
	mb := float64(size) / 1e6
	t.Logf("%d MiB: write %.0f MB/s, read %.0f MB/s (both with SHA-256)", size>>20, mb/wrote.Seconds(), mb/time.Since(began).Seconds())
}

func testManySmall(t *testing.T, g Target) {
	const files, writers = 240, 8
	content := strings.Repeat("x", 4096)
	var wg sync.WaitGroup
	errs := make([]error, writers)
	began := time.Now()
	for i := range writers {
		wg.Go(func() {
			for n := i; n < files && errs[i] == nil; n += writers {
				errs[i] = writeAll(t, g.FS, storage.Join(g.Dir, fmt.Sprintf("f%04d", n)), content)
			}
		})
	}
	wg.Wait()
	mustNil(t, "writers", errors.Join(errs...))
	t.Logf("%d files of 4 KiB by %d writers: %.2f ms each", files, writers, float64(time.Since(began).Microseconds())/files/1000)
	infos, err := g.FS.List(ctxFor(t), g.Dir)
	mustNil(t, "list", err)
	if len(infos) != files {
		t.Fatalf("%d files are listed, %d were written", len(infos), files)
	}
	for n, i := range infos {
		if i.Name != fmt.Sprintf("f%04d", n) || i.Size != 4096 {
			t.Fatalf("entry %d is %+v", n, i)
		}
	}
}

// testClosed comes last: it closes the file system.
func testClosed(t *testing.T, g Target) {
	name := storage.Join(g.Dir, "a")
	put(t, g.FS, name, "x")
	w, err := g.FS.Create(t.Context(), storage.Join(g.Dir, "open"))
	mustNil(t, "create", err)
	mustNil(t, "close of the file system", g.FS.Close())
	for what, err := range everyCall(t.Context(), g.FS, g.Dir) {
		wantErr(t, what, err, storage.ErrClosed, g.Dir)
	}
	wantErr(t, "close of a file that was open", w.Close(), storage.ErrClosed, "open")
}
