package flow

import (
	"github.com/thalweg-io/thalweg/internal/state"
	"github.com/thalweg-io/thalweg/internal/stream"
)

// joining is a join in a subtask: what joins by window and by interval share. Each input's records are kept in a log of its own, under the names left and
// right.
type joining[K comparable, A, B, U any] struct {
	stream.Base
	node      *node
	keyed     *state.Keyed[K]
	kind      joinKind[K, A, B]
	lefts     *state.Log[K, A]
	rights    *state.Log[K, B]
	reached   *reached
	watermark int64
	timeless  bool // times do not matter
	f         func(A, B, *Out[U]) error
	out       *Out[U]
	ends      sideEnds
	next      stream.Input[U]
	hash      uint64 // of the key in hand
}

// joinKind is what tells a join from another. Records that are late do not come to it.
type joinKind[K comparable, A, B any] interface {
	late(at int64, hash uint64) bool
	left(*joinBatch[K, A]) error
	right(*joinBatch[K, B]) error
	// advance gives what is to be given up to a time that is reached, as far as it was not at an earlier one, and drops what is over.
	advance(before, at int64) error
	// drop drops what is over at a time.
	drop(at int64)
}

// joinBatch is records that came together.
type joinBatch[K comparable, T any] struct {
	values []T
	times  []int64
	keys   []K
	hashes []uint64
}

func (b *joinBatch[K, T]) cut(from, upto int) joinBatch[K, T] {
	return joinBatch[K, T]{b.values[from:upto], b.times[from:upto], b.keys[from:upto], b.hashes[from:upto]}
}

func (b *joinBatch[K, T]) addTo(log *state.Log[K, T]) error {
	return log.Add(b.times, b.keys, b.hashes, b.values)
}

// without calls f with the runs of records whose times are not left out.
func (b *joinBatch[K, T]) without(out func(at int64) bool, f func(*joinBatch[K, T]) error) error {
	return b.runs(func(i int) bool { return out(b.times[i]) }, f, func(int) error { return nil })
}

// runs calls f with the runs of records that are not out of it, and each with the others.
func (b *joinBatch[K, T]) runs(out func(i int) bool, f func(*joinBatch[K, T]) error, each func(i int) error) error {
	for from := 0; from < len(b.values); {
		upto := from
		for upto < len(b.values) && !out(upto) {
			upto++
		}
		if upto > from {
			run := b.cut(from, upto)
			if err := f(&run); err != nil {
				return err
			}
		}
		for ; upto < len(b.values) && out(upto); upto++ {
			if err := each(upto); err != nil {
				return err
			}
		}
		from = upto
	}
	return nil
}

// newJoining makes a join of one subtask, and gives its inputs.
func newJoining[K comparable, A, B, U any](b *builder, n *node, next any, left func(A) K, right func(B) K, lateLeft SideOutput[A], lateRight SideOutput[B],
	prepare func(*joining[K, A, B, U]) error, f func(A, B, *Out[U]) error) (_ any, err error) {
	j := &joining[K, A, B, U]{node: n, reached: &reached{now: stream.NoTime}, watermark: stream.NoTime, f: f, out: newOut[U](next), ends: b.ends, next: next.(stream.Input[U])}
	j.out.watch(b.t, n.name, func() uint64 { return j.hash ^ uint64(j.out.time)<<1 }) // enough to tell records of one key apart that have times
	if j.keyed, err = newKeyed[K](b, n); err != nil {
		return nil, err
	}
	lefts := joinInput[K, A]{joined: j, count: b.late, accept: func(b *joinBatch[K, A]) error { return j.kind.left(b) }}
	rights := joinInput[K, B]{joined: j, count: b.late, accept: func(b *joinBatch[K, B]) error { return j.kind.right(b) }}
	if err = prepare(j); err == nil {
		err = lefts.open(left, n.settings.lateLeft != nil, lateLeft, b.ends)
	}
	if err == nil {
		err = rights.open(right, n.settings.lateRight != nil, lateRight, b.ends)
	}
	if err != nil {
		j.keyed.Close()
		return nil, err
	}
	b.add(n, j)
	return twoInputs{stream.Input[A](&lefts), stream.Input[B](&rights), j}, nil
}

// keep makes the logs.
func (j *joining[K, A, B, U]) keep(g state.Grid, indexed bool) (err error) {
	if j.lefts, err = state.NewLog[K, A](j.keyed, "left", g, indexed); err == nil {
		j.rights, err = state.NewLog[K, B](j.keyed, "right", g, indexed)
	}
	return err
}

// emit hands a pair to the program.
func (j *joining[K, A, B, U]) emit(hash uint64, a *A, b *B) error {
	j.hash = hash
	if err := j.f(*a, *b, j.out); err != nil {
		return &OperatorError{Operator: j.node.name, Err: err}
	}
	return j.out.err
}

