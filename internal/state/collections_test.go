package state

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/golden"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
)

// Lists and maps in the model of model_test.go.

func (m *model[K, V, A]) append() {
	k := m.anyKey()
	var xs []V
	for range rapid.SampledFrom([]int{0, 1, 2, 3, 200}).Draw(m.t, "elements") {
		xs = append(xs, m.val(rapid.IntRange(0, 300).Draw(m.t, "value")))
	}
	l := m.seek(k).list
	for _, x := range xs {
		l.Append(x)
	}
	m.lists[k] = append(m.lists[k], xs...)
}

func (m *model[K, V, A]) clearList() {
	k := m.anyKey()
	m.seek(k).list.Clear()
	delete(m.lists, k)
}

func (m *model[K, V, A]) anyMapKey() K { return m.key(rapid.IntRange(0, 9).Draw(m.t, "map key")) }

func (m *model[K, V, A]) put() {
	k, mk, a := m.anyKey(), m.anyMapKey(), m.acc(rapid.IntRange(0, 300).Draw(m.t, "value"))
	s := m.seek(k)
	want, had := m.dicts[k][mk]
	if got, ok := s.dict.Get(mk); ok != had || had && !reflect.DeepEqual(got, want) {
		m.t.Fatalf("map key %v of %v is %v, %v; want %v, %v", mk, k, got, ok, want, had)
	}
	if rapid.Bool().Draw(m.t, "update") {
		s.dict.Update(mk, func(p *A) {
			if !reflect.DeepEqual(*p, want) {
				m.t.Fatalf("map key %v of %v is updated from %v, want %v", mk, k, *p, want)
			}
			*p = a
		})
	} else {
		s.dict.Put(mk, a)
	}
	if m.dicts[k] == nil {
		m.dicts[k] = map[K]A{}
	}
	m.dicts[k][mk] = a
}

func (m *model[K, V, A]) delete() {
	k, mk := m.anyKey(), m.anyMapKey()
	m.seek(k).dict.Delete(mk)
	delete(m.dicts[k], mk)
}

func (m *model[K, V, A]) clearMap() {
	k := m.anyKey()
	m.seek(k).dict.Clear()
	delete(m.dicts, k)
}

// deleteOnTheWay deletes while it goes through a map: each entry comes once at most, and those that were there and are not deleted, once.
func (m *model[K, V, A]) deleteOnTheWay() {
	k := m.anyKey()
	s := m.seek(k)
	before, seen, deleted := m.clone().dicts[k], map[K]bool{}, map[K]bool{}
	for mk, a := range mapped(s.dict) {
		if seen[mk] || deleted[mk] || !reflect.DeepEqual(a, before[mk]) {
			m.t.Fatalf("map key %v of %v comes with %v; seen %v, deleted %v, want %v", mk, k, a, seen[mk], deleted[mk], before[mk])
		}
		seen[mk] = true
		for range 2 {
			if d := m.anyMapKey(); rapid.Bool().Draw(m.t, "delete") {
				s.dict.Delete(d)
				delete(m.dicts[k], d)
				deleted[d] = true
			}
		}
	}
	for mk := range before {
		if !seen[mk] && !deleted[mk] {
			m.t.Fatalf("map key %v of %v did not come", mk, k)
		}
	}
}

func (m *model[K, V, A]) checkCollections() {
	entries, elements := 0, 0
	for k, want := range m.lists {
		l := m.seek(k).list
		if got := slices.Collect(listed(l)); !reflect.DeepEqual(got, want) && len(got)+len(want) > 0 || l.Len() != len(want) {
			m.t.Fatalf("list of %v is %v, of %d; want %v", k, got, l.Len(), want)
		}
		elements += len(want)
	}
	for k, want := range m.dicts {
		d := m.seek(k).dict
		n := 0
		for mk, a := range mapped(d) {
			if w, ok := want[mk]; !ok || !reflect.DeepEqual(a, w) {
				m.t.Fatalf("map key %v of %v is %v; want %v, %v", mk, k, a, w, ok)
			}
			n++
		}
		if n != len(want) || d.Len() != n {
			m.t.Fatalf("map of %v has %d entries and says %d; want %d", k, n, d.Len(), len(want))
		}
		entries += n
	}
	for _, s := range m.subtasks {
		s.list.t.check()
		s.dict.t.check()
		s.dict.order.t.check()
		elements -= s.list.t.count
		entries -= s.dict.t.count
	}
	if elements != 0 || entries != 0 {
		m.t.Fatalf("%d elements and %d entries are missing", elements, entries)
	}
}

// collections is an operator with a list and a map.
type collections struct {
	k    *Keyed[uint64]
	list *List[uint64, string]
	dict *Map[uint64, string, int64]
}

