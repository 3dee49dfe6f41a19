package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/storage"
	"github.com/thalweg-io/thalweg/internal/storage/storagetest"
)

const dir = "mem:///ckpt/0123456789abcdef0123456789abcdef"

var tables = []Table{
	{"count", Values, "u64", "i64"},
	{"due", Timers, "u64", ""},
	{"panes", Slices, "u64", "{N i64}"},
}

func config(fs storage.FileSystem, checkpoint int64, threshold int) FileConfig {
	return FileConfig{FS: fs, Dir: dir, Checkpoint: checkpoint, Task: job.TaskID{Vertex: "count/words", Subtask: 3},
		Generation: job.Generation{Epoch: 4, N: 2}, InlineThreshold: threshold}
}

func text(s string) func([]byte) ([]byte, error) {
	return func(b []byte) ([]byte, error) { return append(b, s...), nil }
}

// entry is what a test's section holds: one chunk.
type entry struct {
	group  int
	kind   Kind
	chunks []chunk
}

type chunk struct {
	table int
	op    Op
	count int
	text  string
}

// later adds a chunk, which counts as the bytes that it has.
func later(o *OperatorWriter, group, table int, op Op, count int, columns string) {
	o.Later(len(columns), func() { o.Chunk(group, table, op, count, text(columns)) })
}

