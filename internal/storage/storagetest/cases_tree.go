package storagetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/thalweg-io/thalweg/internal/storage"
)

func testMissing(t *testing.T, g Target) {
	ctx, name := ctxFor(t), storage.Join(g.Dir, "missing")
	_, err := g.FS.Open(ctx, name)
	wantErr(t, "open", err, storage.ErrNotExist, name)
	_, err = g.FS.Stat(ctx, name)
	wantErr(t, "stat", err, storage.ErrNotExist, name)
	_, err = g.FS.List(ctx, name)
	wantErr(t, "list", err, storage.ErrNotExist, name)
	wantErr(t, "remove", g.FS.Remove(ctx, name), storage.ErrNotExist, name)
	wantErr(t, "rename", g.FS.Rename(ctx, name, name+"2"), storage.ErrNotExist, name)
	mustNil(t, "remove all", g.FS.RemoveAll(ctx, name))
	mustNil(t, "remove all below what is missing", g.FS.RemoveAll(ctx, storage.Join(name, "deeper")))
	_, err = g.FS.Stat(ctx, storage.Join(name, "deeper"))
	wantErr(t, "stat below what is missing", err, storage.ErrNotExist, "deeper")
}

func testKinds(t *testing.T, g Target) {
	ctx, file, dir := ctxFor(t), storage.Join(g.Dir, "file"), storage.Join(g.Dir, "dir")
	put(t, g.FS, file, "x")
	mustNil(t, "mkdir", g.FS.MkdirAll(ctx, dir))
	_, err := g.FS.Open(ctx, dir)
	wantErr(t, "open of a directory", err, storage.ErrIsDirectory, dir)
	_, err = g.FS.List(ctx, file)
	wantErr(t, "list of a file", err, storage.ErrNotDirectory, file)
	below := storage.Join(file, "below")
	for what, err := range map[string]error{
		"create below a file": writeAll(t, g.FS, below, "x"),
		"mkdir below a file":  g.FS.MkdirAll(ctx, below),
		"mkdir over a file":   g.FS.MkdirAll(ctx, file),
	} {
		if !errors.Is(err, storage.ErrNotDirectory) && !errors.Is(err, storage.ErrExist) {
			t.Errorf("%s: %v, want ErrNotDirectory or ErrExist", what, err)
		}
	}
	if got := get(t, g.FS, file); got != "x" {
		t.Errorf("the file in the way has %q now", got)
	}
}

func testParents(t *testing.T, g Target) {
	name := storage.Join(g.Dir, "a/b/c/file")
	put(t, g.FS, name, "deep")
	if got := get(t, g.FS, name); got != "deep" {
		t.Errorf("read %q", got)
	}
	info, err := g.FS.Stat(ctxFor(t), storage.Join(g.Dir, "a/b"))
	mustNil(t, "stat", err)
	if !info.Dir || info.Size != 0 {
		t.Errorf("a/b is %+v", info)
	}
}

func testRename(t *testing.T, g Target) {
	ctx := ctxFor(t)
	from, to := storage.Join(g.Dir, "from"), storage.Join(g.Dir, "sub/to")
	put(t, g.FS, from, "moved")
	wantErr(t, "rename into a missing directory", g.FS.Rename(ctx, from, to), storage.ErrNotExist, "from")
	mustNil(t, "mkdir", g.FS.MkdirAll(ctx, storage.Join(g.Dir, "sub")))
	mustNil(t, "rename", g.FS.Rename(ctx, from, to))
	wantMissing(t, g.FS, from)
	if got := get(t, g.FS, to); got != "moved" {
		t.Errorf("read %q", got)
	}
	mustNil(t, "rename of a directory", g.FS.Rename(ctx, storage.Join(g.Dir, "sub"), storage.Join(g.Dir, "sub2")))
	if got := get(t, g.FS, storage.Join(g.Dir, "sub2/to")); got != "moved" {
		t.Errorf("read %q after the directory moved", got)
	}
	wantMissing(t, g.FS, storage.Join(g.Dir, "sub"))
}

