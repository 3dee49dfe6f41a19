package flow

import (
	"fmt"
	"math"
	"time"

	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/state"
	"github.com/thalweg-io/thalweg/internal/stream"
)

var negativeInfinity = math.Inf(-1)

// Aggregate gives the result of each window of each key once the watermark has passed its end. A record whose window has been given already is
// late: it is left out and counted. A result's time is the last nanosecond of its window.
func Aggregate[K comparable, T, A, R any](w Windowed[K, T], name string, a Aggregator[T, A, R], o ...Option) Stream[Pane[K, R]] {
	return aggregate[K, T, A, R, Pane[K, R]](w, name, a, func(n *node, next any) (func(Pane[K, R], int64) error, func() error) {
		out := newOut[Pane[K, R]](next)
		return func(p Pane[K, R], at int64) error { out.emit(p, at); return out.err }, out.flush
	}, o...)
}

// AggregateThen makes records of type U out of each result.
func AggregateThen[K comparable, T, A, R, U any](w Windowed[K, T], name string, a Aggregator[T, A, R], f func(p Pane[K, R], out *Out[U]) error, o ...Option) Stream[U] {
	return aggregate[K, T, A, R, U](w, name, a, func(n *node, next any) (func(Pane[K, R], int64) error, func() error) {
		out := newOut[U](next)
		return func(p Pane[K, R], at int64) error {
			out.time = at
			if err := f(p, out); err != nil {
				return &OperatorError{Operator: n.name, Err: err}
			}
			return out.err
		}, out.flush
	}, o...)
}

// aggregate adds a window operator; emitter makes what takes its results in a subtask.
func aggregate[K comparable, T, A, R, U any](w Windowed[K, T], name string, a Aggregator[T, A, R],
	emitter func(n *node, next any) (func(Pane[K, R], int64) error, func() error), o ...Option) Stream[U] {
	s := w.keyed.stream
	n := &node{name: name, kind: "window", at: caller(), takes: elementOf[T]{}, gives: elementOf[U]{}, keyed: true}
	c, err := codec.For[A]()
	if err != nil {
		s.job.fail(n.at, "operator %q: its Aggregator keeps %v, which cannot be state: %w", name, elementOf[A]{}, err)
	} else {
		n.states = []string{"window: " + c.Schema().String()}
	}
	if p := a.check(); p != "" {
		s.job.fail(n.at, "operator %q: %s", name, p)
	}
	n.make = func(b *builder, next any) (any, error) {
		op := &windowing[K, T, A, R, U]{node: n, key: w.keyed.key, window: w.window, a: a, next: next.(stream.Input[U]), late: b.late, watermark: stream.NoTime}
		op.size, op.offset = int64(w.window.size), int64(w.window.offset)
		var err error
		if op.hash, err = codec.BatchHasher[K](); err != nil {
			return nil, err
		}
		if op.keyed, err = newKeyed[K](b, n); err != nil {
			return nil, err
		}
		if op.slices, err = state.NewSlices[K, A](op.keyed, "window"); err != nil {
			return nil, err
		}
		op.emit, op.flush = emitter(n, next)
		op.add = op.addRecord
		b.add(n, op)
		return op, nil
	}
	out := transform[U](s, n, o)
	if p := w.window.check(n.times); p != "" {
		s.job.fail(w.at, "operator %q: %s", name, p)
	}
	n.times = true
	return out
}

// windowing is a window operator in a subtask. One slice is one window.
type windowing[K comparable, T, A, R, U any] struct {
	stream.Base
	node         *node
	key          func(T) K
	hash         func([]uint64, []K)
	window       Window
	size, offset int64
	a            Aggregator[T, A, R]
	next         stream.Input[U]
	late         func(int)
	keyed        *state.Keyed[K]
	slices       *state.Slices[K, A]
	emit         func(Pane[K, R], int64) error
	flush        func() error
	watermark    int64

	// Scratch of one batch.
	keys   []K
	hashes []uint64
	values []T // what add finds the i-th record of a call in
	add    func(i int, a *A, fresh bool)
}

// slice is the number of the window that a time falls into.
func (o *windowing[K, T, A, R, U]) slice(at int64) int64 {
	at -= o.offset
	q := at / o.size
	if at%o.size < 0 {
		q--
	}
	return q
}

