package flow

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/thalweg-io/thalweg/internal/stream"
)

// Map makes one record of each.
func Map[T, U any](s Stream[T], name string, f func(T) U, o ...Option) Stream[U] {
	n := &node{name: name, kind: "map", at: caller(), takes: elementOf[T]{}, gives: elementOf[U]{}}
	n.make = func(_ *builder, next any) (any, error) {
		return &mapper[T, U]{link: linkTo[U](next), f: f}, nil
	}
	return transform[U](s, n, o)
}

type mapper[T, U any] struct {
	link[U]
	f   func(T) U
	out stream.Batch[U]
}

func (m *mapper[T, U]) Push(b *stream.Batch[T]) error {
	values, f := room(m.out.Values, len(b.Values)), m.f
	for i, v := range b.Values {
		values[i] = f(v)
	}
	m.out = stream.Batch[U]{Values: values, Times: b.Times, Split: b.Split}
	return m.next.Push(&m.out)
}

// MapInto makes one record of each, where it lies: f fills *out, which begins as the zero value. It is for records of more than four fields or 32
// bytes: one that a function returns goes through the stack, which costs more than most functions do (about 25 ns a record). f changes nothing of
// *in and keeps neither pointer.
func MapInto[T, U any](s Stream[T], name string, f func(in *T, out *U), o ...Option) Stream[U] {
	n := &node{name: name, kind: "map", at: caller(), takes: elementOf[T]{}, gives: elementOf[U]{}}
	n.make = func(_ *builder, next any) (any, error) {
		return &fillingMapper[T, U]{link: linkTo[U](next), f: f}, nil
	}
	return transform[U](s, n, o)
}

type fillingMapper[T, U any] struct {
	link[U]
	f   func(*T, *U)
	out stream.Batch[U]
}

func (m *fillingMapper[T, U]) Push(b *stream.Batch[T]) error {
	in, values, f := b.Values, room(m.out.Values, len(b.Values)), m.f
	clear(values)
	for i := range in {
		f(&in[i], &values[i])
	}
	m.out = stream.Batch[U]{Values: values, Times: b.Times, Split: b.Split}
	return m.next.Push(&m.out)
}

// MapBatch sees a batch at a time: f appends to out and returns it. For code that is faster over slices. It makes one record of each, in order,
// so that each keeps its time.
func MapBatch[T, U any](s Stream[T], name string, f func(in []T, out []U) []U, o ...Option) Stream[U] {
	n := &node{name: name, kind: "map", at: caller(), takes: elementOf[T]{}, gives: elementOf[U]{}}
	n.make = func(_ *builder, next any) (any, error) {
		return &batchMapper[T, U]{link: linkTo[U](next), f: f}, nil
	}
	return transform[U](s, n, o)
}

type batchMapper[T, U any] struct {
	link[U]
	f   func([]T, []U) []U
	out stream.Batch[U]
}

func (m *batchMapper[T, U]) Push(b *stream.Batch[T]) error {
	values := m.f(b.Values, m.out.Values[:0])
	if len(values) != len(b.Values) {
		return fmt.Errorf("MapBatch was given %d records and returned %d: it makes one of each; use FlatMap for another number", len(b.Values), len(values))
	}
	m.out = stream.Batch[U]{Values: values, Times: b.Times, Split: b.Split}
	return m.next.Push(&m.out)
}

// ErrSkip is what a TryMap function may wrap to leave one record out, whatever the operator's policy; it is counted.
var ErrSkip = errors.New("skip the record")

// TryMap may fail. The option FailJob (the default) then fails the task, Skip leaves the record out and counts it, SendTo sends it to a side
// output. The context ends with the task.
func TryMap[T, U any](s Stream[T], name string, f func(context.Context, T) (U, error), o ...Option) Stream[U] {
	n := &node{name: name, kind: "map", at: caller(), takes: elementOf[T]{}, gives: elementOf[U]{}}
	n.make = func(b *builder, next any) (any, error) {
		m := &tryMapper[T, U]{link: linkTo[U](next), f: f, skip: n.settings.skip, ctx: b.t.Context(), name: name, skipped: b.skipped}
		if len(n.sides) > 0 {
			to, err := sideOf(b.ends, SideOutput[T]{n.sides[0].name})
			if err != nil {
				return nil, err
			}
			m.failed = to
		}
		return m, nil
	}
	out := transform[U](s, n, o)
	for _, to := range n.settings.failed {
		switch {
		case to.gives != n.takes:
			s.job.fail(n.at, "operator %q: SendTo side output %q, which has records of %v: what fails are records of %v", name, to.name, to.gives, n.takes)
		case len(n.sides) > 0:
			s.job.fail(n.at, "operator %q: SendTo is given twice: what fails goes to one side output", name)
		default:
			n.sides = append(n.sides, to)
		}
	}
	return out
}

