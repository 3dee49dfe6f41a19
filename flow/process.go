package flow

import (
	"context"
	"fmt"
	"time"

	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/state"
	"github.com/thalweg-io/thalweg/internal/stream"
)

// Process is the general operator. The factory runs once when the job is built, which declares state, timers and side outputs, and once in each
// subtask. Whatever it makes besides is the subtask's own.
func Process[K comparable, T, U any](s Keyed[K, T], name string, f func(*Op[K]) Handler[K, T, U], o ...Option) Stream[U] {
	n := &node{name: name, kind: "process", at: caller(), takes: elementOf[T]{}, gives: elementOf[U]{}, keyed: true}
	declareOperator(s.stream.job, n, func(op *Op[K]) {
		if h := f(op); h.Record == nil {
			op.problem("its Handler has no Record function")
		}
	})
	n.make = func(b *builder, next any) (any, error) {
		var h Handler[K, T, U]
		p, err := newOperating[K, U](b, n, next, func(op *Op[K]) (opens func(context.Context) error, closes func() error) {
			h = f(op)
			return h.Open, h.Close
		})
		if err != nil {
			return nil, err
		}
		return newKeyedInput(p, s.key, h.Record)
	}
	return transform[U](s.stream, n, o)
}

// declareOperator runs a factory for what it declares. What it gets wrong is remembered under the operator's name.
func declareOperator[K comparable](j *Job, n *node, f func(*Op[K])) {
	op := &Op[K]{names: make(map[string]bool)}
	f(op)
	for _, err := range op.problems {
		j.fail(n.at, "operator %q: %w", n.name, err)
	}
	n.states, n.sides = op.states, op.sides
}

func newKeyed[K comparable](b *builder, n *node) (*state.Keyed[K], error) {
	from, to := b.t.Groups()
	k, err := state.NewKeyed[K](state.Config{MaxParallelism: b.t.MaxParallelism(), From: from, To: to, Name: n.uid(), Now: b.t.Now})
	if err == nil {
		b.memory = append(b.memory, k.Close)
	}
	return k, err
}

// Handler is what Process does. Record is required.
type Handler[K comparable, T, U any] struct {
	Open   func(context.Context) error
	Record func(c *Ctx[K], v T, out *Out[U]) error
	Close  func() error
}

// Op is where an operator declares what it has.
type Op[K comparable] struct {
	names    map[string]bool
	states   []string
	sides    []side
	problems []error

	// In a subtask; zero when the job is built.
	task   *stream.TaskContext
	uid    string
	ends   sideEnds
	keyed  *state.Keyed[K]
	ctx    *Ctx[K]
	out    any // *Out[U]
	timers []timers
	alarms []timers // of processing time
	// reached is how far the operator has come, which is kept over a restore: what was behind the watermark stays behind it.
	reached *reached
}

func (op *Op[K]) problem(format string, args ...any) {
	op.problems = append(op.problems, fmt.Errorf(format, args...))
}

// declare takes a name for a piece of state.
func (op *Op[K]) declare(name, schema string) {
	if !nameForm.MatchString(name) {
		op.problem("state name %q: it has 1 to 200 letters, digits and . _ - :, and begins with a letter or digit", name)
	}
	if op.names[name] {
		op.problem("state name %q is declared twice: each state and timer of an operator has a name of its own", name)
	}
	op.names[name] = true
	op.states = append(op.states, name+": "+schema)
}

// Ctx is the record, or the timer, in hand.
type Ctx[K comparable] struct {
	keyed   *state.Keyed[K]
	time    int64
	reached *reached
	clock   func() int64
}

// Key is the key in hand.
func (c *Ctx[K]) Key() K { return c.keyed.Key() }

// Time is the event time of the record, or the time of the timer; zero without EventTime.
func (c *Ctx[K]) Time() time.Time { return timeOf(c.time) }

// Watermark is the operator's: nothing earlier is expected. Zero before the first. It does not go back when the job is restored.
func (c *Ctx[K]) Watermark() time.Time { return timeOf(c.reached.of(c.keyed.Hash())) }

// Now is the processing time: that of the machine, or, in a test, of the flowtest.Harness.
func (c *Ctx[K]) Now() time.Time { return time.Unix(0, c.clock()).UTC() }

