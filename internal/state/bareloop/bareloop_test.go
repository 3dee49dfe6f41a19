package bareloop

import (
	"math/bits"
	"testing"
	"time"
)

func TestLoopCountsWhatTheGeneratorGives(t *testing.T) {
	const keys, records = 1000, 50_000
	l, err := New(keys)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if n := len(l.slots); n != 2048 || l.shift != 64-11 {
		t.Fatalf("%d slots, index is hash >> %d", n, l.shift)
	}
	l.Run(records / 2)
	l.Run(records / 2)
	want := map[uint64]int64{}
	g := NewGenerator(keys)
	for range records {
		want[g.Next()]++
	}
	for key := uint64(1); key <= keys; key++ {
		if got := l.Count(key); got != want[key] {
			t.Errorf("key %d: %d, want %d", key, got, want[key])
		}
		delete(want, key)
	}
	if len(want) > 0 {
		t.Errorf("keys out of range: %v", want)
	}
}

func TestLoopCountsWhatItIsGiven(t *testing.T) {
	l, err := New(5)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.RunKeys([]uint64{1, 5, 5, 2, 5})
	for key, want := range []int64{0, 1, 1, 0, 0, 3} {
		if got := l.Count(uint64(key)); key > 0 && got != want {
			t.Errorf("key %d: %d, want %d", key, got, want)
		}
	}
}

func TestTableHasRoom(t *testing.T) {
	for _, keys := range []uint64{1, 2, 3, 1 << 14, 1<<14 + 1} {
		l, err := New(keys)
		if err != nil {
			t.Fatal(err)
		}
		if n := uint64(len(l.slots)); n < 2*keys || n >= 4*keys || bits.OnesCount64(n) != 1 {
			t.Errorf("%d slots for %d keys", n, keys)
		}
		l.Run(100)
		l.Close()
	}
}

func TestBesideTellsTheSlowerSide(t *testing.T) {
	work := func(per int) func(int) {
		x := uint64(1)
		return func(n int) {
			for range n * per {
				x = x*6364136223846793005 + 1442695040888963407
			}
			if x == 0 {
				t.Log("unlikely")
			}
		}
	}
	ns := Beside(10_000, Rounds, 10*time.Millisecond, work(1), work(8), work(1))
	if bare, engine := ns[0], ns[1]; engine < 3*bare || bare <= 0 || engine < 3*ns[2] {
		t.Errorf("%.2f, %.2f and %.2f ns per record of 1, 8 and 1 steps", ns[0], ns[1], ns[2])
	}
}
