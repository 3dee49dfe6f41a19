package flow

import "context"

// Handler2 is what Connect does. Left and Right are required. They never run concurrently; in what order records of the two inputs come is open.
type Handler2[K comparable, A, B, U any] struct {
	Open  func(context.Context) error
	Left  func(c *Ctx[K], v A, out *Out[U]) error
	Right func(c *Ctx[K], v B, out *Out[U]) error
	Close func() error
}

// Connect reads two streams that share keys, state and timers. Its watermark is the lower one of its inputs'; an input that is idle, or has ended,
// holds nobody up. The factory runs once when the job is built, which declares state, timers and side outputs, and once in each subtask.
func Connect[K comparable, A, B, U any](a Keyed[K, A], b Keyed[K, B], name string, f func(*Op[K]) Handler2[K, A, B, U], o ...Option) Stream[U] {
	n := &node{name: name, kind: "connect", at: caller(), takes: elementOf[A]{}, right: elementOf[B]{}, gives: elementOf[U]{}, keyed: true}
	return connect(a, b, n, f, o)
}

// connect adds an operator with two keyed inputs.
func connect[K comparable, A, B, U any](a Keyed[K, A], b Keyed[K, B], n *node, f func(*Op[K]) Handler2[K, A, B, U], o []Option) Stream[U] {
	declareOperator(a.stream.job, n, func(op *Op[K]) {
		h := f(op)
		if h.Left == nil {
			op.problem("its Handler2 has no Left function")
		}
		if h.Right == nil {
			op.problem("its Handler2 has no Right function")
		}
	})
	n.make = func(build *builder, next any) (any, error) {
		var h Handler2[K, A, B, U]
		p, err := newOperating[K, U](build, n, next, func(op *Op[K]) (opens func(context.Context) error, closes func() error) {
			h = f(op)
			return h.Open, h.Close
		})
		if err != nil {
			return nil, err
		}
		left, err := newKeyedInput(p, a.key, h.Left)
		if err != nil {
			return nil, err
		}
		right, err := newKeyedInput(p, b.key, h.Right)
		if err != nil {
			return nil, err
		}
		return twoInputs{left, right, p}, nil
	}
	return transform2[U](a.stream, b.stream, n, o)
}

// transform2 adds an operator behind two streams.
func transform2[U, A, B any](a Stream[A], b Stream[B], n *node, o []Option) Stream[U] {
	if a.job == nil || b.job == nil {
		panic("flow: operator " + n.name + " at " + n.at.String() + ": one of its inputs is the zero Stream")
	}
	if a.job != b.job {
		a.job.fail(n.at, "operator %q: its inputs are streams of two jobs: a stream is of use only in the build function that made it", n.name)
		b.outs = nil
	}
	a.job.add(n, o)
	n.connect(a.outs, b.outs)
	return streamOf[U](a.job, n)
}
