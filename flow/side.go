package flow

import (
	"fmt"
	"time"

	"github.com/thalweg-io/thalweg/internal/stream"
)

// SideOutput is a second output of an operator, with a type of its own. It is declared once, at package level, emitted into by an operator, and
// read from that operator's output stream by ReadSide. Records that nobody reads are dropped.
type SideOutput[T any] struct{ name string }

// NewSideOutput names a side output. The name is looked up per operator: two operators may use the same SideOutput.
func NewSideOutput[T any](name string) SideOutput[T] { return SideOutput[T]{name} }

// side is a side output of a node, without its type.
type side struct {
	name  string
	gives element
}

// problem says what is wrong with a side output, if anything.
func (s SideOutput[T]) problem() string {
	if !nameForm.MatchString(s.name) {
		return sprintf("side output %q: its name has 1 to 200 letters, digits and . _ - :, and begins with a letter or digit; make it with NewSideOutput", s.name)
	}
	return ""
}

func (s SideOutput[T]) side() side { return side{s.name, elementOf[T]{}} }

// has finds a side output of a node by its name.
func (n *node) has(name string) (side, bool) {
	for _, s := range n.sides {
		if s.name == name {
			return s, true
		}
	}
	return side{}, false
}

// ReadSide is what the operator that s comes from has emitted into one of its side outputs. Of a union it is that of all its parts. It has the
// watermarks of s.
func ReadSide[T, U any](s Stream[U], from SideOutput[T]) Stream[T] {
	at := caller()
	if p := from.problem(); p != "" {
		s.job.fail(at, "ReadSide: %s", p)
		return Stream[T]{job: s.job}
	}
	read := Stream[T]{job: s.job}
	for _, out := range s.outs {
		declared, ok := out.from.has(from.name)
		switch {
		case out.side != "":
			s.job.fail(at, "ReadSide: the stream is side output %q of operator %q, and has no side outputs itself: read %q from the operator's own output",
				out.side, out.from.name, from.name)
		case !ok:
			s.job.fail(at, "ReadSide: operator %q has no side output %q: it is declared by NewSide in the operator's factory, or by an option such as LateTo",
				out.from.name, from.name)
		case declared.gives != from.side().gives:
			s.job.fail(at, "ReadSide: side output %q of operator %q has records of %v, not %v", from.name, out.from.name, declared.gives, from.side().gives)
		default:
			read.outs = append(read.outs, output{from: out.from, side: from.name})
		}
	}
	return read
}

// Side is a side output inside of the operator that emits into it. It is valid inside a call of that operator only.
type Side[T any] struct {
	to *sideOut[T]
	at func() int64 // time of what is in hand
}

// NewSide declares that an operator emits into a side output.
func NewSide[T any, K comparable](op *Op[K], output SideOutput[T]) *Side[T] {
	if p := output.problem(); p != "" {
		op.problem("%s", p)
		return &Side[T]{}
	}
	for _, s := range op.sides {
		if s.name == output.name {
			op.problem("side output %q is declared twice: each side output of an operator has a name of its own", output.name)
		}
	}
	op.sides = append(op.sides, output.side())
	if op.keyed == nil {
		return &Side[T]{}
	}
	to, err := sideOf(op.ends, output)
	if err != nil {
		op.problem("%w", err)
	}
	return &Side[T]{to: to, at: func() int64 { return op.ctx.time }}
}

// Emit emits v with the time of the record (or timer) in hand, as Out's Emit does.
func (s *Side[T]) Emit(v T) { s.to.emit(v, s.at()) }

// EmitAt emits v with a time of its own.
func (s *Side[T]) EmitAt(v T, at time.Time) { s.to.emit(v, at.UnixNano()) }

// sideEnd is the beginning of what reads a side output, in the chain of the operator that emits into it.
type sideEnd interface {
	stream.Control
	from(split int32) // that the record in hand is of
	flush() error
}

// sideOut collects what is emitted into a side output.
type sideOut[T any] struct {
	*Out[T]
	link[T]
}

func newSideOut[T any](t *stream.TaskContext, operator string, next any) *sideOut[T] {
	return &sideOut[T]{newOut[T](next).watch(t, operator, nil), linkTo[T](next)}
}

func (s *sideOut[T]) from(split int32) { s.batch.Split = split }

// sideEnds are those of one operator in a subtask, in the order of their declaration.
type sideEnds []namedEnd

type namedEnd struct {
	name string
	sideEnd
}

// sideOf is a side output that the operator declared when the job was built.
func sideOf[T any](ends sideEnds, output SideOutput[T]) (*sideOut[T], error) {
	for _, e := range ends {
		if s, ok := e.sideEnd.(*sideOut[T]); ok && e.name == output.name {
			return s, nil
		}
	}
	return nil, fmt.Errorf("side output %q was not declared when the job was built: a factory declares the same each time", output.name)
}

// flush hands on what has been emitted into all side outputs: nothing may be held back when the operator returns, as a barrier could come between.
func (e sideEnds) flush() error {
	for _, s := range e {
		if err := s.flush(); err != nil {
			return err
		}
	}
	return nil
}

// beforeSides stands before an operator with side outputs, and flushes them after each of its batches.
type beforeSides[T any] struct {
	stream.Input[T]
	ends sideEnds
}

func (b *beforeSides[T]) Push(batch *stream.Batch[T]) error {
	for _, s := range b.ends {
		s.from(batch.Split)
	}
	if err := b.Input.Push(batch); err != nil {
		return err
	}
	return b.ends.flush()
}

// behindSides stands behind an operator with side outputs: watermarks and ends that it hands on go to all of its outputs. What it has emitted into
// side outputs goes first, as a watermark must not overtake it.
type behindSides[T any] struct {
	stream.Input[T]
	ends sideEnds
}

func (b *behindSides[T]) Watermark(at int64) error {
	return b.each(func(c stream.Control) error { return c.Watermark(at) })
}
func (b *behindSides[T]) Idle() error { return b.each(stream.Control.Idle) }
func (b *behindSides[T]) SplitEnd(split int32) error {
	return b.each(func(c stream.Control) error { return c.SplitEnd(split) })
}
func (b *behindSides[T]) End() error { return b.each(stream.Control.End) }

func (b *behindSides[T]) each(do func(stream.Control) error) error {
	if err := b.ends.flush(); err != nil {
		return err
	}
	for _, s := range b.ends {
		if err := do(s); err != nil {
			return err
		}
	}
	return do(b.Input)
}
