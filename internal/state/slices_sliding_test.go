package state

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/thalweg-io/thalweg/internal/codec"
)

// foldOf says how a test folds numbers into an A, and shows it. sum is pointer-free and lies in slots; list is encoded.
type foldOf[A any] struct {
	add   func(*A, int64)
	merge func(a, b *A)
	show  func(A) string
}

type sum struct{ N, Total int64 }

var (
	sums = foldOf[sum]{
		add:   func(a *sum, v int64) { a.N++; a.Total += v },
		merge: func(a, b *sum) { a.N += b.N; a.Total += b.Total },
		show:  func(a sum) string { return fmt.Sprint(a) },
	}
	lists = foldOf[[]int64]{
		add:   func(a *[]int64, v int64) { *a = append(*a, v) },
		merge: func(a, b *[]int64) { *a = append(*a, *b...) },
		show: func(a []int64) string {
			slices.Sort(a)
			return fmt.Sprint(a)
		},
	}
)

func TestSlidingAgainstNaive(t *testing.T) {
	for seed := range fewer(100) {
		t.Run(fmt.Sprint("inline ", seed), func(t *testing.T) { slidingCase(t, seed, sums) })
		t.Run(fmt.Sprint("encoded ", seed), func(t *testing.T) { slidingCase(t, seed, lists) })
	}
}

// slidingCase drives Sliding beside a map of all records. Now and then it goes through a checkpoint.
func slidingCase[A any](t *testing.T, seed uint64, f foldOf[A]) {
	random := rand.New(rand.NewPCG(seed, 7))
	length, step := 1+random.Int64N(9), 1+random.Int64N(9)
	keys := 1 + random.Uint64N(40)
	make := func() (*Keyed[uint64], *Sliding[uint64, A]) {
		k, err := NewKeyed[uint64](Config{Name: "op", MaxParallelism: 4, From: 0, To: 4, onHeap: seed%2 == 0})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(k.Close)
		x, err := NewSliding[uint64, A](k, "window", length, step, f.merge)
		if err != nil {
			t.Fatal(err)
		}
		return k, x
	}
	k, x := make()
	taken := takenSnapshots[uint64]{t: t, random: random}
	type record struct {
		slice, value int64
		key          uint64
	}
	var all []record
	content := func(last int64, key uint64) (a A, some bool) {
		for _, r := range all {
			if r.key == key && r.slice > last-length && r.slice <= last {
				f.add(&a, r.value)
				some = true
			}
		}
		return a, some
	}
	closed, kept := int64(math.MinInt64), int64(math.MinInt64)
	now := random.Int64N(50) - 25
	for round := range 60 {
		for range random.IntN(30) {
			r := record{now + random.Int64N(length+4), random.Int64N(1000), random.Uint64N(keys)}
			if random.IntN(8) == 0 {
				r.slice = now - random.Int64N(2*length)
			}
			if r.slice <= kept {
				continue
			}
			all = append(all, r)
			add := func(a *A, _ bool) { f.add(a, r.value) }
			var err error
			if r.slice <= closed {
				err = x.Late(r.slice, r.key, codec.Mix(r.key), add)
			} else {
				err = x.UpdateBatch(r.slice, []uint64{r.key}, []uint64{codec.Mix(r.key)}, func(_ int, a *A, fresh bool) { add(a, fresh) })
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if random.IntN(4) == 0 { // what was closed before is given again on request
			for key := range keys {
				got, some := x.Window(closed, key, codec.Mix(key))
				want, wanted := content(closed, key)
				if closed-length+1 > kept && (some != wanted || f.show(got) != f.show(want)) {
					t.Fatalf("seed %d: window up to %d of key %d: %s, want %s", seed, closed, key, f.show(got), f.show(want))
				}
			}
		}
		before := closed
		if now += random.Int64N(4); random.IntN(10) == 0 {
			now += random.Int64N(40)
		}
		upto := now
		if round == 59 {
			upto = math.MaxInt64
		}
		got := map[string]string{}
		if err := x.Close(upto, func(last int64, key, hash uint64, a *A) error {
			name := fmt.Sprintf("%d of %d", last, key)
			if _, twice := got[name]; twice || hash != codec.Mix(key) {
				t.Fatalf("seed %d: window up to %s twice, or with hash %x", seed, name, hash)
			}
			got[name] = f.show(*a)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{}
		for _, r := range all {
			for last := r.slice; last < r.slice+length; last++ {
				if name := fmt.Sprintf("%d of %d", last, r.key); last > before && last <= upto && blockOf(last-length+1, step)*step == last-length+1 {
					a, _ := content(last, r.key)
					want[name] = f.show(a)
				}
			}
		}
		if !maps.Equal(got, want) {
			t.Fatalf("seed %d, length %d, step %d, closed (%d, %d]:\n%s\nwant\n%s", seed, length, step, before, upto, sorted(got), sorted(want))
		}
		closed = upto
		if k.Bytes() < 0 || upto == math.MaxInt64 {
			break
		}
		kept = max(kept, closed-length+1-random.Int64N(6))
		x.DropUpTo(kept)
		n, was, had := len(all), closed, kept
		if taken.step(k, func() { all, closed, kept = all[:n], was, had }) {
			k.Close()
			k, x = make()
			taken.restore(k)
			if err := x.Resume(closed); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func sorted[V any](m map[string]V) string {
	var b strings.Builder
	for _, name := range slices.SortedFunc(maps.Keys(m), cmp.Compare[string]) {
		fmt.Fprintf(&b, "%s: %v\n", name, m[name])
	}
	return b.String()
}