func write(t testing.TB, c FileConfig, sections map[string][]entry) *File {
	t.Helper()
	w := NewFileWriter(t.Context(), c)
	for _, uid := range slices.Sorted(mapKeys(sections)) {
		o := w.Begin(uid, tables, len(sections[uid]))
		for _, e := range sections[uid] {
			o.Section(e.group, e.kind)
			for _, ch := range e.chunks {
				later(o, e.group, ch.table, ch.op, ch.count, ch.text)
			}
		}
	}
	f, err := w.Finish(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func mapKeys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// read collects what a Reader gives for groups [from, to).
func read(r *Reader, uid string, from, to int) ([]entry, error) {
	var all []entry
	err := r.Groups(uid, from, to, func(s *SectionReader) error {
		e := entry{group: s.Group, kind: s.Kind}
		if !reflect.DeepEqual(s.Tables(), tables) {
			return s.Corrupt("tables %v", s.Tables())
		}
		for {
			c, err := s.Next()
			if err == io.EOF {
				all = append(all, e)
				return nil
			}
			if err != nil {
				return err
			}
			e.chunks = append(e.chunks, chunk{slices.Index(tables, *c.Table), c.Op, c.Count, string(c.Columns)})
		}
	})
	return all, err
}

func open(t testing.TB, fs storage.FileSystem, states ...*SubtaskState) *Reader {
	t.Helper()
	r, err := Open(context.Background(), fs, dir, states...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func state(subtask int, files ...*File) *SubtaskState {
	s := &SubtaskState{Vertex: "count/words", Subtask: subtask, Generation: job.Generation{Epoch: 4, N: 2}}
	for _, f := range files {
		s.Files = append(s.Files, *f)
	}
	return s
}

var (
	bases = map[string][]entry{
		"a": {{10, Base, []chunk{{0, Put, 2, "two"}, {1, Put, 1, "t"}}}, {11, Base, nil}, {12, Base, []chunk{{2, Put, 4096, "many"}}}},
		"b": {{10, Base, nil}, {11, Base, nil}, {12, Base, []chunk{{0, Put, 1, ""}}}},
	}
	deltas = map[string][]entry{
		"a": {{10, Delta, []chunk{{1, Clear, 1, ""}, {2, Drop, 2, "slices"}, {0, Delete, 1, "x"}, {0, Put, 1, "y"}}}, {11, Delta, []chunk{{0, Put, 1, "new"}}}},
	}
)

func TestBasesAndDeltasComeInOrder(t *testing.T) {
	for name, threshold := range map[string]int{"files": 0, "inline": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			fs := storagetest.NewMem()
			base := write(t, config(fs, 7, threshold), bases)
			delta := write(t, config(fs, 8, threshold), deltas)
			if (base.Path == "") != (threshold > 0) {
				t.Fatalf("a file of %d bytes with threshold %d has path %q", base.Size, threshold, base.Path)
			}
			if base.Path != "" && !strings.HasPrefix(base.Path, "chk-7/count_words-3-4.2-") {
				t.Errorf("path %s", base.Path)
			}
			r := open(t, fs, state(3, base, delta))
			got, err := read(r, "a", 10, 13)
			want := []entry{bases["a"][0], deltas["a"][0], bases["a"][1], deltas["a"][1], bases["a"][2]}
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, %v\nwant %v", got, err, want)
			}
			if got, err := read(r, "b", 12, 13); err != nil || !reflect.DeepEqual(got, bases["b"][2:]) {
				t.Errorf("got %v, %v", got, err)
			}
			if !r.Has("b") || r.Has("c") {
				t.Errorf("Has: %v %v", r.Has("b"), r.Has("c"))
			}
		})
	}
}

// TestSectionsInManyBlocks: chunks come in any order of groups, more of a group than a block has, and what is taken away is first.
func TestSectionsInManyBlocks(t *testing.T) {
	fs := storagetest.NewMem()
	w := NewFileWriter(t.Context(), config(fs, 7, 0))
	o := w.Begin("op", tables, 2)
	o.Section(1, Delta)
	o.Section(0, Base)
	o.Section(2, Delta)
	var puts, removes, base []chunk
	for i := range 100 {
		big := strings.Repeat(string(rune('a'+i%26)), 60_000)
		later(o, 1, 0, Put, 1, big)
		later(o, 0, 0, Put, 2, big[:50_000])
		puts, base = append(puts, chunk{0, Put, 1, big}), append(base, chunk{0, Put, 2, big[:50_000]})
		if i%10 == 9 {
			later(o, 1, 1, Delete, 3, big)
			removes = append(removes, chunk{1, Delete, 3, big})
		}
	}
	f, err := w.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if f.Path == "" || f.Size < 11<<20 || len(f.Operators[0].Sections) != 2 || len(f.Operators[0].Sections[1].Blocks) < 50 {
		t.Fatalf("%d bytes, sections %v", f.Size, f.Operators[0].Sections)
	}
	if size, err := fs.Open(t.Context(), storage.Join(dir, f.Path)); err != nil || size.Size() != f.Size {
		t.Fatal(err)
	}
	got, err := read(open(t, fs, state(3, f)), "op", 0, 1)
	if want := []entry{{0, Base, base}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("group 0: %d sections, %v", len(got), err)
	}
	first := write(t, config(fs, 6, 0), map[string][]entry{"op": {{1, Base, nil}}})
	got, err = read(open(t, fs, state(3, first, f)), "op", 1, 2)
	if want := []entry{{1, Base, nil}, {1, Delta, append(removes, puts...)}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("group 1: %d sections, %v", len(got), err)
	}
}

// TestAbortLeavesNothing: a file that was begun beside the task is gone, and a failing storage shows at the end.
func TestAbortLeavesNothing(t *testing.T) {
	mem := storagetest.NewMem()
	fill := func(w *FileWriter) {
		o := w.Begin("op", tables, 1)
		o.Section(0, Base)
		for range 100 {
			later(o, 0, 0, Put, 1, strings.Repeat("x", 64<<10))
		}
	}
	w := NewFileWriter(t.Context(), config(mem, 7, 0))
	fill(w)
	w.Abort()
	if all, err := mem.List(t.Context(), dir+"/chk-7"); err == nil && len(all) > 0 {
		t.Errorf("%d files are left", len(all))
	}
	w = NewFileWriter(t.Context(), config(storagetest.Faulty(mem, storagetest.Rule{Op: storagetest.OpWrite, Nth: 3, Err: storage.ErrUnavailable}), 8, 0))
	fill(w)
	if _, err := w.Finish(t.Context()); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if w.Backlog() < 0 {
		t.Errorf("backlog %d", w.Backlog())
	}
}

func TestIncompleteStateIsAnError(t *testing.T) {
	fs := storagetest.NewMem()
	base, delta := write(t, config(fs, 7, 1<<20), bases), write(t, config(fs, 8, 1<<20), deltas)
	for _, tc := range []struct {
		states   []*SubtaskState
		from, to int
		want     string
	}{
		{[]*SubtaskState{state(3, base)}, 9, 12, "operator a: key group 9 is missing"},
		{[]*SubtaskState{state(3, base)}, 10, 14, "operator a: key group 13 is missing"},
		{[]*SubtaskState{state(3, delta)}, 10, 12, "operator a: key group 10 is a delta without a base"},
		{[]*SubtaskState{state(3, base), state(4, base)}, 10, 12, "operator a has key group 10 twice"},
		{nil, 0, 1, "key group 0 is missing"},
	} {
		_, err := read(open(t, fs, tc.states...), "a", tc.from, tc.to)
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("groups %d to %d: %v, want %q", tc.from, tc.to, err, tc.want)
		}
	}
}

