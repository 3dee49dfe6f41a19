package linebuckets

import (
	"testing"

	"github.com/thalweg-io/thalweg/internal/state/bareloop"
)

// Both measures count the same keys, whatever is in the cache, prefetched or in a line behind.
func TestTableCountsAsTheBareLoop(t *testing.T) {
	for _, keys := range []uint64{1, 2, 3, 5, 1000, 40_000} {
		table, err := New(keys, nil)
		if err != nil {
			t.Fatal(err)
		}
		loop, err := bareloop.New(keys)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{1, 63, 64, 65, 100_000} {
			table.Run(n)
			loop.Run(n)
		}
		var all int64
		for key := uint64(1); key <= keys; key++ {
			got := table.Count(key)
			if want := loop.Count(key); got != want {
				t.Errorf("%d keys: key %d %d times, want %d", keys, key, got, want)
			}
			all += got
		}
		if all != 100_193 {
			t.Errorf("%d keys: %d records, want 100193", keys, all)
		}
		if want := keys == 40_000; table.fetch != want {
			t.Errorf("%d keys: prefetch %v, want %v", keys, table.fetch, want)
		}
		table.Close()
		loop.Close()
	}
}

func TestTableCountsWhatItIsGiven(t *testing.T) {
	key := uint64(0)
	table, err := New(10, func(dst []uint64) {
		for i := range dst {
			dst[i] = key%3 + 1
			key++
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	table.Run(301)
	if a, b, c, d := table.Count(1), table.Count(2), table.Count(3), table.Count(4); a != 101 || b != 100 || c != 100 || d != 0 {
		t.Errorf("%d, %d, %d and %d, want 101, 100, 100 and 0", a, b, c, d)
	}
}
