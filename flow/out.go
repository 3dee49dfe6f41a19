package flow

import (
	"time"

	"github.com/thalweg-io/thalweg/internal/stream"
)

// batchSize is the number of records that operators gather before they hand them on.
const batchSize = stream.BatchSize

// Out takes what an operator emits. It is valid inside a call of that operator only.
type Out[T any] struct {
	// What has been emitted and not handed on: n of them, below batchSize but inside of Emit. Where nothing can be emitted any more n is the last place,
	// so that the next record comes to more, which says so, and Emit itself has but one thing to ask.
	values *[batchSize]T
	times  *[batchSize]int64
	n      int

	batch stream.Batch[T] // they, on their way
	next  stream.Input[T]
	time  int64 // of the record in hand
	err   error // why nothing can be emitted any more

	// Of an operator that may emit much: see watch.
	task     *stream.TaskContext
	operator string
	inHand   func() uint64 // what tells apart the records that it emits out of; nil: nobody knows
	last     uint64        // of inHand
	full     int           // batches out of that one
}

func newOut[T any](next any) *Out[T] {
	o := &Out[T]{values: new([batchSize]T), times: new([batchSize]int64), next: next.(stream.Input[T]), time: stream.NoTime}
	o.batch.Split = -1
	return o
}

// watch has the task look up each time that a batch is full: whether it is cancelled, and whether a barrier has waited too long for an operator that
// goes on emitting out of one record. inHand tells one record, or timer, from the next; nil: it is not known.
func (o *Out[T]) watch(t *stream.TaskContext, operator string, inHand func() uint64) *Out[T] {
	o.task, o.operator, o.inHand = t, operator, inHand
	return o
}

// Emit emits v with the time of the record (or timer) in hand. It blocks under backpressure. When the task is cancelled it returns at once; emitting more
// then ends the function that does, so that one without an end has one.
func (o *Out[T]) Emit(v T) { // inlined where it is called: a large record is written once, to where it stays
	i := o.n & (batchSize - 1)
	o.values[i], o.times[i] = v, o.time
	if o.n++; o.n == batchSize {
		o.more()
	}
}

// EmitAt emits v with a time of its own.
func (o *Out[T]) EmitAt(v T, at time.Time) { o.emit(v, at.UnixNano()) }

func (o *Out[T]) emit(v T, at int64) {
	i := o.n & (batchSize - 1)
	o.values[i], o.times[i] = v, at
	if o.n++; o.n == batchSize {
		o.more()
	}
}

// more hands on a full batch while the operator may go on.
func (o *Out[T]) more() {
	if o.err != nil {
		o.stop()
		stream.Unwind(o.err)
	}
	if o.push() == nil && o.task != nil {
		batches := 0
		if o.inHand != nil {
			if now := o.inHand(); now != o.last || o.full == 0 {
				o.last, o.full = now, 0
			}
			o.full++
			batches = o.full
		}
		o.err = o.task.Within(o.operator, batches)
	}
	if o.err != nil {
		o.stop()
	}
}

// stop brings the next record to more.
func (o *Out[T]) stop() { o.n = batchSize - 1 }

// flush hands on what has been emitted. Nothing may be held back when the operator returns: a barrier could come between.
func (o *Out[T]) flush() error {
	o.full = 0
	if o.push() != nil {
		o.stop()
	}
	return o.err
}

func (o *Out[T]) push() error {
	if o.err != nil || o.n == 0 {
		return o.err
	}
	o.batch.Values, o.batch.Times = o.values[:o.n], o.times[:o.n]
	o.err = o.next.Push(&o.batch)
	clear(o.values[:o.n]) // what values point to is others' now
	o.n = 0
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