// last is the last nanosecond of a window: the watermark that fires it.
func (o *windowing[K, T, A, R, U]) last(slice int64) int64 { return (slice+1)*o.size + o.offset - 1 }

func (o *windowing[K, T, A, R, U]) Push(b *stream.Batch[T]) error {
	n := len(b.Values)
	o.keys = o.keys[:0]
	for _, v := range b.Values {
		o.keys = append(o.keys, o.key(v))
	}
	hashes := b.Hashes
	if len(hashes) != n {
		o.hashes = room(o.hashes, n)
		o.hash(o.hashes, o.keys)
		hashes = o.hashes
	}
	if o.window.kind == global {
		return o.update(0, b.Values, o.keys, hashes)
	}
	// Times of one sender hardly fall, so records of one window come in runs.
	late := 0
	for from := 0; from < n; {
		if b.Times[from] == stream.NoTime {
			return fmt.Errorf("window %s: a record has no event time", o.node.name)
		}
		slice := o.slice(b.Times[from])
		first, last := slice*o.size+o.offset, o.last(slice)
		upto := from + 1
		for upto < n && b.Times[upto] >= first && b.Times[upto] <= last {
			upto++
		}
		if last <= o.watermark {
			late += upto - from
		} else if err := o.update(slice, b.Values[from:upto], o.keys[from:upto], hashes[from:upto]); err != nil {
			return err
		}
		from = upto
	}
	if late > 0 {
		o.late(late)
	}
	return o.keyed.Err()
}

func (o *windowing[K, T, A, R, U]) update(slice int64, values []T, keys []K, hashes []uint64) error {
	o.values = values
	err := o.slices.UpdateBatch(slice, keys, hashes, o.add)
	o.values = nil
	return err
}

// addRecord folds the i-th record of the batch in hand.
func (o *windowing[K, T, A, R, U]) addRecord(i int, a *A, fresh bool) {
	if fresh && o.a.New != nil {
		*a = o.a.New()
	}
	o.a.Add(a, o.values[i])
}

// Watermark gives the windows that it passes, and then goes on itself.
func (o *windowing[K, T, A, R, U]) Watermark(at int64) error {
	if at <= o.watermark {
		return nil
	}
	before := o.watermark
	o.watermark = at
	upto, some := o.passed(at)
	if old, any := o.passed(before); some && (!any || upto > old) {
		if err := o.slices.FireUpTo(upto, o.fire); err != nil {
			return err
		}
		if err := o.flush(); err != nil {
			return err
		}
	}
	return o.next.Watermark(at)
}

// passed is the last window whose end a watermark has passed.
func (o *windowing[K, T, A, R, U]) passed(at int64) (slice int64, ok bool) {
	switch {
	case at == stream.MaxWatermark:
		return math.MaxInt64, true
	case at == stream.NoTime || o.window.kind == global:
		return 0, false
	}
	return o.slice(at+1) - 1, true
}

func (o *windowing[K, T, A, R, U]) fire(slice int64, key K, _ uint64, a *A) error {
	p := Pane[K, R]{Key: key, Value: o.a.Result(a)}
	at := int64(stream.NoTime)
	if o.window.kind != global {
		at = o.last(slice)
		p.Start, p.End = time.Unix(0, slice*o.size+o.offset).UTC(), time.Unix(0, at+1).UTC()
	}
	return o.emit(p, at)
}

func (o *windowing[K, T, A, R, U]) Idle() error                { return o.next.Idle() }
func (o *windowing[K, T, A, R, U]) SplitEnd(split int32) error { return o.next.SplitEnd(split) }
func (o *windowing[K, T, A, R, U]) End() error                 { return o.next.End() }

// Open takes the watermark up again: a window that has been given must not be begun a second time, though the sources' watermarks begin lower.
func (o *windowing[K, T, A, R, U]) Open(c *stream.OpenContext) (err error) {
	if o.watermark, err = watermarkOf(c.Entries()); err != nil {
		return err
	}
	if r := c.Keyed(); r != nil {
		return o.keyed.Restore(r, o.node.uid())
	}
	return nil
}

func (o *windowing[K, T, A, R, U]) Snapshot(s *stream.Snapshot) error {
	s.Entries(watermarkEntry(o.watermark))
	return s.State(o.keyed)
}

func (o *windowing[K, T, A, R, U]) Close() error {
	o.keyed.Close()
	return nil
}
