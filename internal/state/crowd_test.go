package state

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
)

// Segments split after tens of thousands of entries in one 256th of all hashes: too many keys for the model, so here they are crowded into few
// hashes instead.

// crowd gives different keys whose hashes have the same top bits.
func crowd(topBits uint) func(i int) uint64 {
	return func(i int) uint64 {
		const top = 0x9e3779b97f4a7c15
		return codec.Unmix(top&^(math.MaxUint64>>topBits) | uint64(i)*top&(math.MaxUint64>>topBits))
	}
}

func TestCrowdedSegmentsSplit(t *testing.T) {
	for _, c := range []struct {
		groups int
		bits   uint
	}{{1, 8}, {7, 9}, {128, 8}, {maxParallelism, 16}} {
		t.Run(fmt.Sprintf("%d groups, %d common bits", c.groups, c.bits), func(t *testing.T) {
			testCrowd(t, c.groups, false, crowd(c.bits), func(v *state16, i int) { v[15] = int64(i) }, 3000)
		})
	}
}

// TestHashesTooAlikeToSplit: a directory that doubled until these keys are apart would be far larger than the segments; a segment grows instead.
func TestHashesTooAlikeToSplit(t *testing.T) {
	for _, c := range []struct {
		groups int
		bits   uint
	}{{1, 17}, {128, 17}, {maxParallelism, 40}} {
		t.Run(fmt.Sprintf("%d groups, %d common bits", c.groups, c.bits), func(t *testing.T) {
			testCrowd(t, c.groups, true, crowd(c.bits), func(v *state16, i int) { v[0] = int64(i) }, 4000)
		})
	}
}

func TestCrowdedEncodedValuesSplit(t *testing.T) {
	testCrowd(t, 128, false, crowd(8), func(v *string, i int) { *v = fmt.Sprint(i) }, 30_000)
}

type state16 [16]int64

// testCrowd adds n keys in batches (alike: so alike that splitting does not help), takes every third one away again, and looks at all of them, before and after a restore.
func testCrowd[V comparable](t *testing.T, groups int, alike bool, key func(i int) uint64, set func(v *V, i int), n int) {
	open := func() (*Keyed[uint64], *Value[uint64, V], *Slices[uint64, V]) {
		k, err := NewKeyed[uint64](Config{Name: "op", MaxParallelism: groups, From: 0, To: groups})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(k.Close)
		v, err := NewValue[uint64, V](k, "v")
		if err != nil {
			t.Fatal(err)
		}
		s, err := NewSlices[uint64, V](k, "s")
		if err != nil {
			t.Fatal(err)
		}
		return k, v, s
	}
	k, values, panes := open()
	begun := len(values.t.segments)
	keys, hashes, number := make([]uint64, 0, 700), make([]uint64, 0, 700), map[uint64]int{}
	for first := 0; first < n; first += cap(keys) {
		keys, hashes = keys[:0], hashes[:0]
		for i := first; i < min(first+cap(keys), n); i++ {
			keys, hashes = append(keys, key(i)), append(hashes, codec.Mix(key(i)))
			number[key(i)] = i
		}
		fresh := 0
		update := func(i int, v *V, isFresh bool) {
			if isFresh {
				fresh++
			}
			set(v, first+i)
		}
		for range 2 {
			if err := values.UpdateBatch(keys, hashes, update); err != nil {
				t.Fatal(err)
			}
		}
		if err := panes.UpdateBatch(5, keys, hashes, update); err != nil {
			t.Fatal(err)
		}
		if fresh != 2*len(keys) {
			t.Fatalf("%d of %d keys were fresh in two tables", fresh, len(keys))
		}
	}
	values.t.check()
	large := false
	for _, s := range values.t.segments {
		large = large || s.size > segmentSize
	}
	if len(values.t.segments) == begun || large != alike {
		t.Fatalf("%d segments were %d; one is larger than %d bytes: %v, want %v", len(values.t.segments), begun, segmentSize, large, alike)
	}
	if limit := 2 * (16*len(values.t.segments) + 1024); len(values.t.dir) > max(limit, begun) {
		t.Errorf("the directory has %d entries for %d segments", len(values.t.dir), len(values.t.segments))
	}
	for i := 0; i < n; i += 3 {
		k.Seek(key(i), codec.Mix(key(i)))
		values.Clear()
	}
	look := func(k *Keyed[uint64], values *Value[uint64, V], panes *Slices[uint64, V]) {
		values.t.check()
		for i := range n {
			k.Seek(key(i), codec.Mix(key(i)))
			var want V
			if set(&want, i); i%3 == 0 {
				want = *new(V)
			}
			if got, ok := values.Get(); ok != (i%3 != 0) || got != want {
				t.Fatalf("key number %d has %v, %v; want %v", i, got, ok, want)
			}
		}
		if values.Len() != n-(n+2)/3 || panes.Len() != n {
			t.Fatalf("%d values and %d panes of %d", values.Len(), panes.Len(), n)
		}
	}
	look(k, values, panes)

	w := checkpoint.NewFileWriter(context.Background(), checkpoint.FileConfig{Checkpoint: 1, Task: job.TaskID{Vertex: "v"}, InlineThreshold: math.MaxInt})
	if err := k.Snapshot(w, "op"); err != nil {
		t.Fatal(err)
	}
	f, err := w.Finish(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	r, err := checkpoint.Open(context.Background(), nil, "", &checkpoint.SubtaskState{Vertex: "v", Files: []checkpoint.File{*f}})
	if err != nil {
		t.Fatal(err)
	}
	again, values, panes := open()
	if err := again.Restore(r, "op"); err != nil {
		t.Fatal(err)
	}
	look(again, values, panes)

	err = panes.FireUpTo(5, func(slice int64, key uint64, hash uint64, v *V) error {
		var want V
		i, ok := number[key]
		set(&want, i)
		if !ok || slice != 5 || hash != codec.Mix(key) || *v != want {
			return fmt.Errorf("slice %d fired key %x, hash %x with %v; want hash %x, %v", slice, key, hash, *v, codec.Mix(key), want)
		}
		delete(number, key)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(number) > 0 || panes.Len() != 0 {
		t.Errorf("%d keys did not fire, %d are left", len(number), panes.Len())
	}
}
