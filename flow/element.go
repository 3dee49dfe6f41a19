package flow

import (
	"fmt"
	"reflect"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/stream"
)

var sprintf = fmt.Sprintf

// element is a type of records as the untyped graph knows it: what can be made for it without its name. The any of its methods is a
// stream.Input of the type; they run while a task is built, never per record.
type element interface {
	String() string
	// schema is the fingerprint of the type's codec, or why it has none. Only an edge between tasks needs one.
	schema() (uint64, error)
	gate(t *stream.TaskContext, edge int, next any) (stream.Gate, error)
	router(t *stream.TaskContext, e *edge) (any, error)
	fanout(next []any) any
	sideEnd(t *stream.TaskContext, operator string, next any) sideEnd
	beforeSides(in any, ends sideEnds) any
	behindSides(next any, ends sideEnds) any
}

type elementOf[T any] struct{}

func (elementOf[T]) String() string { return reflect.TypeFor[T]().String() }

func (elementOf[T]) schema() (uint64, error) {
	c, err := codec.For[T]()
	if err != nil {
		return 0, err
	}
	return c.Schema().Fingerprint(), nil
}

func (elementOf[T]) gate(t *stream.TaskContext, edge int, next any) (stream.Gate, error) {
	c, err := codec.For[T]()
	if err != nil {
		return nil, err
	}
	return stream.NewGate(t, edge, c, next.(stream.Input[T])), nil
}

func (elementOf[T]) router(t *stream.TaskContext, e *edge) (any, error) {
	c, err := codec.For[T]()
	if err != nil {
		return nil, err
	}
	p := stream.Partitioner[T]{Kind: e.partitioning, ShipHashes: e.shipHashes}
	if e.custom != nil {
		p.Custom = e.custom.(func(T, int) int)
	}
	return stream.NewRouter(t, e.id, c, p), nil
}

func (elementOf[T]) fanout(next []any) any {
	switch len(next) {
	case 0:
		return stream.Input[T](discard[T]{})
	case 1:
		return next[0]
	}
	inputs := make([]stream.Input[T], len(next))
	for i, n := range next {
		inputs[i] = n.(stream.Input[T])
	}
	return stream.NewFanout(inputs...)
}

func (elementOf[T]) sideEnd(t *stream.TaskContext, operator string, next any) sideEnd {
	return newSideOut[T](t, operator, next)
}

func (elementOf[T]) beforeSides(in any, ends sideEnds) any {
	return stream.Input[T](&beforeSides[T]{in.(stream.Input[T]), ends})
}

func (elementOf[T]) behindSides(next any, ends sideEnds) any {
	return stream.Input[T](&behindSides[T]{next.(stream.Input[T]), ends})
}

// discard ends the output of an operator that nobody reads.
type discard[T any] struct{}

func (discard[T]) Push(*stream.Batch[T]) error { return nil }
func (discard[T]) Watermark(int64) error       { return nil }
func (discard[T]) Idle() error                 { return nil }
func (discard[T]) SplitEnd(int32) error        { return nil }
func (discard[T]) End() error                  { return nil }

// partition is how the records of an output reach an operator, as far as the program has said.
type partition struct {
	kind   thalwegv1.Partitioning // unspecified: forward where parallelisms agree, else rebalance
	custom any                    // func(T, int) int
	hash   func(next any) any     // puts the hashing of keys before next

	shipHashes bool // the keys' hashes travel between processes: they cost more to compute anew
}