// joined is a join as its inputs know it, whatever the other one is.
type joined interface {
	stream.Control
	begin(split int32) (from *reached, timeless bool)
	isLate(at int64, hash uint64) bool
	settle() error
	name() string
}

// joinInput is an input of a join.
type joinInput[K comparable, T any] struct {
	joined
	by     keying[K, T]
	accept func(*joinBatch[K, T]) error
	lateTo *sideOut[T] // nil: nowhere
	count  func(int)
	late   func(i int) bool
	leave  func(i int) error
	lates  int

	// Scratch of one batch.
	batch   joinBatch[K, T]
	noTimes []int64
}

func (p *joinInput[K, T]) open(key func(T) K, sends bool, late SideOutput[T], ends sideEnds) (err error) {
	p.late = func(i int) bool { return p.isLate(p.batch.times[i], p.batch.hashes[i]) }
	p.leave = func(i int) error {
		p.lates++
		if p.lateTo == nil {
			return nil
		}
		p.lateTo.emit(p.batch.values[i], p.batch.times[i])
		return p.lateTo.err
	}
	if sends {
		if p.lateTo, err = sideOf(ends, late); err != nil {
			return err
		}
	}
	p.by, err = newKeying(key)
	return err
}

func (p *joinInput[K, T]) Push(b *stream.Batch[T]) error {
	n := len(b.Values)
	keys, hashes := p.by.of(b)
	reached, timeless := p.begin(b.Split)
	times := b.Times
	if timeless {
		p.noTimes = room(p.noTimes, n)
		clear(p.noTimes)
		times = p.noTimes
	}
	if len(times) != n {
		return &OperatorError{Operator: p.name(), Err: errNoTime}
	}
	late := reached.ahead != nil
	for _, at := range times {
		if at == stream.NoTime {
			return &OperatorError{Operator: p.name(), Err: errNoTime}
		}
		late = late || at <= reached.now
	}
	p.batch = joinBatch[K, T]{b.Values, times, keys, hashes}
	var err error
	if late && !timeless { // perhaps
		err = p.batch.runs(p.late, p.accept, p.leave)
		p.count(p.lates)
		p.lates = 0
	} else {
		err = p.accept(&p.batch)
	}
	p.batch = joinBatch[K, T]{}
	if err != nil {
		return err
	}
	return p.settle()
}

func (j *joining[K, A, B, U]) begin(split int32) (*reached, bool) {
	j.out.batch.Split = split
	return j.reached, j.timeless
}

func (j *joining[K, A, B, U]) isLate(at int64, hash uint64) bool { return j.kind.late(at, hash) }
func (j *joining[K, A, B, U]) name() string                      { return j.node.name }

// settle ends a call: nothing may be held back when it returns.
func (j *joining[K, A, B, U]) settle() error {
	if err := j.keyed.Err(); err != nil {
		return err
	}
	return j.out.flush()
}

// Watermark gives what it allows, and then goes on itself. What is given is of no split: see operating.fire.
func (j *joining[K, A, B, U]) Watermark(at int64) error {
	if at <= j.watermark {
		return nil
	}
	before := j.watermark
	j.watermark, j.reached.now = at, at
	j.out.batch.Split = -1
	for _, s := range j.ends {
		s.from(-1)
	}
	if err := j.kind.advance(before, at); err != nil {
		return err
	}
	j.reached.settle()
	if err := j.settle(); err != nil {
		return err
	}
	return j.next.Watermark(at)
}

func (j *joining[K, A, B, U]) Idle() error                { return j.next.Idle() }
func (j *joining[K, A, B, U]) SplitEnd(split int32) error { return j.next.SplitEnd(split) }
func (j *joining[K, A, B, U]) End() error                 { return j.next.End() }

// Open goes on behind what had been given before a restore. What was dropped since a base is dropped again.
func (j *joining[K, A, B, U]) Open(c *stream.OpenContext) error {
	r := c.Keyed()
	if r == nil {
		return nil
	}
	if err := j.keyed.Restore(r, j.node.uid()); err != nil {
		return err
	}
	from, to, max := j.keyed.Groups()
	var err error
	if *j.reached, err = restoreReached(r.Entries(j.node.uid()), from, to, max); err != nil {
		return err
	}
	j.watermark = j.reached.now
	j.kind.drop(j.watermark)
	return j.keyed.Err()
}

func (j *joining[K, A, B, U]) Snapshot(s *stream.Snapshot) error {
	from, to, _ := j.keyed.Groups()
	s.Entries(j.reached.entries(from, to)...)
	return s.State(j.keyed)
}

func (j *joining[K, A, B, U]) Close() error {
	j.keyed.Close()
	return nil
}
