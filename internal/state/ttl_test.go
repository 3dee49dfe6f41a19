package state

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
)

// agingTest is an operator with a state of each kind that ages, beside what it should have.
type agingTest[K comparable, V comparable] struct {
	t      *testing.T
	random *rand.Rand
	clock  int64
	life   TTL
	key    func(int) K
	val    func(int) V
	hash   func(K) uint64

	k     *Keyed[K]
	value *AgingValue[K, V]
	list  *AgingList[K, V]
	dict  *AgingMap[K, K, V]
	want  agingContents[K, V]
}

type agingContents[K comparable, V comparable] struct {
	values map[K]aged[V]
	lists  map[K][]aged[V]
	dicts  map[[2]K]aged[V]
}

func (c agingContents[K, V]) clone() agingContents[K, V] {
	d := agingContents[K, V]{maps.Clone(c.values), map[K][]aged[V]{}, maps.Clone(c.dicts)}
	for k, l := range c.lists {
		d.lists[k] = slices.Clone(l)
	}
	return d
}

func newAgingTest[K comparable, V comparable](t *testing.T, seed uint64, onReads bool, key func(int) K, val func(int) V) *agingTest[K, V] {
	hash, err := codec.Hasher[K]()
	if err != nil {
		t.Fatal(err)
	}
	x := &agingTest[K, V]{t: t, random: rand.New(rand.NewPCG(seed, 1)), clock: 1_000_000, life: TTL{After: 100, OnReads: onReads}, key: key, val: val, hash: hash,
		want: agingContents[K, V]{map[K]aged[V]{}, map[K][]aged[V]{}, map[[2]K]aged[V]{}}}
	x.open()
	return x
}

func (x *agingTest[K, V]) open() {
	x.t.Helper()
	if x.k != nil {
		x.k.Close()
	}
	var err error
	ok := func() {
		if err != nil {
			x.t.Fatal(err)
		}
	}
	x.k, err = NewKeyed[K](Config{Name: "op", MaxParallelism: 4, From: 0, To: 4, Now: func() int64 { return x.clock }})
	ok()
	x.value, err = NewAgingValue[K, V](x.k, "value", x.life)
	ok()
	x.list, err = NewAgingList[K, V](x.k, "list", x.life)
	ok()
	x.dict, err = NewAgingMap[K, K, V](x.k, "dict", x.life)
	ok()
}

func (x *agingTest[K, V]) over(a aged[V]) bool { return x.clock-a.Used >= int64(x.life.After) }

// seek takes a key in hand as a batch of one.
func (x *agingTest[K, V]) seek() K {
	k := x.key(x.random.IntN(40))
	x.k.Batch([]K{k}, []uint64{x.hash(k)})
	x.k.Turn(0)
	x.k.SeekNext(0)
	return k
}

// step does something to the state of a key, and looks at what comes of it.
func (x *agingTest[K, V]) step() {
	k, v := x.seek(), x.val(x.random.IntN(300))
	mk := x.key(x.random.IntN(5))
	now := aged[V]{x.clock, v}
	d, had := x.want.dicts[[2]K{k, mk}]
	had = had && !x.over(d)
	switch x.random.IntN(14) {
	case 0, 1:
		x.value.Set(v)
		x.want.values[k] = now
	case 2:
		was := x.want.values[k]
		if x.over(was) {
			was = aged[V]{}
		}
		x.value.Update(func(p *V) {
			if *p != was.Value {
				x.t.Fatalf("value of %v is updated from %v, want %v", k, *p, was.Value)
			}
			*p = v
		})
		x.want.values[k] = now
	case 3:
		x.value.Clear()
		delete(x.want.values, k)
	case 4, 5:
		n := x.random.IntN(4)
		for range n {
			x.want.lists[k] = append(x.want.lists[k], now)
			x.list.Append(v)
		}
	case 6:
		x.list.Clear()
		delete(x.want.lists, k)
	case 7, 8:
		x.dict.Put(mk, v)
		x.want.dicts[[2]K{k, mk}] = now
	case 9:
		x.dict.Update(mk, func(p *V) {
			if had && *p != d.Value || !had && *p != *new(V) {
				x.t.Fatalf("map key %v of %v is updated from %v, want %v (%v)", mk, k, *p, d.Value, had)
			}
			*p = v
		})
		x.want.dicts[[2]K{k, mk}] = now
	case 10:
		x.dict.Delete(mk)
		delete(x.want.dicts, [2]K{k, mk})
	case 11:
		x.clock += int64(x.random.IntN(40))
	case 12:
		if at, ok := x.k.NextExpiry(); ok {
			x.clock = max(x.clock, at)
			x.k.Expire()
		}
	case 13:
		x.look(k)
	}
	if err := x.k.Err(); err != nil {
		x.t.Fatal(err)
	}
}

