package stream

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

// unconsumedOf is what a sender has no credit for.
func unconsumedOf(o *outChannel) tally { return tally{int(o.unconsumed.Load()), o.weight.Load()} }

// TestNothingMoreThanTheWindowIsUnconsumed: a sender whose receiver stands still waits, with few bytes on the way, and goes on as far as credit comes.
func TestNothingMoreThanTheWindowIsUnconsumed(t *testing.T) {
	for _, size := range []int{0, 100, 10 << 10, 200 << 10, 3 << 20} {
		for _, local := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d bytes, local %v", size, local), func(t *testing.T) {
				b := newBench(t, codecFor[letter](t), 1, local, Partitioner[letter]{Kind: thalwegv1.Partitioning_PARTITIONING_GLOBAL})
				o := b.router.outs[0]
				in := &Batch[letter]{Split: -1}
				text := strings.Repeat("x", size)
				for range 5 * window * BatchSize { // more than four times a window
					in.Values, in.Times = append(in.Values, letter{1, text}), append(in.Times, NoTime)
				}
				over := make(chan error, 1)
				go func() { over <- b.router.Push(in) }()
				check := func() {
					for ; o.fits(); runtime.Gosched() { // the sender works
						select {
						case err := <-over:
							t.Fatalf("the sender came back: %v", err)
						default:
						}
					}
					if n := o.unconsumed.Load(); n > window {
						t.Fatalf("%d batches are unconsumed, of %d", n, window)
					}
					if w := o.weight.Load(); w >= windowBytes+int64(max(fullFrame, size+1<<10)) {
						t.Fatalf("%d bytes are unconsumed, of %d and one frame", w, windowBytes)
					}
				}
				check()
				for range 3 {
					batches, bytes := o.unconsumed.Load(), o.weight.Load()
					o.credit(int(batches), bytes)
					check()
				}
				b.cancel()
				if err := <-over; !errors.Is(err, ErrCancelled) {
					t.Fatalf("a cancelled sender: %v", err)
				}
			})
		}
	}
}

// TestCreditIsNeverKeptForEver: when everything sent is consumed, there is room for a slice of work again, though credit comes late.
func TestCreditIsNeverKeptForEver(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for round := range 2000 {
		o := newOutChannel(&task{wake: make(chan struct{}, 1), credit: make(chan struct{}, 1)}, 0)
		in := newInChannel(o.task, 0)
		if !in.connect(o) {
			t.Fatal("not connected")
		}
		largest := []int{0, 100, 8 << 10, fullFrame, maxFrame}[round%5]
		for range 50 {
			if !o.room() {
				t.Fatalf("round %d: nothing is on its way, and %d batches of %d bytes are unconsumed", round, o.unconsumed.Load(), o.weight.Load())
			}
			n := 0
			for limit := 1 + r.IntN(2*window); o.fits() && n < limit; n++ {
				w := r.IntN(largest + 1)
				o.sends(w)
				in.put(element{kind: records, weight: w})
			}
			for range n {
				if _, ok, err := in.take(); !ok || err != nil {
					t.Fatal(ok, err)
				}
				in.pace.since -= r.Int64N(1 << (round % 32)) // up to two seconds pass
				in.consumed()
			}
		}
	}
}

// TestCreditForWhatWasNotSent is refused: it would open the window for ever.
func TestCreditForWhatWasNotSent(t *testing.T) {
	o := &outChannel{}
	o.sends(100)
	for _, c := range []struct {
		batches int
		bytes   int64
		want    bool
	}{{1, 100, true}, {1, 0, true}, {2, 100, false}, {1, 101, false}, {0, -1, false}} {
		if got := o.owes(c.batches, c.bytes); got != c.want {
			t.Errorf("%d batches of %d bytes for one of 100: %v", c.batches, c.bytes, got)
		}
	}
}