func timeOf(ns int64) time.Time {
	if ns == stream.NoTime {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// Value is state of the key in hand. Get returns a copy; only Set and Update write.
//
// A value that comes again soon is not decoded again, if nothing in its slices, maps or behind its pointers has slices, maps or pointers in turn:
// Update of a slice of structs costs what f does.
type Value[V any] struct {
	in   valueOf[V]
	cell state.Cell[V] // what in would do most often, without a call of an unknown function
}

// valueOf is a *state.Value without its key type.
type valueOf[V any] interface {
	Get() (V, bool)
	Set(V)
	Update(func(*V))
	Clear()
}

// NewValue declares a value per key.
func NewValue[V any, K comparable](op *Op[K], name string, o ...StateOption) *Value[V] {
	c, err := codec.For[V]()
	if err != nil {
		op.problem("state %q: %w", name, err)
		return &Value[V]{}
	}
	s, schema := op.options(name, c.Schema().String(), o)
	op.declare(name, schema)
	if op.keyed == nil {
		return &Value[V]{}
	}
	if s.ttl != nil {
		in, err := state.NewAgingValue[K, V](op.keyed, name, *s.ttl)
		if err != nil {
			op.problem("state %q: %w", name, err)
			return &Value[V]{}
		}
		return &Value[V]{in: in}
	}
	in, err := state.NewValue[K, V](op.keyed, name)
	if err != nil {
		op.problem("state %q: %w", name, err)
		return &Value[V]{}
	}
	return &Value[V]{in, in.Cell()}
}

// Get is the value of the key in hand, and whether it has one.
func (v *Value[V]) Get() (V, bool) {
	if x := v.cell.Known(); x != nil {
		return *x, true
	}
	return v.in.Get()
}

// Set sets it.
func (v *Value[V]) Set(x V) {
	if at := v.cell.Changing(); at != nil {
		*at = x
		return
	}
	v.in.Set(x)
}

// Update starts from the zero value where there is none; the pointer is valid inside f only, and so are slices and maps behind it: of what is to be
// emitted or kept elsewhere, f makes a copy. What f itself puts there is copied.
func (v *Value[V]) Update(f func(*V)) {
	if at := v.cell.Changing(); at != nil {
		f(at)
		return
	}
	v.in.Update(f)
}

// Clear removes it.
func (v *Value[V]) Clear() { v.in.Clear() }

// Timer fires per key, once per time set, in event time.
type Timer[K comparable, U any] struct {
	in   *state.Timers[K]
	fire func(c *Ctx[K], at time.Time, out *Out[U]) error
	op   *Op[K]
	out  *Out[U]
	proc bool // of processing time: no event time belongs to it
}

// timers is a *Timer without its type of output.
type timers interface {
	next() (int64, bool)
	due(upto int64) error
}

// NewTimer declares a timer. fire runs with the key in hand, when the watermark has reached the time.
func NewTimer[K comparable, U any](op *Op[K], name string, fire func(c *Ctx[K], at time.Time, out *Out[U]) error) *Timer[K, U] {
	op.declare(name, "timer")
	t := newTimer(op, name, fire)
	if t.in != nil {
		op.timers = append(op.timers, t)
	}
	return t
}

// newTimer makes a timer that is declared already.
func newTimer[K comparable, U any](op *Op[K], name string, fire func(c *Ctx[K], at time.Time, out *Out[U]) error) *Timer[K, U] {
	t := &Timer[K, U]{fire: fire, op: op}
	if fire == nil {
		op.problem("timer %q: it has nothing to fire", name)
	}
	if op.keyed == nil {
		return t
	}
	var ok bool
	if t.out, ok = op.out.(*Out[U]); !ok {
		op.problem("timer %q emits %v, and its operator something else", name, elementOf[U]{})
		return t
	}
	var err error
	if t.in, err = state.NewTimers[K](op.keyed, name); err != nil {
		op.problem("timer %q: %w", name, err)
		return t
	}
	return t
}

// Set lets the timer fire for the key in hand at a time; one that is not behind the watermark any more fires with the next watermark.
func (t *Timer[K, U]) Set(_ *Ctx[K], at time.Time) { t.in.Set(at.UnixNano()) }

// Cancel takes that back.
func (t *Timer[K, U]) Cancel(_ *Ctx[K], at time.Time) { t.in.Cancel(at.UnixNano()) }

func (t *Timer[K, U]) next() (int64, bool) { return t.in.Next() }

func (t *Timer[K, U]) due(upto int64) error {
	return t.in.Due(upto, func(_ K, _ uint64, at int64) error { // with the key in hand
		t.op.ctx.time = at
		if t.proc {
			t.op.ctx.time = stream.NoTime
		}
		t.out.time = t.op.ctx.time
		if err := t.fire(t.op.ctx, timeOf(at), t.out); err != nil {
			return err
		}
		return t.out.err
	})
}

// operating is an operator with keyed state and timers in a subtask, whatever its inputs.
type operating[K comparable, U any] struct {
	stream.Base
	name      string
	op        *Op[K]
	keyed     *state.Keyed[K]
	opens     func(context.Context) error
	closes    func() error
	ctx       *Ctx[K]
	out       *Out[U]
	next      stream.Input[U]
	watermark int64
	opened    bool
}

// newOperating runs the factory of an operator, which says what is to be done when the subtask opens and closes.
func newOperating[K comparable, U any](b *builder, n *node, next any, f func(*Op[K]) (opens func(context.Context) error, closes func() error)) (*operating[K, U], error) {
	keyed, err := newKeyed[K](b, n)
	if err != nil {
		return nil, err
	}
	p := &operating[K, U]{name: n.name, keyed: keyed, out: newOut[U](next), next: next.(stream.Input[U]), watermark: stream.NoTime}
	p.out.watch(b.t, n.name, func() uint64 { return keyed.Hash() ^ uint64(p.out.time)<<1 }) // enough to tell records of one key apart that have times
	reached := &reached{now: stream.NoTime}
	p.ctx = &Ctx[K]{keyed: keyed, reached: reached, clock: b.t.Now}
	p.op = &Op[K]{names: make(map[string]bool), task: b.t, uid: n.uid(), ends: b.ends, keyed: keyed, out: p.out, ctx: p.ctx, reached: reached}
	p.opens, p.closes = f(p.op)
	if len(p.op.problems) > 0 {
		keyed.Close()
		return nil, p.op.problems[0]
	}
	if len(p.op.alarms) > 0 {
		b.chain.Alarms = append(b.chain.Alarms, p)
	}
	b.chain.Alarms = append(b.chain.Alarms, expiring[K]{keyed}.alarms()...)
	b.add(n, p)
	return p, nil
}

// keyedInput is an input of an operator with keyed state: it puts the key of each record in hand.
type keyedInput[K comparable, T, U any] struct {
	*operating[K, U]
	by     keying[K, T]
	record func(*Ctx[K], T, *Out[U]) error
}

func newKeyedInput[K comparable, T, U any](p *operating[K, U], key func(T) K, record func(*Ctx[K], T, *Out[U]) error) (stream.Input[T], error) {
	by, err := newKeying(key)
	return &keyedInput[K, T, U]{operating: p, by: by, record: record}, err
}

func (p *keyedInput[K, T, U]) Push(b *stream.Batch[T]) error {
	p.out.batch.Split = b.Split
	p.keyed.Batch(p.by.of(b))
	ctx, out, times, values := p.ctx, p.out, b.Times, b.Values
	for i := range values {
		if i%state.Run == 0 {
			p.keyed.Turn(i)
		}
		p.keyed.SeekNext(i)
		at := timeAt(times, i)
		ctx.time, out.time = at, at
		if err := p.record(ctx, values[i], out); err != nil {
			return &OperatorError{Operator: p.name, Err: err}
		}
		if out.err != nil {
			return out.err
		}
	}
	if err := p.keyed.Err(); err != nil {
		return err
	}
	return p.out.flush()
}

// Watermark fires what is due, in the order of time over all timers of the operator, and then hands the watermark on.
func (p *operating[K, U]) Watermark(at int64) error {
	if at <= p.watermark {
		return nil
	}
	p.watermark, p.op.reached.now = at, at
	p.op.reached.settle()
	if err := p.fire(p.op.timers, at); err != nil {
		return err
	}
	return p.next.Watermark(at)
}

// fire fires timers up to a time, in the order of their times. What they emit is of no split: that of the last record may have ended, and an EventTime
// behind would wait for it again.
func (p *operating[K, U]) fire(all []timers, upto int64) error {
	p.out.batch.Split = -1
	for _, s := range p.op.ends {
		s.from(-1)
	}
	for {
		first, when := earliest(all)
		if first == nil || when > upto {
			break
		}
		if err := first.due(when); err != nil {
			return &OperatorError{Operator: p.name, Err: err}
		}
	}
	if err := p.keyed.Err(); err != nil {
		return err
	}
	return p.out.flush()
}

// earliest is the timer that is set for the earliest time; nil: none is set.
func earliest(all []timers) (first timers, when int64) {
	for _, t := range all {
		if next, ok := t.next(); ok && (first == nil || next < when) {
			first, when = t, next
		}
	}
	return first, when
}

func (p *operating[K, U]) Idle() error                { return p.next.Idle() }
func (p *operating[K, U]) SplitEnd(split int32) error { return p.next.SplitEnd(split) }
func (p *operating[K, U]) End() error                 { return p.next.End() }

func (p *operating[K, U]) Open(c *stream.OpenContext) error {
	if r := c.Keyed(); r != nil {
		if err := p.keyed.Restore(r, p.op.uid); err != nil {
			return err
		}
		if err := p.resume(r.Entries(p.op.uid)); err != nil {
			return err
		}
	}
	if p.opens != nil {
		if err := p.opens(c.Context()); err != nil {
			return &OperatorError{Operator: p.name, Err: err}
		}
	}
	p.opened = true
	return nil
}

// resume goes on behind what has been reached before a restore.
func (p *operating[K, U]) resume(entries [][]byte) (err error) {
	from, to, max := p.keyed.Groups()
	if *p.op.reached, err = restoreReached(entries, from, to, max); err == nil {
		p.watermark = p.op.reached.now
	}
	return err
}

func (p *operating[K, U]) Snapshot(s *stream.Snapshot) error {
	from, to, _ := p.keyed.Groups()
	s.Entries(p.op.reached.entries(from, to)...)
	return s.State(p.keyed)
}

func (p *operating[K, U]) Close() (err error) {
	if p.opened && p.closes != nil {
		if err = p.closes(); err != nil {
			err = &OperatorError{Operator: p.name, Err: err}
		}
	}
	p.keyed.Close()
	return err
}