// look reads all that the key in hand has.
func (x *agingTest[K, V]) look(k K) {
	used := func(a aged[V]) aged[V] {
		if x.life.OnReads {
			a.Used = x.clock
		}
		return a
	}
	want, ok := x.want.values[k]
	ok = ok && !x.over(want)
	if got, is := x.value.Get(); is != ok || ok && got != want.Value {
		x.t.Fatalf("at %d value of %v is %v, %v; want %v, %v", x.clock, k, got, is, want, ok)
	}
	if ok {
		x.want.values[k] = used(want)
	}

	list := slices.DeleteFunc(x.want.lists[k], x.over)
	var values []V
	for i := range list {
		list[i] = used(list[i])
		values = append(values, list[i].Value)
	}
	x.want.lists[k] = list
	if n := x.list.Len(); n != len(values) {
		x.t.Fatalf("at %d list of %v has %d elements, want %d", x.clock, k, n, len(values))
	}
	for i, v := range values {
		if got, ok := x.list.At(i); !ok || got != v {
			x.t.Fatalf("at %d element %d of %v is %v, %v; want %v", x.clock, i, k, got, ok, v)
		}
	}

	dict := map[K]V{}
	for name, a := range x.want.dicts {
		if name[0] == k && !x.over(a) {
			dict[name[1]] = a.Value
			x.want.dicts[name] = used(a)
		}
	}
	if n := x.dict.Len(); n != len(dict) {
		x.t.Fatalf("at %d map of %v has %d entries, want %d", x.clock, k, n, len(dict))
	}
	for mk, v := range dict {
		if got, ok := x.dict.Get(mk); !ok || got != v {
			x.t.Fatalf("at %d map key %v of %v is %v, %v; want %v", x.clock, mk, k, got, ok, v)
		}
	}
	names, got := x.dict.Keys(), map[K]V{}
	for _, mk := range names {
		if v, ok := x.dict.Get(mk); ok {
			got[mk] = v
		}
	}
	if x.dict.Done(names); !reflect.DeepEqual(got, dict) {
		x.t.Fatalf("at %d map of %v is %v, want %v", x.clock, k, got, dict)
	}
}

func (x *agingTest[K, V]) check() {
	for _, t := range []interface{ check() }{x.value.t, x.list.t, x.list.spans.t, x.dict.t, x.dict.order.t, x.dict.sizes.t} {
		t.check()
	}
}

// TestAgingStateIsWhatIsYoungEnough does anything to aging state, and compares it with maps: also through snapshots that are taken meanwhile, as bases
// and as deltas, and brought back when some of what they have is over.
func TestAgingStateIsWhatIsYoungEnough(t *testing.T) {
	for _, onReads := range []bool{false, true} {
		t.Run(fmt.Sprintf("inline, on reads %v", onReads), func(t *testing.T) {
			testAging(t, onReads, func(i int) uint64 { return uint64(i) }, func(i int) int64 { return int64(i) })
		})
		t.Run(fmt.Sprintf("boxed, on reads %v", onReads), func(t *testing.T) {
			testAging(t, onReads, func(i int) string { return fmt.Sprint("key ", i) }, func(i int) string { return strings.Repeat("x", i) })
		})
	}
}

