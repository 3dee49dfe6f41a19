package flow

import (
	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/state"
	"github.com/thalweg-io/thalweg/internal/stream"
)

// A window operator behind an exchange that crosses tasks is split in two: at the sender's end a combiner folds the records of a slice and a key
// into one partial aggregate, and the window operator merges what all senders have. What travels is always (key, A) instead of records, so the
// edge has one type and one order, whether the combiner has found records of a kind or not. docs/adr/0007 says what is not split, and why.

// partial is what some records of one key became, all of one slice. Its time is in the slice: the last moment of it, less 1 ns for each of the
// records beyond the first, as far as the slice is long. So it takes no room of its own on the way, and a receiver can count those that are late.
type partial[K comparable, A any] struct {
	Key K
	A   A
}

// NoPreAggregation sends the records of an operator as they are to the task that keeps its state, instead of aggregates of some of them: for an
// aggregate that is larger than all of the records that it is made of.
func NoPreAggregation() Option { return Option{func(s *settings) { s.records = true }} }

// split is how an operator takes partial aggregates instead of records.
type split struct {
	takes element // partial[K, A]
	// make makes the operator that merges them, in place of the node's own.
	make func(b *builder, next any) (any, error)
	// combiner makes what stands before the router of an edge; next is the router.
	combiner func(next any) (any, error)
}

// combiningOperator is a combiner without its types.
type combiningOperator interface {
	stream.Operator
	stream.Alarm
	clocked() bool // it has to be woken
}

// divide splits a node between its inputs' tasks and its own, if it can be and all of its inputs are other tasks.
func (j *Job) divide(n *node) {
	if n.split == nil || n.settings.records {
		return
	}
	for _, e := range n.inputs {
		if e.chained || e.partitioning != thalwegv1.Partitioning_PARTITIONING_HASH {
			return
		}
	}
	n.takes, n.make = n.split.takes, n.split.make
	for _, e := range n.inputs {
		e.gives, e.combiner = n.split.takes, n.split.combiner
	}
}

// partialsSuffix makes the uid of a combiner; no name can contain it. It has no state.
const partialsSuffix = "#partials"

// combine makes what takes the records of an edge whose operator is split, in the sender's task.
func (e *edge) combine(b *builder) (any, error) {
	router, err := e.gives.router(b.t, e)
	if err != nil {
		return nil, err
	}
	in, err := e.combiner(router)
	if err != nil {
		return nil, err
	}
	op := in.(combiningOperator)
	b.chain.Operators = append(b.chain.Operators, stream.NamedOperator{UID: sprintf("%s%s%d", e.to.uid(), partialsSuffix, e.id), Operator: op})
	if op.clocked() {
		b.chain.Alarms = append(b.chain.Alarms, op)
	}
	return in, nil
}

// splitWindows is how windows are split; nil: they are not. Sessions have no slices, and what goes to LateTo has to be the record itself.
func splitWindows[K comparable, T, A, R any](w Windowed[K, T], n *node, a Aggregator[T, A, R],
	operator func(b *builder, next any, w Windowed[K, partial[K, A]], g *giving[K, partial[K, A], A, R]) (any, error)) *split {
	if w.window.kind == session || w.options.lateTo != nil || w.window.problem() != "" {
		return nil
	}
	merging := Windowed[K, partial[K, A]]{keyed: Keyed[K, partial[K, A]]{key: func(p partial[K, A]) K { return p.Key }}, window: w.window, options: w.options}
	return &split{
		takes: elementOf[partial[K, A]]{},
		make: func(b *builder, next any) (any, error) {
			return operator(b, next, merging, &giving[K, partial[K, A], A, R]{a: mergingOf[K](a), partials: true})
		},
		combiner: func(next any) (any, error) {
			return newCombiner(n, w.keyed.key, a, w.window, next.(stream.Input[partial[K, A]]))
		},
	}
}

// mergingOf is an aggregator of the partial aggregates of another.
func mergingOf[K comparable, T, A, R any](a Aggregator[T, A, R]) Aggregator[partial[K, A], A, R] {
	merge := a.Merge
	merging := Aggregator[partial[K, A], A, R]{
		Add:    func(sum *A, p partial[K, A]) { merge(sum, &p.A) },
		Merge:  merge,
		Result: a.Result,
	}
	if a.neutral {
		merging.New = a.New
		merging.fold = func(run *state.Slots[A], in []partial[K, A]) {
			for i := range in {
				merge(run.At(i), &in[i].A)
			}
		}
		return merging
	}
	merging.first = func(p partial[K, A]) A { return p.A }
	merging.fold = func(run *state.Slots[A], in []partial[K, A]) {
		for i := range in {
			if run.Fresh(i) {
				*run.At(i) = in[i].A
			} else {
				merge(run.At(i), &in[i].A)
			}
		}
	}
	return merging
}

// fixedSize reports whether all values of a type take equally much memory.
func fixedSize[A any]() bool {
	_, fixed := codec.FixedSize[A]()
	return fixed
}