func newCollections(t testing.TB) *collections {
	t.Helper()
	k, err := NewKeyed[uint64](Config{Name: "op", MaxParallelism: 4, From: 0, To: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	c := &collections{k: k}
	if c.list, err = NewList[uint64, string](k, "list"); err != nil {
		t.Fatal(err)
	}
	if c.dict, err = NewMap[uint64, string, int64](k, "dict"); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *collections) content() (all []string) {
	for key := range uint64(20) {
		c.k.Seek(key, codec.Mix(key))
		for v := range listed(c.list) {
			all = append(all, fmt.Sprintf("list of %d: %s", key, v))
		}
		var entries []string
		for mk, v := range mapped(c.dict) {
			entries = append(entries, fmt.Sprintf("map of %d: %s %d", key, mk, v))
		}
		slices.Sort(entries)
		all = append(all, entries...)
	}
	return all
}

// TestGoldenCollections: lists and maps as they were written first come back, and are written as they were, in a base and in a delta.
func TestGoldenCollections(t *testing.T) {
	c := newCollections(t)
	for key := range uint64(9) {
		c.k.Seek(key, codec.Mix(key))
		for i := range key {
			c.list.Append(fmt.Sprint("element ", i))
			c.dict.Put(fmt.Sprint("entry ", i), int64(i*key))
		}
	}
	base := func(checkpoint, base int64) *checkpoint.FileWriter {
		w := inline()
		if err := c.k.Begin(Plan{Checkpoint: checkpoint, Base: base, Out: w, Operator: "op"}); err != nil {
			t.Fatal(err)
		}
		for !c.k.Sweep(1 << 20) {
		}
		return w
	}
	first := finish(t, base(1, 0))
	c.k.Seek(3, codec.Mix(3))
	c.list.Append("one more")
	c.dict.Delete("entry 0")
	c.dict.Put("entry 1", 100)
	c.k.Seek(8, codec.Mix(8))
	c.list.Clear()
	c.list.Append("after all")
	c.dict.Clear()
	c.dict.Put("entry 7", 1)
	w := base(2, 1)
	second := finish(t, w)
	now := (&checkpoint.SubtaskState{Vertex: "v", Files: w.Chain([]checkpoint.File{first}, &second)}).Append(nil)
	kept := golden.File(t, filepath.Join("testdata", "collections"), now)
	s, err := checkpoint.DecodeSubtaskState(kept)
	if err != nil {
		t.Fatal(err)
	}
	r, err := checkpoint.Open(t.Context(), nil, "mem:///job", s)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	d := newCollections(t)
	if err := d.k.Restore(r, "op"); err != nil {
		t.Fatal(err)
	}
	if got, want := d.content(), c.content(); !slices.Equal(got, want) || len(want) != 36+1+36-1-8+1-8+1 {
		t.Errorf("got %d entries %q\nwant %d %q", len(got), got, len(want), want)
	}
}

// A map key obeys the rule of keys, and what cannot be kept is named.
func TestCollectionsThatCannotBe(t *testing.T) {
	k, err := NewKeyed[uint64](Config{Name: "op", MaxParallelism: 4, From: 0, To: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	_, err = NewMap[uint64, struct{ F float64 }, int](k, "m")
	if err == nil || !strings.Contains(err.Error(), `state "m" of operator op: `) || !strings.Contains(err.Error(), "F") {
		t.Errorf("%v", err)
	}
	_, err = NewMap[uint64, int, struct{ C chan int }](k, "m")
	if err == nil || !strings.Contains(err.Error(), `state "m" of operator op: `) || !strings.Contains(err.Error(), "C") {
		t.Errorf("%v", err)
	}
	_, err = NewList[uint64, func()](k, "l")
	if err == nil || !strings.Contains(err.Error(), `state "l" of operator op: `) {
		t.Errorf("%v", err)
	}
}

// Appending and looking up allocate nothing once there is room.
func TestCollectionsAllocateNothing(t *testing.T) {
	k, _ := NewKeyed[uint64](Config{Name: "op", MaxParallelism: 4, From: 0, To: 4})
	defer k.Close()
	list, _ := NewList[uint64, int64](k, "l")
	dict, _ := NewMap[uint64, int64, int64](k, "d")
	round := func() {
		for key := range uint64(50) {
			k.Seek(key, codec.Mix(key))
			for i := range int64(5) {
				list.Append(i)
				dict.Put(i, i)
			}
			if _, ok := dict.Get(3); !ok || list.Len() != 5 {
				t.Fatal("not there")
			}
			for i := range int64(5) {
				dict.Delete(i)
			}
			list.Clear()
		}
	}
	round()
	if n := testing.AllocsPerRun(10, round); n > 0 {
		t.Errorf("%v allocations a round", n)
	}
}

// listed are the elements of the key in hand, as flow goes through them.
func listed[K comparable, V any](l *List[K, V]) iter.Seq[V] {
	return func(yield func(V) bool) {
		for i := range l.Len() {
			if v, ok := l.At(i); !ok || !yield(v) {
				return
			}
		}
	}
}

// mapped are the entries of the key in hand, as flow goes through them.
func mapped[K, MK comparable, V any](m *Map[K, MK, V]) iter.Seq2[MK, V] {
	return func(yield func(MK, V) bool) {
		names := m.Keys()
		defer m.Done(names)
		for _, mk := range names {
			if v, ok := m.Get(mk); ok && !yield(mk, v) {
				return
			}
		}
	}
}

// Entries of one key in many spaces lie in the range of the key's group, wherever that ends.
func TestSpreadKeepsTheGroup(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	for _, groups := range []int{1, 2, 3, 7, 128, 129, 1000, 1024, maxParallelism - 1, maxParallelism} {
		k, err := NewKeyed[int64](Config{Name: "op", MaxParallelism: groups, From: 0, To: groups})
		if err != nil {
			t.Fatal(err)
		}
		for range 2000 {
			hash := r.Uint64()
			h := spread(k, r.Int64N(5)-1, hash)
			if got, want := k.groupOf(h), k.groupOf(hash); got != want {
				t.Fatalf("of %d groups: an entry of a key of group %d has the hash %#x, which is of group %d", groups, want, h, got)
			}
			// The same without knowing that some numbers divide by shifting.
			n := uint64(groups)
			group := uint64(k.groupOf(hash))
			low, next := (group<<32+n-1)/n, ((group+1)<<32+n-1)/n
			if h>>32 < low || h>>32 >= next {
				t.Fatalf("of %d groups: the hash %#x is not in group %d, which is from %#x to %#x", groups, h, group, low, next)
			}
		}
		k.Close()
	}
}