func TestLargeFilesAreReadInParts(t *testing.T) {
	fs := storagetest.NewMem()
	var es []entry
	big := strings.Repeat("0123456789abcdef", 1<<14) // 256 KiB
	for g := range 60 {
		es = append(es, entry{g, Base, []chunk{{0, Put, 7, big}, {0, Put, 1, string(rune('a' + g%26))}}})
	}
	f := write(t, config(fs, 1, 0), map[string][]entry{"op": es})
	if f.Size < 15<<20 {
		t.Fatalf("only %d bytes", f.Size)
	}
	r := open(t, fs, state(0, f))
	for _, rng := range [][2]int{{0, 60}, {59, 60}, {17, 41}} {
		if got, err := read(r, "op", rng[0], rng[1]); err != nil || !reflect.DeepEqual(got, es[rng[0]:rng[1]]) {
			t.Errorf("%v: %d sections, %v", rng, len(got), err)
		}
	}
}

func TestFailedColumnsFailTheFile(t *testing.T) {
	w := NewFileWriter(t.Context(), config(storagetest.NewMem(), 1, 0))
	o := w.Begin("op", tables, 1)
	o.Section(0, Base)
	bad := errors.New("bad value")
	o.Later(1, func() {
		o.Chunk(0, 0, Put, 1, func([]byte) ([]byte, error) { return nil, bad })
		o.Chunk(0, 0, Put, 1, text("fine"))
	})
	if _, err := w.Finish(context.Background()); !errors.Is(err, bad) || !strings.Contains(err.Error(), "operator op") {
		t.Errorf("got %v", err)
	}
	if f, err := NewFileWriter(t.Context(), config(nil, 1, 0)).Finish(context.Background()); f != nil || err != nil {
		t.Errorf("a file without operators: %v, %v", f, err)
	}
}

func TestFinishWritesAgainUnderAnotherName(t *testing.T) {
	mem := storagetest.NewMem()
	fs := storagetest.Faulty(mem, storagetest.Rule{Op: storagetest.OpClose, Nth: 1, After: true})
	f := write(t, config(fs, 7, 0), bases)
	all, err := mem.List(context.Background(), dir+"/chk-7")
	if err != nil || len(all) != 2 {
		t.Fatalf("%d files, %v: the first attempt's, whose answer was lost, and the second's", len(all), err)
	}
	if _, err := read(open(t, mem, state(3, f)), "a", 10, 13); err != nil {
		t.Error(err)
	}
	full := storagetest.Faulty(mem, storagetest.Rule{Op: storagetest.OpWrite, Err: storage.ErrPermission})
	w := NewFileWriter(t.Context(), config(full, 7, 0))
	w.Begin("op", nil, 0)
	if _, err := w.Finish(context.Background()); !errors.Is(err, storage.ErrPermission) || !strings.Contains(err.Error(), "count/words/3 for checkpoint 7") {
		t.Errorf("got %v", err)
	}
}

func TestMissingFileIsNamed(t *testing.T) {
	fs := storagetest.NewMem()
	f := write(t, config(fs, 7, 0), bases)
	f.Path = "chk-7/gone"
	_, err := read(open(t, fs, state(3, f)), "a", 10, 13)
	if !errors.Is(err, storage.ErrNotExist) || !strings.Contains(err.Error(), dir+"/chk-7/gone") {
		t.Errorf("got %v", err)
	}
}