func testAging[K comparable, V comparable](t *testing.T, onReads bool, key func(int) K, val func(int) V) {
	for seed := range fewer(12) {
		x := newAgingTest(t, seed, onReads, key, val)
		taken := &takenSnapshots[K]{t: t, random: x.random}
		for range 4000 {
			x.step()
			if x.random.IntN(8) > 0 {
				continue
			}
			was := x.want.clone()
			if taken.step(x.k, func() { x.want = was }) {
				x.clock += int64(x.random.IntN(60)) // the job was down
				x.open()
				taken.restore(x.k)
			}
			x.check()
		}
		x.k.Close()
	}
}

func uint64s(i int) uint64 { return uint64(i) }
func ints(i int) int64     { return int64(i) }

// expireAll lets time go by until nothing ages any more.
func (x *agingTest[K, V]) expireAll() (steps int) {
	for {
		at, ok := x.k.NextExpiry()
		if !ok {
			return steps
		}
		steps++
		x.clock = max(x.clock, at)
		x.k.Expire()
	}
}

// TestWhatIsOverGivesItsMemoryBack: without a record, step by step, each of a bounded length, and all of it.
func TestWhatIsOverGivesItsMemoryBack(t *testing.T) {
	for _, c := range []struct {
		name string
		fill func(x *agingTest[uint64, string], i int)
	}{
		{"value", func(x *agingTest[uint64, string], i int) { x.value.Set("something that is not short") }},
		{"list", func(x *agingTest[uint64, string], i int) {
			x.list.Append("a")
			x.list.Append("something that is not short")
		}},
		{"map", func(x *agingTest[uint64, string], i int) { x.dict.Put(uint64(i), "something that is not short") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newAgingTest(t, 1, false, uint64s, func(int) string { return "" })
			defer func() { x.k.Close() }()
			x.life = TTL{After: time.Hour}
			x.open()
			empty := x.k.Bytes()
			const keys = 50_000
			for i := range uint64(keys) {
				x.k.Seek(i, codec.Mix(i))
				c.fill(x, int(i))
			}
			if full := x.k.Bytes(); full < keys*16 {
				t.Fatalf("%d bytes with %d keys", full, keys)
			}
			began := x.clock
			steps := x.expireAll()
			x.check()
			if now := x.k.Bytes(); now != empty {
				t.Errorf("%d bytes when all is over; there were %d at first", now, empty)
			}
			if took := time.Duration(x.clock - began); took > 3*time.Hour {
				t.Errorf("it took %v of a TTL of an hour", took)
			}
			if steps < keys/slotsInAStep {
				t.Errorf("%d steps for %d keys: some were longer than %d slots", steps, keys, slotsInAStep)
			}
			for i := range uint64(keys) { // the memory is of use again
				x.k.Seek(i, codec.Mix(i))
				c.fill(x, int(i))
			}
			x.check()
		})
	}
}

// TestTablesShrinkAsEntriesAgeOut: memory that a part of the entries leaves is there for others.
func TestTablesShrinkAsEntriesAgeOut(t *testing.T) {
	x := newAgingTest(t, 1, false, uint64s, ints)
	defer func() { x.k.Close() }()
	x.life = TTL{After: time.Hour}
	x.open()
	for i := range uint64(100_000) {
		x.k.Seek(i, codec.Mix(i))
		x.value.Set(1)
	}
	full, began := x.value.s.space.inUse, x.clock
	x.clock += int64(59 * time.Minute)
	x.k.tick()
	for i := range uint64(1000) {
		x.k.Seek(i, codec.Mix(i))
		x.value.Set(2)
	}
	for x.clock < began+int64(2*time.Hour-2*time.Minute) {
		at, ok := x.k.NextExpiry()
		if !ok {
			t.Fatal("nothing ages")
		}
		x.clock = max(x.clock, at)
		x.k.Expire()
	}
	if n := x.value.Len(); n != 1000 {
		t.Errorf("%d entries are left, want 1000", n)
	}
	x.check()
	if now := x.value.s.space.inUse; now > full/8 {
		t.Errorf("%d bytes are in use for %d entries; there were %d for 100000", now, x.value.Len(), full)
	}
}

