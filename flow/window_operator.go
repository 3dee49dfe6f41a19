package flow

import (
	"fmt"
	"time"

	"github.com/thalweg-io/thalweg/internal/state"
	"github.com/thalweg-io/thalweg/internal/stream"
)

// windowing is a window operator in a subtask. What it does with windows is its cut's affair.
type windowing[K comparable, T, U any] struct {
	stream.Base
	node      *node
	by        keying[K, T]
	next      stream.Input[U]
	keyed     *state.Keyed[K]
	cut       windows[K, T]
	flush     func() error
	global    bool
	clock     func() int64 // of processing time, which whoever makes it sets; nil: event time
	watermark int64
	reached   *reached // what cut has been told: the watermark, or the clock
	from, to  int      // own key groups, of max
	max       int

	times []int64 // scratch of one batch
}

// newWindowing makes an operator that has its state in k and gives by g; flush hands on what g has emitted.
func newWindowing[K comparable, T, A, R, U any](n *node, w Windowed[K, T], k *state.Keyed[K], g *giving[K, T, A, R], next stream.Input[U], flush func() error) (*windowing[K, T, U], error) {
	o := &windowing[K, T, U]{node: n, keyed: k, next: next, flush: flush, watermark: stream.NoTime, global: w.window.kind == global}
	g.reached = reached{now: stream.NoTime}
	o.reached = &g.reached
	o.from, o.to, o.max = k.Groups()
	var err error
	if o.by, err = newKeying(w.keyed.key); err != nil {
		return nil, err
	}
	o.cut, err = cutter(w.window, k, g)
	return o, err
}

// windows keeps the windows of all keys.
type windows[K comparable, T any] interface {
	// add folds a batch of records.
	add(values []T, times []int64, keys []K, hashes []uint64) error
	// advance gives the windows that end up to a time, which only grows and has been noted as reached.
	advance(at int64) error
	// next is the earliest time that advance may have something to give at, if there is one.
	next() (int64, bool)
	// resume goes on behind a restore, from what has been noted as reached.
	resume() error
}

// cutter makes what keeps windows of a kind.
func cutter[K comparable, T, A, R any](w Window, k *state.Keyed[K], g *giving[K, T, A, R]) (windows[K, T], error) {
	if w.kind == session {
		return newSessions(w, k, g)
	}
	return newAligned(w, k, g)
}

// giving is what all windows of an operator share: how records become results, and what becomes of those that are late.
type giving[K comparable, T, A, R any] struct {
	a        Aggregator[T, A, R]
	partials bool // records are aggregates that a sender has made
	lateness int64
	reached  reached // windows up to here have been given
	emit     func(Pane[K, R], int64) error
	lateTo   func(v T, at int64) error // nil: nowhere
	count    func(int)                 // of records that are late
	lates    int                       // of the batch in hand

	begin, end int64 // of the pane that was given last
	pane       Pane[K, R]
}

// give emits the result of the window [begin, end) of a key; end is NoTime for one that has no time.
func (g *giving[K, T, A, R]) give(key K, begin, end int64, a *A) error {
	if begin != g.begin || end != g.end {
		g.begin, g.end = begin, end
		g.pane.Start, g.pane.End = time.Unix(0, begin).UTC(), time.Unix(0, end).UTC()
	}
	p := g.pane
	p.Key, p.Value = key, g.a.Result(a)
	return g.emit(p, end-1)
}

// giveTimeless emits the result of a window that has no time.
func (g *giving[K, T, A, R]) giveTimeless(key K, a *A) error {
	return g.emit(Pane[K, R]{Key: key, Value: g.a.Result(a)}, stream.NoTime)
}

// fold adds a record.
func (g *giving[K, T, A, R]) fold(v T, a *A, fresh bool) {
	switch {
	case fresh && g.a.first != nil:
		*a = g.a.first(v)
		return
	case fresh && g.a.New != nil:
		*a = g.a.New()
	}
	g.a.Add(a, v)
}

// late leaves a record out.
func (g *giving[K, T, A, R]) late(v T, at int64) error {
	g.lates++
	if g.lateTo != nil {
		return g.lateTo(v, at)
	}
	return nil
}

// counted ends a batch.
func (g *giving[K, T, A, R]) counted() {
	if g.lates > 0 {
		g.count(g.lates)
		g.lates = 0
	}
}