func testRenameNoOverwrite(t *testing.T, g Target) {
	ctx := ctxFor(t)
	a, b, dir, dir2 := storage.Join(g.Dir, "a"), storage.Join(g.Dir, "b"), storage.Join(g.Dir, "dir"), storage.Join(g.Dir, "dir2")
	put(t, g.FS, a, "A")
	put(t, g.FS, b, "B")
	mustNil(t, "mkdir", g.FS.MkdirAll(ctx, dir))
	mustNil(t, "mkdir", g.FS.MkdirAll(ctx, dir2))
	wantErr(t, "file over file", g.FS.Rename(ctx, a, b), storage.ErrExist, "b")
	wantErr(t, "file over itself", g.FS.Rename(ctx, a, a), storage.ErrExist, "a")
	wantErr(t, "file over directory", g.FS.Rename(ctx, a, dir), storage.ErrExist, "dir")
	wantErr(t, "directory over file", g.FS.Rename(ctx, dir, a), storage.ErrExist, "a")
	wantErr(t, "directory over empty directory", g.FS.Rename(ctx, dir, dir2), storage.ErrExist, "dir2")
	if got := get(t, g.FS, a) + get(t, g.FS, b); got != "AB" {
		t.Errorf("the files have %q now", got)
	}
	if ns := names(t, g.FS, g.Dir); !slices.Equal(ns, []string{"a", "b", "dir", "dir2"}) {
		t.Errorf("the directory has %q now", ns)
	}
}

// Two sources for one target, and two targets for one source: exactly one rename is done.
func testConcurrentRename(t *testing.T, g Target) {
	const movers = 6
	for round := range 5 {
		dir := storage.Join(g.Dir, fmt.Sprint("r", round))
		one, target := storage.Join(dir, "one"), storage.Join(dir, "target")
		put(t, g.FS, one, "1")
		for i := range movers {
			put(t, g.FS, storage.Join(dir, fmt.Sprint("source", i)), fmt.Sprint(i))
		}
		in, out := make([]error, movers), make([]error, movers)
		start := make(chan struct{})
		var wg sync.WaitGroup
		for i := range movers {
			wg.Go(func() {
				<-start
				in[i] = g.FS.Rename(t.Context(), storage.Join(dir, fmt.Sprint("source", i)), target)
			})
			wg.Go(func() {
				<-start
				out[i] = g.FS.Rename(t.Context(), one, storage.Join(dir, fmt.Sprint("one", i)))
			})
		}
		close(start)
		wg.Wait()
		w := onlyWinner(t, "renames to one target", in, storage.ErrExist)
		if got := get(t, g.FS, target); got != fmt.Sprint(w) {
			t.Errorf("rename %d won, the target has %q", w, got)
		}
		w = onlyWinner(t, "renames of one source", out, storage.ErrNotExist)
		if got := get(t, g.FS, storage.Join(dir, fmt.Sprint("one", w))); got != "1" {
			t.Errorf("the moved file has %q", got)
		}
		if ns := names(t, g.FS, dir); len(ns) != movers-1+1+1 {
			t.Errorf("after all renames the directory has %q", ns)
		}
	}
}

func onlyWinner(t *testing.T, what string, errs []error, lost error) int {
	t.Helper()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Fatalf("%s: %d and %d both won", what, winner, i)
		case err == nil:
			winner = i
		default:
			wantErr(t, what, err, lost, "")
		}
	}
	if winner < 0 {
		t.Fatalf("%s: nobody won: %v", what, errs)
	}
	return winner
}

func testRemove(t *testing.T, g Target) {
	ctx, dir := ctxFor(t), storage.Join(g.Dir, "dir")
	put(t, g.FS, storage.Join(dir, "sub/file"), "x")
	wantErr(t, "remove of a full directory", g.FS.Remove(ctx, dir), storage.ErrNotEmpty, dir)
	mustNil(t, "remove", g.FS.Remove(ctx, storage.Join(dir, "sub/file")))
	wantMissing(t, g.FS, storage.Join(dir, "sub/file"))
	mustNil(t, "remove of an empty directory", g.FS.Remove(ctx, storage.Join(dir, "sub")))

	put(t, g.FS, storage.Join(dir, "a/b/c"), "x")
	put(t, g.FS, storage.Join(dir, "a/d"), "x")
	put(t, g.FS, storage.Join(g.Dir, "other"), "kept")
	w, err := g.FS.Create(ctx, storage.Join(dir, "a/open"))
	mustNil(t, "create", err)
	_, err = w.Write(make([]byte, 100))
	mustNil(t, "write", err)
	mustNil(t, "remove all", g.FS.RemoveAll(ctx, dir))
	wantMissing(t, g.FS, dir)
	if w.Close() == nil {
		t.Error("close of a file whose directory was removed said nil")
	}
	wantMissing(t, g.FS, storage.Join(dir, "a/open"))
	mustNil(t, "remove all of a file", g.FS.RemoveAll(ctx, storage.Join(g.Dir, "other")))
	if ns := names(t, g.FS, g.Dir); len(ns) != 0 {
		t.Errorf("left: %q", ns)
	}
}

