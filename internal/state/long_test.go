package state

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
)

// many is an operator with states of all kinds but windows, and what they should be.
type many struct {
	k     *Keyed[uint64]
	value *Value[uint64, int64]
	list  *List[uint64, string]
	table *Map[uint64, int64, int64]
	due   *Timers[uint64]
	want  wanted
}

type wanted struct {
	value map[uint64]int64
	list  map[uint64][]string
	table map[uint64]map[int64]int64
	due   map[timed[uint64]]bool
}

func (w wanted) clone() wanted {
	c := wanted{maps.Clone(w.value), map[uint64][]string{}, map[uint64]map[int64]int64{}, maps.Clone(w.due)}
	for k, l := range w.list {
		c.list[k] = slices.Clone(l)
	}
	for k, m := range w.table {
		c.table[k] = maps.Clone(m)
	}
	return c
}

func newMany(t testing.TB) *many {
	t.Helper()
	k, err := NewKeyed[uint64](Config{Name: "op", MaxParallelism: 4, From: 0, To: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	x := &many{k: k, want: wanted{map[uint64]int64{}, map[uint64][]string{}, map[uint64]map[int64]int64{}, map[timed[uint64]]bool{}}}
	if x.value, err = NewValue[uint64, int64](k, "value"); err != nil {
		t.Fatal(err)
	}
	if x.list, err = NewList[uint64, string](k, "list"); err != nil {
		t.Fatal(err)
	}
	if x.table, err = NewMap[uint64, int64, int64](k, "table"); err != nil {
		t.Fatal(err)
	}
	if x.due, err = NewTimers(k, "due"); err != nil {
		t.Fatal(err)
	}
	return x
}

// change does something to one key.
func (x *many) change(r *rand.Rand, keys int) {
	key, n := uint64(r.IntN(keys)), int64(r.IntN(8))
	x.k.Seek(key, codec.Mix(key))
	switch r.IntN(9) {
	case 0, 1:
		v := r.Int64()
		x.value.Set(v)
		x.want.value[key] = v
	case 2:
		x.value.Clear()
		delete(x.want.value, key)
	case 3:
		x.list.Append("one")
		x.list.Append(fmt.Sprint(n))
		x.want.list[key] = append(x.want.list[key], "one", fmt.Sprint(n))
	case 4:
		x.list.Clear()
		delete(x.want.list, key)
	case 5:
		x.table.Put(n, n*n)
		if x.want.table[key] == nil {
			x.want.table[key] = map[int64]int64{}
		}
		x.want.table[key][n] = n * n
	case 6:
		x.table.Delete(n)
		if delete(x.want.table[key], n); len(x.want.table[key]) == 0 {
			delete(x.want.table, key)
		}
	case 7:
		x.due.Set(n)
		x.want.due[timed[uint64]{n, key}] = true
	case 8:
		x.due.Cancel(n)
		delete(x.want.due, timed[uint64]{n, key})
	}
}

func (x *many) check(t testing.TB, keys int) {
	t.Helper()
	if err := x.k.Err(); err != nil {
		t.Fatal(err)
	}
	for key := range uint64(keys) {
		x.k.Seek(key, codec.Mix(key))
		v, ok := x.value.Get()
		if w, has := x.want.value[key]; v != w || ok != has {
			t.Fatalf("value of %d is %d, %v, want %d, %v", key, v, ok, w, has)
		}
		if l := slices.Collect(listed(x.list)); !slices.Equal(l, x.want.list[key]) {
			t.Fatalf("list of %d is %v, want %v", key, l, x.want.list[key])
		}
		if m := maps.Collect(mapped(x.table)); !maps.Equal(m, x.want.table[key]) {
			t.Fatalf("map of %d is %v, want %v", key, m, x.want.table[key])
		}
	}
	if x.due.Len() != len(x.want.due) {
		t.Fatalf("%d timers, want %d", x.due.Len(), len(x.want.due))
	}
	for w := range x.want.due {
		if x.due.t.find(&w, x.due.hashOf(w.At, codec.Mix(w.Key))) == nil {
			t.Fatalf("timer %v is not set", w)
		}
	}
}

// TestLongRuns: more intervals than there are stamps, with snapshots that are given up, some of them many in a row, and more removals than are worth
// remembering. Whatever is restored is what was there at the barrier.
func TestLongRuns(t *testing.T) {
	for _, c := range []struct {
		keys, changes, good int
		fails               []int // how many snapshots in a row are given up, behind so many good ones
	}{{40, 12, 3, []int{0, 3, 126, 127, 20, 260, 1}}, {400, 3, 140, []int{0, 0, 1, 2, 3}}, {3000, 300, 3, []int{1, 125, 126, 127}}, {20, 900_000, 3, []int{0, 1, 0}}} {
		t.Run(fmt.Sprintf("%d keys, %d good", c.keys, c.good), func(t *testing.T) {
			if c.changes > 1000 && testing.Short() {
				t.Skip("minutes under the race detector; make test runs it")
			}
			r := rand.New(rand.NewPCG(uint64(c.keys), 3))
			x := newMany(t)
			ts := &takenSnapshots[uint64]{t: t, random: r}
			round := func() {
				for range c.changes {
					x.change(r, c.keys)
				}
				at := x.want.clone()
				ts.begin(x.k, func() { x.want = at })
			}
			for _, fails := range c.fails {
				for range c.good {
					round()
					for !x.k.Sweep(1 + r.IntN(300)) {
						x.change(r, c.keys)
					}
					ts.finish()
				}
				for range fails {
					round()
					if fails > longest {
						x.k.Sweep(1) // all but nothing, so that stamps stay
					} else {
						x.k.Sweep(r.IntN(600))
					}
				}
				round()
				for !x.k.Sweep(1 + r.IntN(300)) {
					x.change(r, c.keys)
				}
				ts.finish()
				next := newMany(t)
				ts.restore(next.k)
				next.want = x.want
				x.k.Close()
				x = next
				x.check(t, c.keys)
			}
		})
	}
}

// TestChunksOfLargeValuesAreSmall: what a snapshot collects before it writes is bounded in bytes, whatever the values.
func TestChunksOfLargeValuesAreSmall(t *testing.T) {
	k, err := NewKeyed[uint64](Config{Name: "op", MaxParallelism: 1, From: 0, To: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	v, err := NewValue[uint64, string](k, "v")
	if err != nil {
		t.Fatal(err)
	}
	const size = 20 << 10
	for key := range uint64(100) {
		k.Seek(key, codec.Mix(key))
		v.Set(strings.Repeat("x", size))
	}
	w := inline()
	if err := k.Snapshot(w, "op"); err != nil {
		t.Fatal(err)
	}
	f := finish(t, w)
	r, err := checkpoint.Open(t.Context(), nil, "mem:///job", &checkpoint.SubtaskState{Vertex: "v", Files: []checkpoint.File{f}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	n := 0
	if err := r.Groups("op", 0, 1, func(s *checkpoint.SectionReader) error {
		for {
			c, err := s.Next()
			if err != nil {
				return nil
			}
			if n += c.Count; len(c.Columns) > bytesInChunk+2*size {
				t.Fatalf("a chunk of %d values has %d bytes", c.Count, len(c.Columns))
			}
		}
	}); err != nil || n != 100 {
		t.Fatalf("%d values, %v", n, err)
	}
}