// passed reports whether a window whose last moment this is has gone, Lateness included, when windows up to now have been given.
func (g *giving[K, T, A, R]) passed(last, now int64) bool {
	return now >= last && now-g.lateness >= last // the first, because now may be the least number
}

func (o *windowing[K, T, U]) Push(b *stream.Batch[T]) error {
	keys, hashes := o.by.of(b)
	times := b.Times
	switch {
	case o.clock != nil:
		var err error
		if times, err = o.stamp(len(keys)); err != nil {
			return err
		}
	case o.global:
		times = nil
	default:
		for _, at := range times {
			if at == stream.NoTime {
				return fmt.Errorf("window %s: a record has no event time", o.node.name)
			}
		}
	}
	if err := o.cut.add(b.Values, times, keys, hashes); err != nil {
		return err
	}
	return o.settle()
}

// settle ends a call: nothing may be held back when it returns.
func (o *windowing[K, T, U]) settle() error {
	if err := o.keyed.Err(); err != nil {
		return err
	}
	return o.flush()
}

// stamp gives n records the present time. Windows that end before it are given first, so that they are full.
func (o *windowing[K, T, U]) stamp(n int) ([]int64, error) {
	now := max(o.clock(), o.reached.now+1) // a clock may go back
	if err := o.advance(now - 1); err != nil {
		return nil, err
	}
	o.times = room(o.times, n)
	for i := range o.times {
		o.times[i] = now
	}
	return o.times, nil
}

// tick gives the windows of processing time that have ended, and says when to be called next, at the latest; 0: any time.
func (o *windowing[K, T, U]) tick(now int64) (next int64, err error) {
	if o.clock == nil {
		return 0, nil
	}
	if err := o.advance(now - 1); err != nil {
		return 0, err
	}
	last, some := o.cut.next()
	if !some {
		return 0, nil
	}
	return last + 1, nil
}

// advance has what ends up to a time given.
func (o *windowing[K, T, U]) advance(at int64) error {
	if at <= o.reached.now {
		return nil
	}
	o.reached.now = at
	if err := o.cut.advance(at); err != nil {
		return err
	}
	o.reached.settle()
	return o.settle()
}

// Next implements stream.Alarm, for windows of processing time.
func (o *windowing[K, T, U]) Next() (int64, bool) {
	last, some := o.cut.next()
	return last + 1, some
}

// Ring implements stream.Alarm.
func (o *windowing[K, T, U]) Ring(now int64) error {
	_, err := o.tick(now)
	return err
}

// Watermark gives the windows that it passes, and then goes on itself. The last one ends windows of processing time as well.
func (o *windowing[K, T, U]) Watermark(at int64) error {
	if at <= o.watermark {
		return nil
	}
	o.watermark = at
	if o.clock == nil || at == stream.MaxWatermark {
		if err := o.advance(at); err != nil {
			return err
		}
	}
	return o.next.Watermark(at)
}

func (o *windowing[K, T, U]) Idle() error                { return o.next.Idle() }
func (o *windowing[K, T, U]) SplitEnd(split int32) error { return o.next.SplitEnd(split) }
func (o *windowing[K, T, U]) End() error                 { return o.next.End() }

// Open takes the watermark up again: a window that has been given must not be begun a second time, though the sources' watermarks begin lower.
func (o *windowing[K, T, U]) Open(c *stream.OpenContext) error {
	r := c.Keyed()
	if r == nil {
		return nil
	}
	at, err := restoreReached(r.Entries(o.node.uid()), o.from, o.to, o.max)
	if err != nil {
		return err
	}
	if err := o.keyed.Restore(r, o.node.uid()); err != nil {
		return err
	}
	return o.resume(at)
}

// resume goes on with restored state, behind what has been given.
func (o *windowing[K, T, U]) resume(at reached) error {
	if *o.reached = at; o.clock == nil {
		o.watermark = at.now
	}
	return o.cut.resume()
}

func (o *windowing[K, T, U]) Snapshot(s *stream.Snapshot) error {
	s.Entries(o.reached.entries(o.from, o.to)...)
	return s.State(o.keyed)
}

func (o *windowing[K, T, U]) Close() error {
	o.keyed.Close()
	return nil
}
