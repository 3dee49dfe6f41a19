package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/internal/storage"
	"github.com/thalweg-io/thalweg/internal/storage/storagetest"
)

type transactional interface {
	flow.Writer[[]byte]
	flow.Transactional
}

func writerOf(t *testing.T, task *fakeTask, o ...SinkOption) transactional {
	t.Helper()
	s, err := To("/out", o...).Frames(".txt")
	if err != nil {
		t.Fatal(err)
	}
	w, err := s.Writer(task)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w.(transactional)
}

func put(t *testing.T, w transactional, lines ...string) {
	t.Helper()
	var records [][]byte
	for _, l := range lines {
		records = append(records, []byte(l+"\n"))
	}
	if err := w.Write(records); err != nil {
		t.Fatal(err)
	}
}

// prepare ends the transaction and makes it durable.
func prepare(t *testing.T, w transactional) []byte {
	t.Helper()
	finish, err := w.Prepare()
	if err != nil || finish == nil {
		t.Fatalf("prepare: %v, %v", finish != nil, err)
	}
	tx, err := finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

// visible is the content of the files that a reader sees, by name; hidden the names of the others.
func visible(t *testing.T, fs storage.FileSystem) (files map[string]string, hiddenNames []string) {
	t.Helper()
	list, err := fs.List(t.Context(), "/out")
	if err != nil {
		t.Fatal(err)
	}
	files = map[string]string{}
	for _, f := range list {
		if hidden(f.Name) {
			hiddenNames = append(hiddenNames, f.Name)
			continue
		}
		b, err := storage.ReadFile(t.Context(), fs, f.Path, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name] = string(b)
	}
	return files, hiddenNames
}

func expect(t *testing.T, fs storage.FileSystem, pending int, want ...string) {
	t.Helper()
	files, hiddenNames := visible(t, fs)
	if got := slices.Sorted(maps.Values(files)); !slices.Equal(got, want) {
		t.Errorf("visible are %q, want %q", got, want)
	}
	if len(hiddenNames) != pending {
		t.Errorf("pending are %q, want %d", hiddenNames, pending)
	}
}

func TestOutputIsVisibleByCommit(t *testing.T) {
	fs := storagetest.NewMem()
	w := writerOf(t, newTask(t, fs))
	if err := w.Recover(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	put(t, w, "a", "b")
	put(t, w, "c")
	expect(t, fs, 0)
	tx := prepare(t, w)
	expect(t, fs, 1)
	if finish, err := w.Prepare(); finish != nil || err != nil {
		t.Errorf("an interval without records: %v", err)
	}
	for range 2 { // the second does nothing
		if err := w.Commit(t.Context(), tx); err != nil {
			t.Fatal(err)
		}
		expect(t, fs, 0, "a\nb\nc\n")
	}
	put(t, w, "d")
	second := prepare(t, w)
	if err := w.Commit(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	expect(t, fs, 0, "a\nb\nc\n", "d\n")
	files, _ := visible(t, fs)
	if names := slices.Sorted(maps.Keys(files)); files[names[0]] != "a\nb\nc\n" || !strings.HasPrefix(names[0], "part-00000-0001.0001-000000-") {
		t.Errorf("names are %q: in the order of their writing", names)
	}
}

func TestConsumedOutputIsNoFailure(t *testing.T) {
	fs := storagetest.NewMem()
	w := writerOf(t, newTask(t, fs))
	put(t, w, "a")
	tx := prepare(t, w)
	if err := w.Commit(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	files, _ := visible(t, fs)
	for name := range files {
		if err := fs.Remove(t.Context(), "/out/"+name); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	if n := w.(*writer).consumed.Load(); n != 1 {
		t.Errorf("counted %d", n)
	}
	expect(t, fs, 0)
}

// A restore commits what its state names and discards the rest of lower generations; everything else is left alone.
func TestRecoverDiscardsWhatIsNotNamed(t *testing.T) {
	fs := storagetest.NewMem()
	first := newTask(t, fs)
	old := writerOf(t, first)
	put(t, old, "named")
	named := prepare(t, old)
	put(t, old, "unnamed")
	prepare(t, old)

	neighbour := *first
	neighbour.subtask = 1
	other := writerOf(t, &neighbour)
	put(t, other, "neighbour")
	prepare(t, other)
	ten := *first
	ten.subtask = 10
	eleventh := writerOf(t, &ten)
	put(t, eleventh, "subtask 10")
	prepare(t, eleventh)
	later := writerOf(t, first.in(2, 1))
	put(t, later, "later")
	prepare(t, later)
	write(t, fs, "/out/.pending-of-somebody-else", "x")

	now := writerOf(t, first.in(1, 2))
	if err := now.Recover(t.Context(), [][]byte{named}); err != nil {
		t.Fatal(err)
	}
	expect(t, fs, 5)
	if err := now.Commit(t.Context(), named); err != nil {
		t.Fatal(err)
	}
	expect(t, fs, 4, "named\n")

	// The zombie of the old generation has what it prepared taken away; it cannot make it visible any more.
	newest := writerOf(t, first.in(3, 1))
	if err := newest.Recover(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	expect(t, fs, 3, "named\n")
}

func TestGenerationsNeverShareAName(t *testing.T) {
	fs := storagetest.NewMem()
	first := newTask(t, fs)
	for _, g := range []flow.Generation{{Epoch: 1, N: 1}, {Epoch: 1, N: 2}, {Epoch: 2, N: 2}, {Epoch: 2, N: 2}} {
		w := writerOf(t, first.in(g.Epoch, g.N))
		put(t, w, "x")
		if err := w.Commit(t.Context(), prepare(t, w)); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, fs, 0, "x\n", "x\n", "x\n", "x\n")
}

// Storage that fails at any call costs an attempt: the same records are written again, under another name, and come once.
func TestFailedWritesAreWrittenAgain(t *testing.T) {
	for _, rule := range []storagetest.Rule{
		{Op: storagetest.OpCreate, Nth: 1},
		{Op: storagetest.OpWrite, Nth: 1},
		{Op: storagetest.OpWrite, Nth: 1, Torn: 3},
		{Op: storagetest.OpClose, Nth: 1},
		{Op: storagetest.OpClose, Nth: 1, After: true}, // it is there: the answer was lost
	} {
		t.Run(fmt.Sprintf("%s torn %d after %v", rule.Op, rule.Torn, rule.After), func(t *testing.T) {
			fs := storagetest.Faulty(storagetest.NewMem())
			w := writerOf(t, newTask(t, fs))
			if err := w.Recover(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			put(t, w, "hello", "world")
			finish, err := w.Prepare()
			if err != nil {
				t.Fatal(err)
			}
			fs.Add(rule)
			if _, err := finish(t.Context()); !errors.Is(err, storage.ErrUnavailable) {
				t.Fatalf("the first attempt: %v", err)
			}
			fs.Clear()
			put(t, w, "next") // meanwhile
			tx, err := finish(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Commit(t.Context(), tx); err != nil {
				t.Fatal(err)
			}
			expect(t, fs, 0, "hello\nworld\n")
		})
	}
}

func TestStalledStorageEndsWithTheContext(t *testing.T) {
	fs := storagetest.Faulty(storagetest.NewMem(), storagetest.Rule{Op: storagetest.OpClose, Stall: true})
	w := writerOf(t, newTask(t, fs))
	put(t, w, "a")
	finish, err := w.Prepare()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-fs.Stalled(); cancel() }()
	if _, err := finish(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// A commit whose answer is lost is repeated, and finds that it was done.
func TestCommitsAreRepeated(t *testing.T) {
	for _, after := range []bool{false, true} {
		fs := storagetest.Faulty(storagetest.NewMem())
		w := writerOf(t, newTask(t, fs))
		put(t, w, "a")
		tx := prepare(t, w)
		fs.Add(storagetest.Rule{Op: storagetest.OpRename, Nth: 1, After: after})
		if err := w.Commit(t.Context(), tx); !errors.Is(err, storage.ErrUnavailable) {
			t.Fatalf("%v", err)
		}
		if err := w.Commit(t.Context(), tx); err != nil {
			t.Fatal(err)
		}
		expect(t, fs, 0, "a\n")
	}
	// An unknown state of the storage is no success: the rename says that the source is missing, and nobody can tell of the target.
	fs := storagetest.Faulty(storagetest.NewMem())
	w := writerOf(t, newTask(t, fs))
	put(t, w, "a")
	tx := prepare(t, w)
	fs.Add(storagetest.Rule{Op: storagetest.OpRename, Err: storage.ErrNotExist}, storagetest.Rule{Op: storagetest.OpStat})
	if err := w.Commit(t.Context(), tx); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("%v", err)
	}
}

func TestSpoolGoesToDiskAndIsBounded(t *testing.T) {
	fs := storagetest.NewMem()
	w := writerOf(t, newTask(t, fs), Spool(3*memorySpool))
	line := strings.Repeat("x", 1<<20)
	var want bytes.Buffer
	for i := range 10 {
		l := fmt.Sprintf("%d%s", i, line)
		put(t, w, l)
		want.WriteString(l + "\n")
	}
	if w.(*writer).interval.file == nil {
		t.Error("10 MiB lie in memory")
	}
	tx := prepare(t, w)
	if held := w.(*writer).spooled.Load(); held != 0 {
		t.Errorf("%d bytes are held after they were written", held)
	}
	if err := w.Commit(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	expect(t, fs, 0, want.String())
	var err error
	for i := 0; i < 20 && err == nil; i++ {
		err = w.Write([][]byte{[]byte(line)})
	}
	if err == nil || !strings.Contains(err.Error(), "is full") {
		t.Errorf("20 MiB in a spool of 12: %v", err)
	}
}

func TestOutputThatCannotBeMade(t *testing.T) {
	fs := storagetest.Faulty(storagetest.NewMem(), storagetest.Rule{Op: storagetest.OpMkdir, Err: storage.ErrPermission})
	w := writerOf(t, newTask(t, fs))
	err := w.Recover(t.Context(), nil)
	if !errors.Is(err, storage.ErrPermission) || !strings.Contains(err.Error(), "the output /out cannot be made") {
		t.Errorf("%v", err)
	}
}

func TestDamagedTransactions(t *testing.T) {
	w := writerOf(t, newTask(t, storagetest.NewMem()))
	for _, bad := range []string{"", "{}", `{"pending":"a/b","final":"c","dir":"/out"}`, `{"pending":"a","final":"../c","dir":"/out"}`, `{"pending":"a","final":"c"}`} {
		if err := w.Commit(t.Context(), []byte(bad)); err == nil {
			t.Errorf("%q was committed", bad)
		}
		if err := w.Recover(t.Context(), [][]byte{[]byte(bad)}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// What nobody will commit is removed, and what failed attempts have left; nothing else is.
func TestDiscard(t *testing.T) {
	fs := storagetest.Faulty(storagetest.NewMem())
	w := writerOf(t, newTask(t, fs))
	put(t, w, "kept")
	kept := prepare(t, w)
	put(t, w, "given up")
	hopeless := prepare(t, w)
	put(t, w, "failed")
	finish, err := w.Prepare()
	if err != nil {
		t.Fatal(err)
	}
	fs.Add(storagetest.Rule{Op: storagetest.OpClose, Nth: 1, After: true}) // the file is there, and nobody knows
	if _, err := finish(t.Context()); err == nil {
		t.Fatal("the attempt was to fail")
	}
	expect(t, fs, 3)
	fs.Clear()
	fs.Add(storagetest.Rule{Op: storagetest.OpRemove})
	discard := w.(flow.Discarder).Discard
	if err := discard(t.Context(), [][]byte{hopeless}); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("a storage that fails: %v", err)
	}
	fs.Clear()
	if err := discard(t.Context(), [][]byte{hopeless}); err != nil {
		t.Fatal(err)
	}
	expect(t, fs, 1)
	if err := w.Commit(t.Context(), kept); err != nil {
		t.Fatal(err)
	}
	expect(t, fs, 0, "kept\n")
}
