package state

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/golden"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
)

// three is an operator with a state of each kind.
type three struct {
	k      *Keyed[uint64]
	count  *Value[uint64, int64]
	due    *Timers[uint64]
	panes  *Slices[uint64, string]
	groups int
}

func newThree(t testing.TB, from, to, groups int) *three {
	t.Helper()
	k, err := NewKeyed[uint64](Config{Name: "op", MaxParallelism: groups, From: from, To: to})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	x := &three{k: k, groups: groups}
	if x.count, err = NewValue[uint64, int64](k, "count"); err != nil {
		t.Fatal(err)
	}
	if x.due, err = NewTimers(k, "due"); err != nil {
		t.Fatal(err)
	}
	if x.panes, err = NewSlices[uint64, string](k, "panes"); err != nil {
		t.Fatal(err)
	}
	return x
}

// content is all of the state, as text.
func (x *three) content(t testing.TB) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for key := range uint64(100) {
		x.k.Seek(key, codec.Mix(key))
		if v, ok := x.count.Get(); ok {
			all[fmt.Sprintf("count of %d: %d", key, v)] = true
		}
	}
	if err := x.due.Due(1<<62, func(key, _ uint64, at int64) error {
		all[fmt.Sprintf("timer of %d: %d", key, at)] = true
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := x.panes.FireUpTo(1<<62, func(slice int64, key, _ uint64, a *string) error {
		all[fmt.Sprintf("slice %d of %d: %s", slice, key, *a)] = true
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func (x *three) fill(t testing.TB) {
	for key := range uint64(20) {
		x.k.Seek(key, codec.Mix(key))
		x.count.Set(int64(key * key))
		x.due.Set(int64(key % 3))
		if err := x.panes.Update(int64(key%2)-1, func(a *string, _ bool) { *a = fmt.Sprint("pane ", key) }); err != nil {
			t.Fatal(err)
		}
	}
}

func (x *three) tables() []checkpoint.Table {
	return []checkpoint.Table{x.count.table(), x.due.table(), x.panes.table()}
}

func inline() *checkpoint.FileWriter {
	return checkpoint.NewFileWriter(context.Background(), checkpoint.FileConfig{InlineThreshold: 1 << 30, Checkpoint: 1, Task: job.TaskID{Vertex: "v"}})
}

func finish(t testing.TB, w *checkpoint.FileWriter) checkpoint.File {
	t.Helper()
	f, err := w.Finish(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return *f
}

func (x *three) restore(t testing.TB, files ...checkpoint.File) error {
	t.Helper()
	r, err := checkpoint.Open(context.Background(), nil, "mem:///job", &checkpoint.SubtaskState{Vertex: "v", Files: files})
	if err != nil {
		return err
	}
	defer r.Close()
	return x.k.Restore(r, "op")
}

// Columns as the format has them, written here without the code under test.

func spaces(ns ...int64) (b []byte) {
	for _, n := range ns {
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	return b
}

func texts(ss ...string) []byte {
	b := []byte{2}
	for _, s := range ss {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(s)))
	}
	return append(b, strings.Join(ss, "")...)
}

type rawChunk struct {
	table, count int
	op           checkpoint.Op
	columns      []byte
}

// sections writes chunks by key group, of one kind.
func sections(t testing.TB, tables []checkpoint.Table, kind checkpoint.Kind, groups int, chunks map[int][]rawChunk) checkpoint.File {
	w := inline()
	o := w.Begin("op", tables, groups)
	for g := range groups {
		if kind == checkpoint.Delta && len(chunks[g]) == 0 {
			continue
		}
		o.Section(g, kind)
		for _, c := range chunks[g] {
			o.Later(len(c.columns), func() {
				o.Chunk(g, c.table, c.op, c.count, func(b []byte) ([]byte, error) { return append(b, c.columns...), nil })
			})
		}
	}
	return finish(t, w)
}

// TestRestoreAppliesDeltasInOrder: bases of this program, and deltas as a later one will write them.
func TestRestoreAppliesDeltasInOrder(t *testing.T) {
	const groups = 4
	x := newThree(t, 0, groups, groups)
	x.fill(t)
	w := inline()
	if err := x.k.Snapshot(w, "op"); err != nil {
		t.Fatal(err)
	}
	base := finish(t, w)
	group := func(key uint64) int { return job.KeyGroup(codec.Mix(key), groups) }
	key := func(k uint64) []byte { return spaces(int64(k)) }
	first, second := map[int][]rawChunk{}, map[int][]rawChunk{}
	add := func(to map[int][]rawChunk, k uint64, c rawChunk) {
		c.count = 1
		to[group(k)] = append(to[group(k)], c)
	}
	add(first, 3, rawChunk{table: 0, op: checkpoint.Put, columns: append(key(3), spaces(333)...)})
	add(first, 4, rawChunk{table: 0, op: checkpoint.Delete, columns: key(4)})
	add(first, 5, rawChunk{table: 1, op: checkpoint.Delete, columns: append(spaces(2), key(5)...)})
	add(first, 5, rawChunk{table: 1, op: checkpoint.Put, columns: append(spaces(77), key(5)...)})
	add(first, 6, rawChunk{table: 2, op: checkpoint.Delete, columns: append(spaces(-1), key(6)...)})
	add(first, 7, rawChunk{table: 2, op: checkpoint.Put, columns: append(append(spaces(0), key(7)...), texts("changed")...)})
	add(first, 50, rawChunk{table: 0, op: checkpoint.Put, columns: append(key(50), spaces(1)...)})
	add(first, 51, rawChunk{table: 0, op: checkpoint.Delete, columns: key(51)}) // was never there
	add(second, 3, rawChunk{table: 0, op: checkpoint.Delete, columns: key(3)})
	add(second, 3, rawChunk{table: 0, op: checkpoint.Put, columns: append(key(3), spaces(3)...)})
	add(second, 50, rawChunk{table: 0, op: checkpoint.Delete, columns: key(50)})
	d1, d2 := sections(t, x.tables(), checkpoint.Delta, groups, first), sections(t, x.tables(), checkpoint.Delta, groups, second)

	want := x.content(t)
	for _, gone := range []string{"count of 3: 9", "count of 4: 16", "timer of 5: 2", "slice -1 of 6: pane 6", "slice 0 of 7: pane 7"} {
		if !want[gone] {
			t.Fatalf("%q is not in the base", gone)
		}
		delete(want, gone)
	}
	for _, new := range []string{"count of 3: 3", "timer of 5: 77", "slice 0 of 7: changed"} {
		want[new] = true
	}
	for _, parallelism := range []int{1, 3} {
		got := map[string]bool{}
		for i := range parallelism {
			from, to := job.Groups(i, groups, parallelism)
			y := newThree(t, from, to, groups)
			if err := y.restore(t, base, d1, d2); err != nil {
				t.Fatal(err)
			}
			y.count.t.check()
			// A key of another subtask has no place here, so ask for its own only.
			for k := range uint64(100) {
				if g := group(k); g >= from && g < to {
					y.k.Seek(k, codec.Mix(k))
					if v, ok := y.count.Get(); ok {
						got[fmt.Sprintf("count of %d: %d", k, v)] = true
					}
				}
			}
			y.due.Due(1<<62, func(k, _ uint64, at int64) error { got[fmt.Sprintf("timer of %d: %d", k, at)] = true; return nil })
			y.panes.FireUpTo(1<<62, func(s int64, k, _ uint64, a *string) error {
				got[fmt.Sprintf("slice %d of %d: %s", s, k, *a)] = true
				return nil
			})
		}
		if !maps.Equal(got, want) {
			t.Errorf("parallelism %d: got %v\nwant %v", parallelism, got, want)
		}
	}
}

// TestGoldenState: state that version 1 wrote comes back, and is written as it was.
func TestGoldenState(t *testing.T) {
	x := newThree(t, 0, 4, 4)
	x.fill(t)
	w := inline()
	if err := x.k.Snapshot(w, "op"); err != nil {
		t.Fatal(err)
	}
	now := (&checkpoint.SubtaskState{Vertex: "v", Files: []checkpoint.File{finish(t, w)}}).Append(nil)
	// The order of entries follows from the tables and is no part of the format, but a change of it should be meant.
	kept := golden.File(t, filepath.Join("testdata", "subtask-state"), now)
	s, err := checkpoint.DecodeSubtaskState(kept)
	if err != nil {
		t.Fatal(err)
	}
	y := newThree(t, 0, 4, 4)
	if err := y.restore(t, s.Files...); err != nil {
		t.Fatal(err)
	}
	if got, want := y.content(t), x.content(t); !reflect.DeepEqual(got, want) || len(want) != 60 {
		t.Errorf("got %d entries %v\nwant %v", len(got), got, want)
	}
}

func TestRestoreRefusesWhatDoesNotFit(t *testing.T) {
	x := newThree(t, 0, 4, 4)
	tables := x.tables()
	with := func(i int, change func(*checkpoint.Table)) []checkpoint.Table {
		c := append([]checkpoint.Table(nil), tables...)
		change(&c[i])
		return c
	}
	group := job.KeyGroup(codec.Mix(3), 4)
	other := (group + 1) % 4
	three := spaces(3)
	chunk := func(c rawChunk) map[int][]rawChunk { return map[int][]rawChunk{group: {c}} }
	for _, tc := range []struct {
		name    string
		tables  []checkpoint.Table
		chunks  map[int][]rawChunk
		want    string
		corrupt bool
	}{
		{"value of another type", with(0, func(t *checkpoint.Table) { t.Value = "{N i64}" }), nil,
			`state "count" was written as a value with key u64 and value {N i64}; the program has a value with key u64 and value i64`, false},
		{"key of another type", with(1, func(t *checkpoint.Table) { t.Key = "string" }), nil,
			`state "due" was written as timers with key string; the program has timers with key u64`, false},
		{"another kind", with(1, func(t *checkpoint.Table) { t.Kind = checkpoint.Slices }), nil, `was written as slices`, false},
		{"a state that is gone", with(2, func(t *checkpoint.Table) { t.Name = "old" }), nil,
			`state "old" (slices with key u64 and value string) is in the checkpoint, but the program does not declare it`, false},
		{"key of another group", tables, map[int][]rawChunk{other: {{0, 1, checkpoint.Put, append(three, spaces(1)...)}}},
			fmt.Sprintf("a key of key group %d", group), true},
		{"short key", tables, chunk(rawChunk{0, 2, checkpoint.Put, three}), "2 values of 8 bytes or more in 8 bytes", true},
		{"short value", tables, chunk(rawChunk{0, 1, checkpoint.Put, three}), `table "count"`, true},
		{"short times", tables, chunk(rawChunk{1, 2, checkpoint.Put, three}), "2 entries in 8 bytes", true},
		{"bytes too many", tables, chunk(rawChunk{0, 1, checkpoint.Put, append(three, spaces(1, 2)...)}), "8 bytes after the last column", true},
		{"bad text", tables, chunk(rawChunk{2, 1, checkpoint.Put, append(spaces(1, 3), 9, 9, 9)}), "lengths of 9 bytes", true},
		{"unknown table", tables, chunk(rawChunk{3, 1, checkpoint.Put, three}), "a chunk of table 3; the operator has 3", true},
		{"deletion in a base", tables, chunk(rawChunk{0, 1, checkpoint.Delete, three}), "operation 2", true},
	} {
		y := newThree(t, 0, 4, 4)
		err := y.restore(t, sections(t, tc.tables, checkpoint.Base, 4, tc.chunks))
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "restore state of operator op") {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
		if errors.Is(err, checkpoint.ErrCorrupt) != tc.corrupt || tc.corrupt && !strings.Contains(err.Error(), "state of v/0 in the metadata") {
			t.Errorf("%s: marked corrupt: %v, want %v: %v", tc.name, !tc.corrupt, tc.corrupt, err)
		}
	}
	if err := x.restore(t); !errors.Is(err, checkpoint.ErrCorrupt) {
		t.Errorf("a checkpoint without the operator: %v", err)
	}
}

// TestNewStateStartsEmpty: a program may have states that the checkpoint has not.
func TestNewStateStartsEmpty(t *testing.T) {
	x := newThree(t, 0, 4, 4)
	if err := x.restore(t, sections(t, x.tables()[1:2], checkpoint.Base, 4, nil)); err != nil || len(x.content(t)) > 0 {
		t.Errorf("%v, %v", err, x.content(t))
	}
}

func TestWhatCannotBeDeclared(t *testing.T) {
	for _, c := range []Config{{MaxParallelism: 0, To: 1}, {MaxParallelism: 4, From: 2, To: 2}, {MaxParallelism: 4, From: -1, To: 2}, {MaxParallelism: 4, To: 5},
		{MaxParallelism: 1<<15 + 1, To: 1}} {
		if _, err := NewKeyed[int](c); err == nil || !strings.Contains(err.Error(), "key groups") {
			t.Errorf("%+v: %v", c, err)
		}
	}
	c := Config{Name: "op", MaxParallelism: 1, To: 1}
	if _, err := NewKeyed[float64](c); err == nil || !strings.Contains(err.Error(), "operator op: codec: type float64 cannot be a key") {
		t.Errorf("float key: %v", err)
	}
	k, err := NewKeyed[int](c)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if _, err := NewValue[int, chan int](k, "v"); err == nil || !strings.Contains(err.Error(), `state "v" of operator op: codec: type chan int cannot be encoded`) {
		t.Errorf("chan value: %v", err)
	}
	if _, err := NewTimers(k, "same"); err != nil {
		t.Fatal(err)
	}
	if _, err := NewValue[int, int](k, "same"); err == nil || !strings.Contains(err.Error(), `two states are called "same"`) {
		t.Errorf("name twice: %v", err)
	}
}

type stubborn struct{ Refuse bool }

func (s stubborn) MarshalBinary() ([]byte, error) {
	if s.Refuse {
		return nil, errors.New("not today")
	}
	return []byte{1}, nil
}

func (s *stubborn) UnmarshalBinary([]byte) error { return nil }

// TestWhatCannotBeKeptIsRemembered: there is no snapshot of a state that misses something.
func TestWhatCannotBeKeptIsRemembered(t *testing.T) {
	type box struct{ S []stubborn }
	k, err := NewKeyed[int](Config{Name: "op", MaxParallelism: 1, To: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	v, err := NewValue[int, box](k, "v")
	if err != nil {
		t.Fatal(err)
	}
	k.Seek(1, codec.Mix(1))
	v.Set(box{[]stubborn{{}}})
	if k.Err() != nil {
		t.Fatal(k.Err())
	}
	v.Set(box{[]stubborn{{Refuse: true}}})
	if err := k.Err(); err == nil || !strings.Contains(err.Error(), `state "v" of operator op: codec: box.S[]: not today`) {
		t.Errorf("got %v", err)
	}
	if err := k.Snapshot(inline(), "op"); err != k.Err() {
		t.Errorf("Snapshot: %v", err)
	}
	if got, _ := v.Get(); len(got.S) != 1 {
		t.Errorf("the value that was there is %v", got)
	}
}

// TestMemoryIsReusedAndGivenBack: state that comes and goes takes no more memory in the long run, and none when it is gone.
func TestMemoryIsReusedAndGivenBack(t *testing.T) {
	k, err := NewKeyed[string](Config{Name: "op", MaxParallelism: 8, From: 0, To: 8})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	panes, err := NewSlices[string, []byte](k, "panes")
	if err != nil {
		t.Fatal(err)
	}
	value, err := NewValue[string, []byte](k, "value")
	if err != nil {
		t.Fatal(err)
	}
	hash, _ := codec.Hasher[string]()
	var peak int64
	for round := range int64(30) {
		for i := range 2000 {
			key := fmt.Sprint("key ", i)
			k.Seek(key, hash(key))
			if err := panes.Update(round, func(b *[]byte, _ bool) { *b = make([]byte, (i*7+int(round))%500) }); err != nil {
				t.Fatal(err)
			}
			value.Set(make([]byte, (i*11+int(round)*13)%700))
			if i%2 == 0 {
				value.Clear()
			}
		}
		if round > 2 {
			fired := 0
			if err := panes.FireUpTo(round-2, func(int64, string, uint64, *[]byte) error { fired++; return nil }); err != nil || fired == 0 {
				t.Fatal(fired, err)
			}
		}
		if round == 9 {
			peak = k.Bytes()
		}
	}
	if now := k.Bytes(); now > peak+peak/5 {
		t.Errorf("%d bytes after 10 rounds, %d after 30", peak, now)
	}
	before := k.Bytes()
	if err := panes.FireUpTo(100, func(int64, string, uint64, *[]byte) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if panes.bytes() != 0 || k.Bytes() >= before {
		t.Errorf("%d bytes in slices without entries", panes.bytes())
	}
}

// FuzzRestore gives the tables columns that nobody wrote, under right checksums.
func FuzzRestore(f *testing.F) {
	x := newThree(f, 0, 1, 1)
	f.Add(uint8(0), false, uint16(1), append(spaces(3), spaces(1)...))
	f.Add(uint8(1), true, uint16(1), append(spaces(3), spaces(1)...))
	f.Add(uint8(2), false, uint16(2), append(spaces(1, 1, 3, 4), texts("a", "bc")...))
	tables := x.tables()
	f.Fuzz(func(t *testing.T, table uint8, del bool, count uint16, columns []byte) {
		op := checkpoint.Put
		if del {
			op = checkpoint.Delete
		}
		base := sections(t, tables, checkpoint.Base, 1, nil)
		delta := sections(t, tables, checkpoint.Delta, 1, map[int][]rawChunk{0: {{int(table % 4), int(count), op, columns}}})
		y := newThree(t, 0, 1, 1)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := y.restore(t, base, delta)
		runtime.ReadMemStats(&after)
		y.k.Close()
		if got, most := after.TotalAlloc-before.TotalAlloc, uint64(16*len(columns)+1<<20); got > most {
			t.Fatalf("%d bytes allocated for %d", got, len(columns))
		}
		if err != nil && !errors.Is(err, checkpoint.ErrCorrupt) {
			t.Fatalf("not marked: %v", err)
		}
	})
}
