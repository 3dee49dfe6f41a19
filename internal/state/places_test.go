package state

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/thalweg-io/thalweg/internal/codec"
)

// Batches of keys against maps: each record reads and changes what it has in hand, so that slots found for a run move, go away and come back while
// the run is on. Keys come several times in a run, new ones split segments, other keys are taken in hand in between, snapshots are taken and restored.

func TestRunsOfKeys(t *testing.T) {
	crowded := crowd(8) // segments split
	for name, test := range map[string]func(t *testing.T, seed uint64){
		"words": func(t *testing.T, seed uint64) {
			testRuns(t, seed, crowded, func(i int) int64 { return int64(i) })
		},
		"wide values": func(t *testing.T, seed uint64) {
			testRuns(t, seed, crowded, func(i int) (v state16) { v[i%16] = int64(i); return v })
		},
		"encoded values": func(t *testing.T, seed uint64) {
			testRuns(t, seed, crowded, func(i int) string { return fmt.Sprint("value ", i) })
		},
		"text": func(t *testing.T, seed uint64) {
			testRuns(t, seed, func(i int) string { return fmt.Sprint("key ", i) }, func(i int) int64 { return int64(i) })
		},
		"keys in slots": func(t *testing.T, seed uint64) {
			testRuns(t, seed, func(i int) [2]int32 { return [2]int32{int32(i), 7} }, func(i int) int64 { return int64(i) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range fewer(12) {
				test(t, seed)
			}
		})
	}
}

// runs is the state of a test and what should be in it.
type runs[K comparable, V comparable] struct {
	t      *testing.T
	random *rand.Rand
	hash   func(K) uint64
	k      *Keyed[K]
	value  *Value[K, V]
	cell   Cell[V] // of value
	list   *List[K, V]
	values map[K]V
	lists  map[K][]V
	val    func(i int) V
}

func testRuns[K comparable, V comparable](t *testing.T, seed uint64, key func(i int) K, val func(i int) V) {
	r := &runs[K, V]{t: t, random: rand.New(rand.NewPCG(seed, 1)), values: map[K]V{}, lists: map[K][]V{}, val: val}
	r.hash, _ = codec.Hasher[K]()
	r.open()
	defer func() { r.k.Close() }()
	snapshots := &takenSnapshots[K]{t: t, random: r.random}
	// Many keys make segments grow and split, few ones are removed and come back.
	keys, hashes := []K(nil), []uint64(nil)
	for range 60 {
		known := 1 << r.random.IntN(13)
		keys, hashes = keys[:0], hashes[:0]
		for range 1 + r.random.IntN(300) {
			keys = append(keys, key(r.random.IntN(known)))
			hashes = append(hashes, r.hash(keys[len(keys)-1]))
		}
		r.k.Batch(keys, hashes)
		removals := r.random.IntN(3) // of 12 accesses
		for i, k := range keys {
			if i%Run == 0 {
				r.k.Turn(i)
			}
			r.k.SeekNext(i)
			for range r.random.IntN(4) {
				r.access(k, removals)
			}
			if r.random.IntN(20) == 0 {
				other := key(r.random.IntN(known))
				r.k.Seek(other, r.hash(other))
				r.access(other, removals)
			}
		}
		if err := r.k.Err(); err != nil {
			t.Fatal(err)
		}
		values, lists := maps.Clone(r.values), maps.Clone(r.lists)
		if snapshots.step(r.k, func() { r.values, r.lists = maps.Clone(values), maps.Clone(lists) }) {
			r.k.Close()
			r.open()
			snapshots.restore(r.k)
		}
		if r.value.Len() != len(r.values) {
			t.Fatalf("seed %d: %d values, want %d", seed, r.value.Len(), len(r.values))
		}
		r.value.t.check()
	}
	for i := range 1 << 12 {
		r.k.Seek(key(i), r.hash(key(i)))
		r.look(key(i))
	}
}

func (r *runs[K, V]) open() {
	var err error
	if r.k, err = NewKeyed[K](Config{Name: "op", MaxParallelism: 8, From: 0, To: 8}); err != nil {
		r.t.Fatal(err)
	}
	if r.value, err = NewValue[K, V](r.k, "value"); err != nil {
		r.t.Fatal(err)
	}
	r.cell = r.value.Cell()
	if r.list, err = NewList[K, V](r.k, "list"); err != nil {
		r.t.Fatal(err)
	}
}

// access does something with the key in hand.
func (r *runs[K, V]) access(key K, removals int) {
	v := r.val(r.random.IntN(1000))
	switch n := r.random.IntN(12); {
	case n < removals:
		r.value.Clear()
		delete(r.values, key)
	case n < 2*removals:
		r.list.Clear()
		delete(r.lists, key)
	case n < 6:
		if at := r.cell.Changing(); at != nil {
			*at = v
		} else {
			r.value.Set(v)
		}
		r.values[key] = v
	case n < 8:
		r.value.Update(func(x *V) {
			if *x != r.values[key] {
				r.t.Fatalf("key %v has %v to update, want %v", key, *x, r.values[key])
			}
			*x = v
		})
		r.values[key] = v
	case n < 9:
		r.list.Append(v)
		r.lists[key] = append(slices.Clip(r.lists[key]), v)
	default:
		r.look(key)
	}
}

// look compares what the key in hand has.
func (r *runs[K, V]) look(key K) {
	want, has := r.values[key]
	if x := r.cell.Known(); x != nil && (*x != want || !has) {
		r.t.Fatalf("key %v is known to have %v; want %v, %v", key, *x, want, has)
	}
	if got, ok := r.value.Get(); got != want || ok != has {
		r.t.Fatalf("key %v has %v, %v; want %v, %v", key, got, ok, want, has)
	}
	if n := r.list.Len(); n != len(r.lists[key]) {
		r.t.Fatalf("key %v has a list of %d, want %d", key, n, len(r.lists[key]))
	}
	if got := slices.Collect(listed(r.list)); !slices.Equal(got, r.lists[key]) {
		r.t.Fatalf("key %v has the list %v, want %v", key, got, r.lists[key])
	}
}
