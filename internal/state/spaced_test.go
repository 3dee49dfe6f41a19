package state

import (
	"context"
	"math"
	"testing"

	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
)

// TestWhatChangedAndWasRemovedIsGone: an entry that a base has, that changes and is then removed in one interval, must not come back with the delta.
func TestWhatChangedAndWasRemovedIsGone(t *testing.T) {
	open := func() (*Keyed[uint64], *spaced[uint64, int64]) {
		k, err := NewKeyed[uint64](Config{Name: "op", MaxParallelism: 8, From: 0, To: 8})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(k.Close)
		x, err := newSpaced[uint64, int64](k, "spaced")
		if err != nil {
			t.Fatal(err)
		}
		return k, x
	}
	k, x := open()
	set := func(key uint64, v int64) {
		if err := x.update(7, key, spread(k, 7, codec.Mix(key)), func(p *int64, _ bool) { *p = v }); err != nil {
			t.Fatal(err)
		}
	}
	var files []checkpoint.File
	take := func(id, base int64) {
		w := checkpoint.NewFileWriter(context.Background(), checkpoint.FileConfig{Checkpoint: id, Task: job.TaskID{Vertex: "v"}, InlineThreshold: math.MaxInt})
		if err := k.Begin(Plan{Checkpoint: id, Base: base, Out: w, Operator: "op"}); err != nil {
			t.Fatal(err)
		}
		for !k.Sweep(100) {
		}
		f, err := w.Finish(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		files = w.Chain(files, f)
	}
	for key := range uint64(100) {
		set(key, 1)
	}
	take(1, 0)
	for key := range uint64(100) {
		if set(key, 2); key%2 == 0 {
			x.remove(7, key, spread(k, 7, codec.Mix(key)))
		}
	}
	take(2, 1)
	if len(files) != 2 {
		t.Fatalf("%d files: the second is to be a delta", len(files))
	}
	r, err := checkpoint.Open(context.Background(), nil, "mem:///job", &checkpoint.SubtaskState{Vertex: "v", Files: files})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	again, y := open()
	if err := again.Restore(r, "op"); err != nil {
		t.Fatal(err)
	}
	for key := range uint64(100) {
		if v, ok := y.get(7, key, spread(again, 7, codec.Mix(key))); ok != (key%2 == 1) || ok && v != 2 {
			t.Errorf("key %d has %d, %v", key, v, ok)
		}
	}
}
