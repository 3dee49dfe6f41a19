package flow

import (
	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/state"
	"github.com/thalweg-io/thalweg/internal/stream"
)

// Entry is a key and what was computed for it.
type Entry[K comparable, R any] struct {
	Key   K
	Value R
}

// Rolling folds each record into the aggregate of its key and gives the result so far: one record out for each in, with its time. The aggregates
// are kept for ever.
func Rolling[K comparable, T, A, R any](s Keyed[K, T], name string, a Aggregator[T, A, R], o ...Option) Stream[Entry[K, R]] {
	n := &node{name: name, kind: "rolling", at: caller(), takes: elementOf[T]{}, gives: elementOf[Entry[K, R]]{}, keyed: true}
	aggregating(s.stream.job, n, "aggregate", a)
	n.make = func(b *builder, next any) (any, error) {
		op := &rolling[K, T, A, R]{link: linkTo[Entry[K, R]](next), node: n, a: a}
		var err error
		if op.by, err = newKeying(s.key); err != nil {
			return nil, err
		}
		if op.keyed, err = newKeyed[K](b, n); err != nil {
			return nil, err
		}
		if op.values, err = state.NewValue[K, A](op.keyed, "aggregate"); err != nil {
			return nil, err
		}
		op.fold = op.foldRun
		b.add(n, op)
		return op, nil
	}
	return transform[Entry[K, R]](s.stream, n, o)
}

// aggregating checks what an operator needs of its Aggregator, whose A becomes state under a name.
func aggregating[T, A, R any](j *Job, n *node, name string, a Aggregator[T, A, R]) {
	c, err := codec.For[A]()
	if err != nil {
		j.fail(n.at, "operator %q: its Aggregator keeps %v, which cannot be state: %w", n.name, elementOf[A]{}, err)
	} else {
		n.states = []string{name + ": " + c.Schema().String()}
	}
	if p := a.check(); p != "" {
		j.fail(n.at, "operator %q: %s", n.name, p)
	}
}

// rolling is a Rolling operator in a subtask.
type rolling[K comparable, T, A, R any] struct {
	stream.Base
	link[Entry[K, R]]
	node   *node
	by     keying[K, T]
	a      Aggregator[T, A, R]
	keyed  *state.Keyed[K]
	values *state.Value[K, A]
	fold   func(first int, run *state.Slots[A])

	// Scratch of one batch.
	in      []T
	results [state.Run]R
	out     stream.Batch[Entry[K, R]]
}

func (o *rolling[K, T, A, R]) Push(b *stream.Batch[T]) error {
	keys, hashes := o.by.of(b)
	o.in, o.out.Values = b.Values, room(o.out.Values, len(keys))
	err := o.values.UpdateRuns(keys, hashes, o.fold)
	o.in = nil
	if err != nil {
		return err
	}
	o.out.Times, o.out.Split = b.Times, b.Split
	err = o.next.Push(&o.out)
	o.out.Times = nil
	return err
}

// foldRun folds a run of the batch in hand.
func (o *rolling[K, T, A, R]) foldRun(first int, run *state.Slots[A]) {
	n := run.Len()
	in, keys, out := o.in[first:first+n], o.by.keys[first:first+n], o.out.Values[first:first+n]
	add, result := o.a.Add, o.a.Result
	if run.AnyFresh() && o.a.New != nil {
		for i := range n {
			if run.Fresh(i) {
				*run.At(i) = o.a.New()
			}
		}
	}
	if o.a.roll != nil {
		results := &o.results
		o.a.roll(run, in, results[:])
		for i, key := range keys {
			out[i] = Entry[K, R]{key, results[i&(state.Run-1)]}
		}
		return
	}
	for i, v := range in {
		a := run.At(i)
		add(a, v)
		out[i] = Entry[K, R]{keys[i], result(a)}
	}
}

func (o *rolling[K, T, A, R]) Open(c *stream.OpenContext) error {
	if r := c.Keyed(); r != nil {
		return o.keyed.Restore(r, o.node.uid())
	}
	return nil
}

func (o *rolling[K, T, A, R]) Snapshot(s *stream.Snapshot) error {
	return s.State(o.keyed)
}

func (o *rolling[K, T, A, R]) Close() error {
	o.keyed.Close()
	return nil
}