type tryMapper[T, U any] struct {
	link[U]
	f       func(context.Context, T) (U, error)
	ctx     context.Context
	name    string
	skip    bool
	skipped func(int)
	failed  *sideOut[T] // nil: no side output takes what fails
	out     stream.Batch[U]
	times   []int64
}

func (m *tryMapper[T, U]) Push(b *stream.Batch[T]) error {
	values, times, skipped := m.out.Values[:0], m.times[:0], 0
	for i, v := range b.Values {
		u, err := m.f(m.ctx, v)
		switch {
		case err == nil:
		case m.ctx.Err() == nil && (m.skip || errors.Is(err, ErrSkip)):
			skipped++
			continue
		case m.ctx.Err() == nil && m.failed != nil:
			m.failed.emit(v, timeAt(b.Times, i))
			continue
		default:
			return &OperatorError{Operator: m.name, Err: err}
		}
		values = append(values, u)
		times = append(times, timeAt(b.Times, i))
	}
	m.times = times
	if skipped > 0 {
		m.skipped(skipped)
	}
	if len(values) == 0 {
		m.out.Values = values
		return nil
	}
	m.out = stream.Batch[U]{Values: values, Times: times, Split: b.Split}
	return m.next.Push(&m.out)
}

// FlatMap makes any number of records of each. An error fails the task.
func FlatMap[T, U any](s Stream[T], name string, f func(v T, out *Out[U]) error, o ...Option) Stream[U] {
	n := &node{name: name, kind: "flatmap", at: caller(), takes: elementOf[T]{}, gives: elementOf[U]{}}
	n.make = func(b *builder, next any) (any, error) {
		m := &flatMapper[T, U]{link: linkTo[U](next), f: f, name: name}
		m.out = newOut[U](next).watch(b.t, name, func() uint64 { return uint64(m.record) })
		return m, nil
	}
	return transform[U](s, n, o)
}

type flatMapper[T, U any] struct {
	link[U]
	f    func(T, *Out[U]) error
	name string
	out  *Out[U]

	record int // of the batch: the one in hand
}

func (m *flatMapper[T, U]) Push(b *stream.Batch[T]) error {
	m.out.batch.Split = b.Split
	for i, v := range b.Values {
		m.record, m.out.time = i, timeAt(b.Times, i)
		if err := m.f(v, m.out); err != nil {
			return &OperatorError{Operator: m.name, Err: err}
		}
		if m.out.err != nil {
			return m.out.err
		}
	}
	return m.out.flush()
}

// FlatMapSeq takes an iterator such as strings.FieldsSeq; it costs an allocation per record.
func FlatMapSeq[T, U any](s Stream[T], name string, f func(T) iter.Seq[U], o ...Option) Stream[U] {
	return FlatMap(s, name, func(v T, out *Out[U]) error {
		for u := range f(v) {
			if out.Emit(u); out.err != nil {
				return out.err
			}
		}
		return nil
	}, o...)
}

type filter[T any] struct {
	link[T]
	keep  func(T) bool
	out   stream.Batch[T]
	times []int64
}

func newFilter[T any](keep func(T) bool, next any) any {
	return &filter[T]{link: linkTo[T](next), keep: keep}
}

func (f *filter[T]) Push(b *stream.Batch[T]) error {
	values, times := f.out.Values[:0], f.times[:0]
	for i, v := range b.Values {
		if f.keep(v) {
			values = append(values, v)
			times = append(times, timeAt(b.Times, i))
		}
	}
	f.times = times
	if len(values) == 0 {
		f.out.Values = values
		return nil
	}
	f.out = stream.Batch[T]{Values: values, Times: times, Split: b.Split}
	return f.next.Push(&f.out)
}