func testMkdir(t *testing.T, g Target) {
	ctx, dir := ctxFor(t), storage.Join(g.Dir, "a/b/c")
	var wg sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		wg.Go(func() { errs[i] = g.FS.MkdirAll(ctx, dir) })
	}
	wg.Wait()
	mustNil(t, "concurrent mkdir", errors.Join(errs...))
	mustNil(t, "repeated mkdir", g.FS.MkdirAll(ctx, dir))
	if ns := names(t, g.FS, dir); len(ns) != 0 {
		t.Errorf("a new directory has %q", ns)
	}
}

func testList(t *testing.T, g Target) {
	for i, n := range []string{"b", "a", "c", "B", "10", "9"} {
		put(t, g.FS, storage.Join(g.Dir, n), string(make([]byte, i)))
	}
	put(t, g.FS, storage.Join(g.Dir, "dir/below"), "x")
	infos, err := g.FS.List(ctxFor(t), g.Dir)
	mustNil(t, "list", err)
	var got []string
	for _, i := range infos {
		got = append(got, fmt.Sprintf("%s %d %v", i.Name, i.Size, i.Dir))
		if i.Path != storage.Join(g.Dir, i.Name) {
			t.Errorf("Path is %s, asked for %s", i.Path, g.Dir)
		}
		again, err := g.FS.Stat(ctxFor(t), i.Path)
		mustNil(t, "stat of what was listed", err)
		if !reflect.DeepEqual(again, i) {
			t.Errorf("List says %+v, Stat %+v", i, again)
		}
	}
	want := []string{"10 4 false", "9 5 false", "B 3 false", "a 1 false", "b 0 false", "c 2 false", "dir 0 true"}
	if !slices.Equal(got, want) {
		t.Errorf("List is %q, want %q", got, want)
	}
}

// A path and the URI of it are the same file.
func testNameForms(t *testing.T, g Target) {
	scheme, _, path := storage.Split(g.Dir)
	if scheme == "" {
		t.Fatalf("Target.Dir %q is not a URI", g.Dir)
	}
	put(t, g.FS, storage.Join(path, "x"), "by path")
	if got := get(t, g.FS, storage.Join(g.Dir, "x")); got != "by path" {
		t.Errorf("read %q", got)
	}
	infos, err := g.FS.List(ctxFor(t), path)
	mustNil(t, "list", err)
	if len(infos) != 1 || infos[0].Path != storage.Join(path, "x") {
		t.Errorf("List of a path is %+v", infos)
	}
	for _, bad := range []string{"", "other://somewhere/x"} {
		_, err := g.FS.Stat(ctxFor(t), bad)
		wantErr(t, "a name of another file system", err, storage.ErrInvalidName, bad)
	}
}

func testOddNames(t *testing.T, g Target) {
	for _, n := range []string{"a b", "a%20b", "a?b", "a#b", "grüße-水", ".hidden", "_under", "a=b,c;d&e", "...", "it's \"quoted\"", "x.unfinished"} {
		name := storage.Join(g.Dir, n)
		put(t, g.FS, name, n)
		if got := get(t, g.FS, name); got != n {
			t.Errorf("%q: read %q", n, got)
		}
		if ns := names(t, g.FS, g.Dir); !slices.Equal(ns, []string{n}) {
			t.Errorf("%q: listed %q", n, ns)
		}
		mustNil(t, "remove", g.FS.Remove(ctxFor(t), name))
	}
}