func subtaskStates() *rapid.Generator[*SubtaskState] {
	return rapid.Custom(func(t *rapid.T) *SubtaskState {
		s := &SubtaskState{Vertex: rapid.String().Draw(t, "vertex"), Subtask: rapid.IntRange(0, 1<<15).Draw(t, "subtask"),
			Generation: job.Generation{Epoch: rapid.Uint64().Draw(t, "epoch"), N: rapid.Uint64().Draw(t, "n")}, Ended: rapid.Bool().Draw(t, "ended")}
		for range rapid.IntRange(0, 3).Draw(t, "files") {
			f := File{CRC: rapid.Uint32().Draw(t, "crc"), Size: rapid.Int64Range(0, 100).Draw(t, "size")}
			if rapid.Bool().Draw(t, "inline") {
				f.Inline = rapid.SliceOfN(rapid.Byte(), int(f.Size), int(f.Size)).Draw(t, "content")
			} else {
				f.Path = rapid.StringMatching(`chk-[0-9]{1,3}/[a-z]{1,9}`).Draw(t, "path")
			}
			extent := func() Extent {
				at := rapid.Int64Range(0, f.Size).Draw(t, "at")
				return Extent{at, rapid.Int64Range(0, f.Size-at).Draw(t, "length")}
			}
			for range rapid.IntRange(0, 2).Draw(t, "operators") {
				o := FileOperator{UID: rapid.String().Draw(t, "uid"), Tables: extent()}
				for range rapid.IntRange(0, 3).Draw(t, "sections") {
					o.Sections = append(o.Sections, Section{rapid.IntRange(0, maxGroup).Draw(t, "group"), Base, []Extent{extent(), extent()}[:rapid.IntRange(1, 2).Draw(t, "blocks")]})
				}
				f.Operators = append(f.Operators, o)
			}
			s.Files = append(s.Files, f)
		}
		for range rapid.IntRange(0, 3).Draw(t, "operators") {
			o := OperatorState{UID: rapid.String().Draw(t, "uid")}
			for range rapid.IntRange(0, 3).Draw(t, "entries") {
				o.Entries = append(o.Entries, rapid.SliceOf(rapid.Byte()).Draw(t, "entry"))
			}
			s.Operators = append(s.Operators, o)
		}
		return s
	})
}

func TestMetadataRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &Metadata{JobID: job.ID(rapid.String().Draw(t, "job")), ID: rapid.Int64Min(0).Draw(t, "id"),
			Generation: job.Generation{Epoch: rapid.Uint64().Draw(t, "epoch"), N: 1}, GraphVersion: rapid.Uint64().Draw(t, "graph"),
			Base: rapid.Int64Min(0).Draw(t, "base"), Subtasks: rapid.SliceOfN(subtaskStates(), 0, 3).Draw(t, "subtasks")}
		if len(m.Subtasks) == 0 {
			m.Subtasks = nil
		}
		got, err := DecodeMetadata("m", m.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, m) {
			t.Fatalf("got %+v\nwant %+v", got, m)
		}
	})
}

func TestPathsStayInside(t *testing.T) {
	for _, p := range []string{"../other/chk-1/x", "/etc/passwd", "chk-1/../../x"} {
		s := state(1, &File{Path: p, Size: 100})
		if _, err := DecodeSubtaskState(s.Append(nil)); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), p) {
			t.Errorf("%q: %v", p, err)
		}
	}
}

// TestAPanicComesOutOfFinish: what makes chunks may be the program's code, and Finish is called where a panic costs the task only.
func TestAPanicComesOutOfFinish(t *testing.T) {
	for name, size := range map[string]int{"beside": streamAt + 1, "at the end": 1} {
		t.Run(name, func(t *testing.T) {
			mem := storagetest.NewMem()
			w := NewFileWriter(t.Context(), config(mem, 7, 0))
			o := w.Begin("op", tables, 1)
			o.Section(0, Base)
			o.Later(size, func() { panic("no such value") })
			defer func() {
				if r := fmt.Sprint(recover()); !strings.Contains(r, "no such value") {
					t.Errorf("panic %q", r)
				}
				w.Abort()
				if all, err := mem.List(t.Context(), dir+"/chk-7"); err == nil && len(all) > 0 {
					t.Errorf("%d files are left", len(all))
				}
			}()
			f, err := w.Finish(t.Context())
			t.Errorf("%v, %v", f, err)
		})
	}
}
