package flow

import (
	"time"

	"github.com/thalweg-io/thalweg/internal/stream"
)

// batchSize is the number of records that operators gather before they hand them on.
const batchSize = stream.BatchSize

// Out takes what an operator emits. It is valid inside a call of that operator only.
type Out[T any] struct {
	batch stream.Batch[T]
	next  stream.Input[T]
	time  int64 // of the record in hand
	err   error // why nothing can be emitted any more
}

func newOut[T any](next any) *Out[T] {
	o := &Out[T]{next: next.(stream.Input[T]), time: stream.NoTime}
	o.batch.Values = make([]T, 0, batchSize)
	o.batch.Times = make([]int64, 0, batchSize)
	o.batch.Split = -1
	return o
}

// Emit emits v with the time of the record (or timer) in hand. It blocks under backpressure and returns when the task is cancelled.
func (o *Out[T]) Emit(v T) { o.emit(v, o.time) }

// EmitAt emits v with a time of its own.
func (o *Out[T]) EmitAt(v T, at time.Time) { o.emit(v, at.UnixNano()) }

func (o *Out[T]) emit(v T, at int64) {
	if o.err != nil {
		return
	}
	o.batch.Values = append(o.batch.Values, v)
	o.batch.Times = append(o.batch.Times, at)
	if len(o.batch.Values) == batchSize {
		o.err = o.flush()
	}
}

// flush hands on what has been emitted. Nothing may be held back when the operator returns: a barrier could come between.
func (o *Out[T]) flush() error {
	if o.err != nil || len(o.batch.Values) == 0 {
		return o.err
	}
	o.err = o.next.Push(&o.batch)
	clear(o.batch.Values) // what values point to is others' now
	o.batch.Values, o.batch.Times = o.batch.Values[:0], o.batch.Times[:0]
	return o.err
}

// link is the plain half of an operator that gives U: it hands on what is no record.
type link[U any] struct{ next stream.Input[U] }

func linkTo[U any](next any) link[U] { return link[U]{next.(stream.Input[U])} }

func (l *link[U]) Watermark(at int64) error   { return l.next.Watermark(at) }
func (l *link[U]) Idle() error                { return l.next.Idle() }
func (l *link[U]) SplitEnd(split int32) error { return l.next.SplitEnd(split) }
func (l *link[U]) End() error                 { return l.next.End() }

// timeAt is the time of record i of a batch, whose Times may be nil.
func timeAt(times []int64, i int) int64 {
	if times == nil {
		return stream.NoTime
	}
	return times[i]
}
