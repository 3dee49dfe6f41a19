package flow

import (
	"math"

	"github.com/thalweg-io/thalweg/internal/state"
	"github.com/thalweg-io/thalweg/internal/stream"
)

// aligned is the windows whose place follows from the time alone, tumbling and sliding, and the one of all times, which is slice 0 and never ends.
type aligned[K comparable, T, A, R any] struct {
	*giving[K, T, A, R]
	grid
	slices *state.Sliding[K, A]
	length int64 // of a window, in slices
	step   int64
	global bool
	fire   func(last int64, key K, hash uint64, a *A) error
	run    func(first int, run *state.Slots[A])
	values []T // of the slice in hand
}

func newAligned[K comparable, T, A, R any](w Window, k *state.Keyed[K], g *giving[K, T, A, R]) (*aligned[K, T, A, R], error) {
	slice := w.slice()
	o := &aligned[K, T, A, R]{giving: g, grid: gridOf(w), length: int64(w.size / slice), step: int64(w.slide / slice), global: w.kind == global}
	o.fire, o.run = o.fired, o.foldRun
	var err error
	o.slices, err = state.NewSliding[K, A](k, "window", o.length, o.step, g.a.Merge)
	return o, err
}

// grid is how time is cut into slices.
type grid struct{ state.Grid }

func gridOf(w Window) grid { return grid{state.Grid{Width: int64(w.slice()), Offset: int64(w.offset)}} }

// endOf is the time behind a slice.
func (g grid) endOf(slice int64) int64 { return (slice+1)*g.Width + g.Offset }

// last is the last moment of the slice that a time falls into; of one that has none, as time ends before, the time itself.
func (g grid) last(at int64) int64 { return max(g.endOf(g.Of(at))-1, at) }

func (o *aligned[K, T, A, R]) add(values []T, times []int64, keys []K, hashes []uint64) error {
	defer o.counted()
	if o.global {
		return o.update(0, values, keys, hashes)
	}
	// Times of one sender hardly fall, so records of one slice come in runs.
	for from := 0; from < len(values); {
		slice := o.grid.Of(times[from])
		end := o.endOf(slice)
		begin := end - o.Width
		upto := from + 1
		for upto < len(values) && times[upto] >= begin && times[upto] < end {
			upto++
		}
		var err error
		if end-1 > o.reached.now && o.reached.ahead == nil {
			if _, some := o.slices.LastWindow(slice); some {
				err = o.update(slice, values[from:upto], keys[from:upto], hashes[from:upto])
			}
		} else {
			err = o.updateEach(slice, values[from:upto], times[from:upto], keys[from:upto], hashes[from:upto])
		}
		if err != nil {
			return err
		}
		from = upto
	}
	return nil
}

func (o *aligned[K, T, A, R]) update(slice int64, values []T, keys []K, hashes []uint64) error {
	o.values = values
	err := o.slices.UpdateRuns(slice, keys, hashes, o.run)
	o.values = nil
	return err
}

// foldRun folds a run of the slice in hand.
func (o *aligned[K, T, A, R]) foldRun(first int, run *state.Slots[A]) {
	if run.AnyFresh() && o.a.New != nil {
		for i := range run.Len() {
			if run.Fresh(i) {
				*run.At(i) = o.a.New()
			}
		}
	}
	if o.a.fold != nil {
		o.a.fold(run, o.values[first:first+run.Len()])
		return
	}
	add := o.a.Add
	for i, v := range o.values[first : first+run.Len()] {
		add(run.At(i), v)
	}
}

// updateEach folds records of a slice that is over, of some keys at least, into the windows that are not: those still to come, and those that
// Lateness keeps, which are given again.
func (o *aligned[K, T, A, R]) updateEach(slice int64, values []T, times []int64, keys []K, hashes []uint64) error {
	last, some := o.slices.LastWindow(slice)
	if !some {
		return nil
	}
	for i, v := range values {
		now := o.reached.of(hashes[i])
		if o.passed(o.endOf(last)-1, now) {
			if o.partials {
				o.lates += int(o.endOf(slice) - 1 - times[i]) // records beyond the first
			}
			if err := o.late(v, times[i]); err != nil {
				return err
			}
			continue
		}
		if err := o.updateOne(slice, v, keys[i], hashes[i]); err != nil {
			return err
		}
		if err := o.giveAgain(slice, last, now, keys[i], hashes[i]); err != nil {
			return err
		}
	}
	return nil
}

func (o *aligned[K, T, A, R]) updateOne(slice int64, v T, key K, hash uint64) error {
	add := func(a *A, fresh bool) { o.fold(v, a, fresh) }
	if o.endOf(slice)-1 <= o.reached.now {
		return o.slices.Late(slice, key, hash, add)
	}
	return o.slices.UpdateBatch(slice, []K{key}, []uint64{hash}, func(_ int, a *A, fresh bool) { add(a, fresh) })
}

// giveAgain gives the windows of a slice that were given up to now and are still kept.
func (o *aligned[K, T, A, R]) giveAgain(slice, last, now int64, key K, hash uint64) error {
	first := last
	for first-o.step >= slice {
		first -= o.step
	}
	for w := first; w <= last && o.endOf(w)-1 <= now; w += o.step {
		if o.passed(o.endOf(w)-1, now) {
			continue
		}
		if a, some := o.slices.Window(w, key, hash); some {
			if err := o.giveWindow(w, key, &a); err != nil {
				return err
			}
		}
	}
	return nil
}

// fired gives a window that has ended, unless it was given before a restore.
func (o *aligned[K, T, A, R]) fired(last int64, key K, hash uint64, a *A) error {
	if !o.global && o.reached.given(o.endOf(last)-1, hash) {
		return nil
	}
	return o.giveWindow(last, key, a)
}

func (o *aligned[K, T, A, R]) giveWindow(last int64, key K, a *A) error {
	if o.global {
		return o.giveTimeless(key, a)
	}
	end := o.endOf(last)
	return o.give(key, end-o.length*o.Width, end, a)
}

func (o *aligned[K, T, A, R]) advance(at int64) error {
	upto := o.upto(at, 0)
	if upto == math.MinInt64 {
		return nil
	}
	if err := o.slices.Close(upto, o.fire); err != nil {
		return err
	}
	if kept := o.upto(at, o.lateness); kept == math.MaxInt64 {
		o.slices.DropUpTo(kept)
	} else if kept > math.MinInt64 {
		o.slices.DropUpTo(kept + 1 - o.length)
	}
	return nil
}

// upto is the last slice that is over so long before a time.
func (o *aligned[K, T, A, R]) upto(at, before int64) int64 {
	switch {
	case at == stream.MaxWatermark:
		return math.MaxInt64
	case o.global || at < math.MinInt64+before+o.Width+max(o.Offset, 0):
		return math.MinInt64
	}
	return o.grid.Of(at-before+1) - 1
}

func (o *aligned[K, T, A, R]) next() (int64, bool) {
	if o.global {
		return 0, false
	}
	slice, some := o.slices.Next()
	return o.endOf(slice) - 1, some
}

func (o *aligned[K, T, A, R]) resume() error {
	if upto := o.upto(o.reached.now, 0); upto > math.MinInt64 && upto < math.MaxInt64 {
		return o.slices.Resume(upto)
	}
	return nil
}
