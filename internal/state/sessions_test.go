package state

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/thalweg-io/thalweg/internal/codec"
)

func TestSessionsAgainstNaive(t *testing.T) {
	for seed := range fewer(100) {
		t.Run(fmt.Sprint("inline ", seed), func(t *testing.T) { sessionsCase(t, seed, sums) })
		t.Run(fmt.Sprint("encoded ", seed), func(t *testing.T) { sessionsCase(t, seed, lists) })
	}
}

// naiveSession is a session as the test has it: in a list per key, which is searched from one end to the other.
type naiveSession struct {
	begin, end int64
	values     []int64
	given      bool
}

// sessionsCase drives Sessions beside lists of sessions. Now and then it goes through a checkpoint.
func sessionsCase[A any](t *testing.T, seed uint64, f foldOf[A]) {
	random := rand.New(rand.NewPCG(seed, 8))
	gap := 1 + random.Int64N(20)
	keep := []int64{0, 0, 1, 30}[random.IntN(4)]
	keys := 1 + random.Uint64N(20)
	var values []int64 // of the batch in hand
	var got, want []string
	shown := func(key uint64, begin, end int64, a A) string {
		return fmt.Sprintf("%d: [%d, %d) %s", key, begin, end, f.show(a))
	}
	make := func() (*Keyed[uint64], *Sessions[uint64, A]) {
		k, err := NewKeyed[uint64](Config{Name: "op", MaxParallelism: 4, From: 0, To: 4, onHeap: seed%2 == 0})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(k.Close)
		x, err := NewSessions(k, "window", gap, keep, Folding[uint64, A]{
			Add:   func(i int, a *A, fresh bool) { f.add(a, values[i]) },
			Merge: f.merge,
			Late:  func(i int) error { got = append(got, fmt.Sprint("late ", values[i])); return nil },
			Fire: func(key, hash uint64, s *Session[A]) error {
				if hash != codec.Mix(key) {
					t.Fatalf("hash %x of key %d", hash, key)
				}
				got = append(got, shown(key, s.Begin, s.End, s.A))
				return nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		return k, x
	}
	k, x := make()
	taken := takenSnapshots[uint64]{t: t, random: random}
	model := map[uint64][]naiveSession{}
	now := int64(math.MinInt64)
	fold := func(n naiveSession) (a A) {
		for _, v := range n.values {
			f.add(&a, v)
		}
		return a
	}
	until := func(n naiveSession) int64 { return n.end + keep }
	addNaive := func(key uint64, at, value int64) {
		n := naiveSession{begin: at, end: at + gap, values: []int64{value}}
		var rest []naiveSession
		touched := false
		for _, o := range model[key] {
			if o.end < n.begin || o.begin > n.end {
				rest = append(rest, o)
				continue
			}
			touched = true
			n.begin, n.end, n.values = min(n.begin, o.begin), max(n.end, o.end), slices.Concat(n.values, o.values)
		}
		if !touched && until(n) <= now {
			want = append(want, fmt.Sprint("late ", value))
			return
		}
		if n.end <= now {
			n.given = true
			want = append(want, shown(key, n.begin, n.end, fold(n)))
		}
		model[key] = append(rest, n)
	}
	compare := func(what string) {
		t.Helper()
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d, gap %d, keep %d, %s at %d:\n%q\nwant\n%q", seed, gap, keep, what, now, got, want)
		}
		got, want = got[:0], want[:0]
	}
	clock, serial := random.Int64N(100)-50, int64(0)
	for range 60 {
		var times []int64
		var of []uint64
		var hashes []uint64
		values = values[:0]
		for range random.IntN(40) {
			at := clock + random.Int64N(30)
			if random.IntN(4) == 0 {
				at -= random.Int64N(100)
			}
			serial++
			key := random.Uint64N(keys)
			times, of, hashes, values = append(times, at), append(of, key), append(hashes, codec.Mix(key)), append(values, serial)
		}
		for i, at := range times {
			addNaive(of[i], at, values[i])
		}
		if err := x.Add(times, of, hashes); err != nil {
			t.Fatal(err)
		}
		compare("records")
		if clock += random.Int64N(25); random.IntN(8) == 0 {
			clock += 200
		}
		if random.IntN(3) == 0 {
			continue
		}
		now = max(now, clock-random.Int64N(40))
		for key, all := range model {
			var rest []naiveSession
			for _, n := range all {
				if n.end <= now && !n.given {
					n.given = true
					want = append(want, shown(key, n.begin, n.end, fold(n)))
				}
				if until(n) > now {
					rest = append(rest, n)
				}
			}
			model[key] = rest
		}
		maps.DeleteFunc(model, func(_ uint64, all []naiveSession) bool { return len(all) == 0 })
		if err := x.Advance(now); err != nil {
			t.Fatal(err)
		}
		compare("watermark")
		live := 0
		for _, all := range model {
			live += len(all)
		}
		if x.Len() != live {
			t.Fatalf("seed %d: %d sessions, want %d", seed, x.Len(), live)
		}
		before, at := map[uint64][]naiveSession{}, now
		for key, all := range model {
			before[key] = slices.Clone(all)
		}
		if taken.step(k, func() { model, now = before, at }) {
			k.Close()
			k, x = make()
			taken.restore(k)
			if err := x.Resume(now); err != nil {
				t.Fatal(err)
			}
		}
	}
}