// TestSnapshotHasNothingThatIsOver: a base leaves it out.
func TestSnapshotHasNothingThatIsOver(t *testing.T) {
	x := newAgingTest(t, 1, false, uint64s, ints)
	defer x.k.Close()
	fill := func(from, n uint64) {
		for i := from; i < from+n; i++ {
			x.k.Seek(i, codec.Mix(i))
			x.value.Set(1)
			x.list.Append(1)
			x.dict.Put(1, 1)
		}
	}
	id := int64(0)
	size := func() int64 {
		w := inline()
		id++
		if err := x.k.Begin(Plan{Checkpoint: id, Out: w, Operator: "op"}); err != nil {
			t.Fatal(err)
		}
		x.k.Sweep(1 << 30)
		f := finish(t, w)
		return f.Size
	}
	fill(0, 10)
	few := size()
	x.clock += 50
	x.k.tick()
	fill(1000, 10_000)
	many := size()
	x.clock += 99
	x.k.tick()
	fill(0, 10)
	if all := size(); all != many {
		t.Errorf("%d bytes, want %d with nothing over but what was there for longer", all, many)
	}
	x.clock++
	x.k.tick()
	if left := size(); left != few {
		t.Errorf("%d bytes when 10 entries are left, want %d", left, few)
	}
}

// TestTTLThatTheCheckpointHasNot: turning a TTL on or off is an error that says so; another length is none.
func TestTTLThatTheCheckpointHasNot(t *testing.T) {
	x := newAgingTest(t, 1, false, uint64s, ints)
	defer func() { x.k.Close() }()
	w := inline()
	x.k.Seek(1, codec.Mix(1))
	x.value.Set(1)
	if err := x.k.Snapshot(w, "op"); err != nil {
		t.Fatal(err)
	}
	f := finish(t, w)
	restore := func(k *Keyed[uint64]) error {
		r, err := checkpoint.Open(t.Context(), nil, "mem:///job", &checkpoint.SubtaskState{Vertex: "v", Files: []checkpoint.File{f}})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		return k.Restore(r, "op")
	}

	off, err := NewKeyed[uint64](Config{Name: "op", MaxParallelism: 4, From: 0, To: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer off.Close()
	if _, err := NewValue[uint64, int64](off, "value"); err != nil {
		t.Fatal(err)
	}
	want := `state "value" was written as a value with key u64 and a TTL, its values {Used i64;Value i64}; the program has a value with key u64 and value i64`
	if err := restore(off); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("TTL turned off: %v; want %s", err, want)
	}

	x.clock += 100
	x.life.After = 101
	x.open()
	if err := restore(x.k); err != nil {
		t.Fatal(err)
	}
	x.k.Seek(1, codec.Mix(1))
	if _, ok := x.value.Get(); !ok {
		t.Error("a longer TTL did not hold for what was there")
	}
	x.life.After = 100
	x.open()
	if err := restore(x.k); err != nil {
		t.Fatal(err)
	}
	if n := x.value.Len(); n != 0 {
		t.Errorf("%d entries came back that are over", n)
	}
}

func TestTTLThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		now  func() int64
		life TTL
		want string
	}{
		{func() int64 { return 1 }, TTL{}, `state "v" of operator op: a TTL of 0s`},
		{func() int64 { return 1 }, TTL{After: -time.Second}, "a TTL of -1s"},
		{nil, TTL{After: time.Second}, "no clock"},
	} {
		k, err := NewKeyed[uint64](Config{Name: "op", MaxParallelism: 4, From: 0, To: 4, Now: c.now})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := NewAgingValue[uint64, int64](k, "v", c.life); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
		k.Close()
	}
}
