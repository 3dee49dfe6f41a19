// Package stream runs the tasks of one job in one process: chains of operators over typed batches, the channels between them
// (by pointer inside the process, by TCP between processes), watermarks, barriers and snapshots. A task is one goroutine that
// owns its chain; nothing else touches its state. The package knows no leader and no user type: what is typed is behind closures
// that the flow package brings, and commands and reports cross the Host.
//
// It never waits for a leader: with none, everything runs on, and only checkpoints stop.
package stream

import (
	"errors"
	"math"
)

// NoTime is the time of a record that has none, and MaxWatermark the watermark behind which nothing comes.
const (
	NoTime       int64 = math.MinInt64
	MaxWatermark int64 = math.MaxInt64
)

// BatchSize is how many records a full batch has: more fall out of the first-level cache, fewer make dear writes.
const BatchSize = 1024

// ErrCancelled ends a task that was told to stop. Operators return it as they got it.
var ErrCancelled = errors.New("cancelled")

// Batch is records in columns. It is borrowed: valid until the Push that it was given to returns, and never kept; its values are
// immutable and may be.
type Batch[T any] struct {
	Values []T
	Times  []int64  // event time in nanoseconds since 1970, or NoTime; one for each value
	Hashes []uint64 // of the keys, one for each value; none until keyed
	Split  int32    // the source's split that all its records come from; -1: none
}

// Len is the number of records.
func (b *Batch[T]) Len() int { return len(b.Values) }

// Reset empties the batch and keeps its memory.
func (b *Batch[T]) Reset() {
	clear(b.Values) // strings and slices in it must not live on
	b.Values, b.Times, b.Hashes, b.Split = b.Values[:0], b.Times[:0], b.Hashes[:0], -1
}

// Control is the untyped side of an Input.
type Control interface {
	// Watermark says that no record with an earlier or equal time follows. It only grows.
	Watermark(at int64) error
	// Idle says that the watermark is not to be waited for until something comes.
	Idle() error
	// SplitEnd says that a source's split is read to its end.
	SplitEnd(split int32) error
	// End says that nothing follows but barriers. Operators emit what they still hold. It comes once, behind MaxWatermark.
	End() error
}

// Input is the typed entry of an operator, a router or a sink: one dynamic call a batch.
type Input[T any] interface {
	Push(b *Batch[T]) error
	Control
}

// Fanout hands everything to several inputs, in order.
type fanout[T any] []Input[T]

// NewFanout joins inputs into one.
func NewFanout[T any](next ...Input[T]) Input[T] {
	if len(next) == 1 {
		return next[0]
	}
	return fanout[T](next)
}

func (f fanout[T]) Push(b *Batch[T]) error {
	for _, n := range f {
		if err := n.Push(b); err != nil {
			return err
		}
	}
	return nil
}

func (f fanout[T]) each(do func(Input[T]) error) error {
	for _, n := range f {
		if err := do(n); err != nil {
			return err
		}
	}
	return nil
}

func (f fanout[T]) Watermark(at int64) error {
	return f.each(func(n Input[T]) error { return n.Watermark(at) })
}
func (f fanout[T]) Idle() error { return f.each(Input[T].Idle) }
func (f fanout[T]) SplitEnd(s int32) error {
	return f.each(func(n Input[T]) error { return n.SplitEnd(s) })
}
func (f fanout[T]) End() error { return f.each(Input[T].End) }
