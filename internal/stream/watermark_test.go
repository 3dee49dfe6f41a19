package stream

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/stream/align"
)

// heard writes down what an operator is told about time.
type heard struct {
	Base
	log []string
}

func (h *heard) Push(*Batch[int64]) error { return nil }
func (h *heard) Watermark(at int64) error {
	if at == MaxWatermark {
		h.log = append(h.log, "all")
	} else {
		h.log = append(h.log, fmt.Sprint(at))
	}
	return nil
}
func (h *heard) Idle() error          { h.log = append(h.log, "idle"); return nil }
func (h *heard) SplitEnd(int32) error { return nil }
func (h *heard) End() error           { return nil }

// The watermark of a task is the lowest of its channels' that are neither idle nor at their end; without such, the highest that any has brought.
func TestWatermarkOfATask(t *testing.T) {
	cd, err := codec.For[int64]()
	if err != nil {
		t.Fatal(err)
	}
	type on struct {
		channel int
		e       element
	}
	wm := func(channel int, at int64) on { return on{channel, element{kind: watermark, at: at}} }
	data := func(channel int) on {
		return on{channel, element{kind: records, batch: &Batch[int64]{Values: []int64{1}, Times: []int64{1}}}}
	}
	silent := func(channel int) on { return on{channel, element{kind: idle}} }
	for name, c := range map[string]struct {
		channels int
		elements []on
		want     []string
	}{
		"idle, records, idle again":           {1, []on{silent(0), data(0), silent(0)}, []string{"idle", "idle"}},
		"the slowest decides":                 {2, []on{wm(0, 7), wm(1, 3), wm(1, 5)}, []string{"3", "5"}},
		"one at its end, the other idle":      {2, []on{wm(0, 7), wm(0, MaxWatermark), silent(1)}, []string{"7", "idle"}},
		"one idle, the other then at its end": {2, []on{silent(1), wm(0, 7), wm(0, MaxWatermark)}, []string{"7", "idle"}},
		"what comes back is waited for":       {2, []on{wm(0, 7), wm(0, MaxWatermark), silent(1), data(1), wm(1, 9)}, []string{"7", "idle", "9"}},
		"all idle":                            {2, []on{wm(0, 7), wm(1, 3), silent(0), silent(1)}, []string{"3", "7", "idle"}},
		"all at their end":                    {2, []on{wm(0, 7), wm(1, 3), wm(0, MaxWatermark), wm(1, MaxWatermark)}, []string{"3", "7", "all"}},
	} {
		in := &heard{}
		tk := &task{wake: make(chan struct{}, 1), low: NoTime, aligner: align.New(c.channels, 0), head: in, chain: &Chain{Gates: []Gate{NewGate(nil, 0, cd, in)}}}
		for range c.channels {
			tk.inputs = append(tk.inputs, newInChannel(tk, 0))
		}
		for _, x := range c.elements {
			if err := tk.element(x.channel, tk.inputs[x.channel], &x.e); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(in.log, c.want) {
			t.Errorf("%s: it was told %v, want %v", name, in.log, c.want)
		}
	}
}

// Of watermarks that wait for their records to be sent the newest goes out; but the last of all does not take its place, because a receiver with idle
// inputs goes by the highest that any has brought.
func TestTheLastWatermarkTakesNoOthersPlace(t *testing.T) {
	for _, kind := range []thalwegv1.Partitioning{thalwegv1.Partitioning_PARTITIONING_GLOBAL, thalwegv1.Partitioning_PARTITIONING_BROADCAST} {
		b := newMixedBench(t, codecFor[uint64](t), 2, func(output int) bool { return output == 1 }, Partitioner[uint64]{Kind: kind})
		in := &Batch[uint64]{Values: make([]uint64, 1), Times: make([]int64, 1), Split: -1}
		if err := errors.Join(b.router.Push(in), b.router.Watermark(5), b.router.Watermark(7), b.router.Watermark(MaxWatermark), b.router.flush(true)); err != nil {
			t.Fatal(err)
		}
		var local []int64
		for {
			e, ok, err := b.router.outs[1].local.take()
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			if e.kind == watermark {
				local = append(local, e.at)
			}
		}
		if want := []int64{7, MaxWatermark}; !slices.Equal(local, want) {
			t.Errorf("%v: within the process went %v, want %v", kind, local, want)
		}
		if _, others := b.take(); !reflect.DeepEqual(others, []frameType{frameWatermark, frameWatermark}) {
			t.Errorf("%v: to the other process went %v", kind, others)
		}
	}
}
