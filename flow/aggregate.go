package flow

import (
	"github.com/thalweg-io/thalweg/internal/stream"
)

// Aggregate gives the result of each window of each key once the watermark has passed its end. A record all of whose windows have been given, and
// are not kept by Lateness, is late: it is left out and counted, or goes to the side output that LateTo names. A result's time is the last
// nanosecond of its window.
func Aggregate[K comparable, T, A, R any](w Windowed[K, T], name string, a Aggregator[T, A, R], o ...Option) Stream[Pane[K, R]] {
	return aggregate[K, T, A, R, Pane[K, R]](w, name, a, plainPanes[K, R], o)
}

// AggregateThen makes records of type U out of each result.
func AggregateThen[K comparable, T, A, R, U any](w Windowed[K, T], name string, a Aggregator[T, A, R], f func(p Pane[K, R], out *Out[U]) error, o ...Option) Stream[U] {
	return aggregate[K, T, A, R, U](w, name, a, func(b *builder, n *node, next any) (func(Pane[K, R], int64) error, func() error) {
		panes := uint64(0)
		out := newOut[U](next).watch(b.t, n.name, func() uint64 { return panes })
		return func(p Pane[K, R], at int64) error {
			panes++
			out.time = at
			if err := f(p, out); err != nil {
				return &OperatorError{Operator: n.name, Err: err}
			}
			return out.err
		}, out.flush
	}, o)
}

// Reduce makes one record of all of a window by a function of two, of which the first is the earlier as far as that is known.
func Reduce[K comparable, T any](w Windowed[K, T], name string, f func(a, b T) T, o ...Option) Stream[Pane[K, T]] {
	return aggregate[K, T, Reduced[T], T, Pane[K, T]](w, name, reducer(f), plainPanes[K, T], o)
}

// plainPanes emits panes as they are.
func plainPanes[K comparable, R any](b *builder, n *node, next any) (func(Pane[K, R], int64) error, func() error) {
	out := newOut[Pane[K, R]](next).watch(b.t, n.name, nil)
	return func(p Pane[K, R], at int64) error { out.emit(p, at); return out.err }, out.flush
}

// aggregate adds a window operator; emitter makes what takes its results in a subtask.
func aggregate[K comparable, T, A, R, U any](w Windowed[K, T], name string, a Aggregator[T, A, R],
	emitter func(b *builder, n *node, next any) (func(Pane[K, R], int64) error, func() error), o []Option) Stream[U] {
	s := w.keyed.stream
	n := &node{name: name, kind: "window", at: caller(), takes: elementOf[T]{}, gives: elementOf[U]{}, keyed: true}
	aggregating(s.job, n, "window", a)
	late, hasLate := lateOutput[T](s.job, n, w.options)
	n.make = func(b *builder, next any) (any, error) {
		g := &giving[K, T, A, R]{a: a}
		if hasLate {
			to, err := sideOf(b.ends, late)
			if err != nil {
				return nil, err
			}
			g.lateTo = func(v T, at int64) error { to.emit(v, at); return to.err }
		}
		return operate[K, T, A, R, U](b, n, next, w, g, emitter)
	}
	n.split = splitWindows(w, n, a, func(b *builder, next any, w Windowed[K, partial[K, A]], g *giving[K, partial[K, A], A, R]) (any, error) {
		return operate[K, partial[K, A], A, R, U](b, n, next, w, g, emitter)
	})
	out := transform[U](s, n, o)
	if p := w.window.check(n.times, w.options); p != "" {
		s.job.fail(w.at, "operator %q: %s", name, p)
	}
	n.times = n.times || w.window.kind == global
	return out
}

// operate makes a window operator of one subtask.
func operate[K comparable, T, A, R, U any](b *builder, n *node, next any, w Windowed[K, T], g *giving[K, T, A, R],
	emitter func(b *builder, n *node, next any) (func(Pane[K, R], int64) error, func() error)) (any, error) {
	g.lateness, g.count = int64(w.options.lateness), b.late
	k, err := newKeyed[K](b, n)
	if err != nil {
		return nil, err
	}
	var flush func() error
	g.emit, flush = emitter(b, n, next)
	op, err := newWindowing(n, w, k, g, next.(stream.Input[U]), flush)
	if err != nil {
		k.Close()
		return nil, err
	}
	if w.window.processing {
		op.clock = b.t.Now
		b.chain.Alarms = append(b.chain.Alarms, op)
	}
	b.add(n, op)
	return op, nil
}

// lateOutput declares the side output that LateTo names, if it does.
func lateOutput[T any](j *Job, n *node, o windowOptions) (to SideOutput[T], some bool) {
	if o.lateTo == nil {
		return to, false
	}
	to, same := o.lateTo.(SideOutput[T])
	switch p := o.lateTo.problem(); {
	case p != "":
		j.fail(n.at, "operator %q: LateTo: %s", n.name, p)
	case !same:
		j.fail(n.at, "operator %q: LateTo: side output %q has records of %v, and the windows of %v: records that are late come out as they are",
			n.name, o.lateTo.side().name, o.lateTo.side().gives, elementOf[T]{})
	default:
		n.sides = append(n.sides, to.side())
	}
	return to, same
}
