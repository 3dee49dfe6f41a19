package flow

import (
	"errors"
	"math"
	"time"

	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/state"
	"github.com/thalweg-io/thalweg/internal/stream"
)

// Join pairs, per key, each record of a with each record of b that falls into the same window, once the watermark has passed the window's end; f
// makes of a pair what it likes. The time of that is the last nanosecond of the window. In what order pairs come is open.
//
// Windows are Tumbling, Sliding or Global; all that is in one is kept until its end, once, however many windows it is in. A record whose windows have all
// been given is late: it is left out and counted, or goes to the side output that LateLeftTo or LateRightTo names.
//
// A join is an inner one, and gives a window once: it has no sessions, no windows of processing time and no Lateness, and says nothing of a record that
// has no partner. Connect does what is not a matter of windows.
func Join[K comparable, A, B, U any](a Keyed[K, A], b Keyed[K, B], w Window, name string, f func(A, B, *Out[U]) error, o ...Option) Stream[U] {
	n := &node{name: name, kind: "join", at: caller(), takes: elementOf[A]{}, right: elementOf[B]{}, gives: elementOf[U]{}, keyed: true}
	out := addJoin(a, b, n, func(j *joining[K, A, B, U]) error { return joinWindows(j, w) }, f, o)
	if p := joinProblem(w, n.times, &n.settings, f == nil); p != "" {
		a.stream.job.fail(n.at, "operator %q: %s", name, p)
	}
	n.times = true
	return out
}

func joinProblem(w Window, times bool, s *settings, nothing bool) string {
	switch p := w.problem(); {
	case nothing:
		return "it has no function for the pairs"
	case p != "":
		return p
	case w.kind == session:
		return "Join in a Session: a join is in Tumbling, Sliding or Global windows"
	case w.processing:
		return "Join in windows of processing time: a join is in windows of event time, or in the Global one"
	case w.kind != global && !times:
		return noEventTime
	case w.kind == global && (s.lateLeft != nil || s.lateRight != nil):
		return "LateLeftTo and LateRightTo are for windows of event time: in the Global one nothing is late"
	}
	return ""
}

const noEventTime = "it joins by event time, and no EventTime is upstream of all its inputs: say what time a record happened at by EventTime, right behind the source"

// IntervalJoin pairs, per key, each record of a with each record of b whose event time is in [a's + lower, a's + upper], both of them included; f makes of a
// pair what it likes, at once when the second of the two has come. The time of that is the later one of the two. In what order pairs come is open.
//
// A record is kept until the watermark says that none can come any more that it pairs with, and then for half as long as the interval at most. One that is
// behind the watermark itself is late: it is left out and counted, or goes to the side output that LateLeftTo or LateRightTo names. Like Join, it is an
// inner join: it says nothing of a record that has no partner.
func IntervalJoin[K comparable, A, B, U any](a Keyed[K, A], b Keyed[K, B], lower, upper time.Duration, name string, f func(A, B, *Out[U]) error, o ...Option) Stream[U] {
	n := &node{name: name, kind: "interval join", at: caller(), takes: elementOf[A]{}, right: elementOf[B]{}, gives: elementOf[U]{}, keyed: true}
	out := addJoin(a, b, n, func(j *joining[K, A, B, U]) error { return joinInterval(j, int64(lower), int64(upper)) }, f, o)
	switch {
	case f == nil:
		a.stream.job.fail(n.at, "operator %q: it has no function for the pairs", name)
	case lower > upper:
		a.stream.job.fail(n.at, "operator %q: IntervalJoin from %v to %v: the lower bound is above the upper one", name, lower, upper)
	case !n.times:
		a.stream.job.fail(n.at, "operator %q: %s", name, noEventTime)
	}
	n.times = true
	return out
}

// LateLeftTo sends records of the first input of a Join or IntervalJoin that are late into a side output, with their times; ReadSide reads it from the
// join's output.
func LateLeftTo[A any](to SideOutput[A]) Option {
	return Option{func(s *settings) { s.lateLeft = to }}
}

// LateRightTo is LateLeftTo for the second input. Both may name one side output.
func LateRightTo[B any](to SideOutput[B]) Option {
	return Option{func(s *settings) { s.lateRight = to }}
}

// addJoin adds a join; prepare says what kind of one it is.
func addJoin[K comparable, A, B, U any](a Keyed[K, A], b Keyed[K, B], n *node, prepare func(*joining[K, A, B, U]) error, f func(A, B, *Out[U]) error, o []Option) Stream[U] {
	j := a.stream.job
	declareKept[A](j, n, "left")
	declareKept[B](j, n, "right")
	var lateLeft SideOutput[A]
	var lateRight SideOutput[B]
	n.make = func(build *builder, next any) (any, error) {
		return newJoining(build, n, next, a.key, b.key, lateLeft, lateRight, prepare, f)
	}
	out := transform2[U](a.stream, b.stream, n, o)
	lateLeft = lateJoined[A](j, n, "LateLeftTo", n.settings.lateLeft)
	lateRight = lateJoined[B](j, n, "LateRightTo", n.settings.lateRight)
	n.joins = true
	return out
}

// declareKept says what an input's records are kept as.
func declareKept[T any](j *Job, n *node, name string) {
	c, err := codec.For[T]()
	if err != nil {
		j.fail(n.at, "operator %q: state %q: %w", n.name, name, err)
		return
	}
	n.states = append(n.states, name+": log of "+c.Schema().String())
}

// lateJoined declares the side output that an option names for an input, if it does.
func lateJoined[T any](j *Job, n *node, option string, o sideOutput) (to SideOutput[T]) {
	if o == nil {
		return to
	}
	to, same := o.(SideOutput[T])
	declared, some := n.has(o.side().name)
	switch p := o.problem(); {
	case p != "":
		j.fail(n.at, "operator %q: %s: %s", n.name, option, p)
	case !same:
		j.fail(n.at, "operator %q: %s: side output %q has records of %v, and the input of %v: records that are late come out as they are",
			n.name, option, o.side().name, o.side().gives, elementOf[T]{})
	case some && declared != o.side():
		j.fail(n.at, "operator %q: %s: side output %q has records of %v and of %v: give the inputs a side output each", n.name, option, o.side().name,
			declared.gives, o.side().gives)
	case !some:
		n.sides = append(n.sides, o.side())
	}
	return to
}

var errNoTime = errors.New("a record has no event time")

// joinWindows pairs the buckets of two logs, which are slices as windows have them, when a window ends.
func joinWindows[K comparable, A, B, U any](j *joining[K, A, B, U], w Window) error {
	o := &windowJoin[K, A, B, U]{joining: j, grid: gridOf(w), length: int64(w.size / w.slice()), step: int64(w.slide / w.slice()), global: w.kind == global}
	if o.global {
		j.timeless, o.grid.Width = true, math.MaxInt64
	}
	j.kind = o
	return j.keep(o.grid.Grid, false)
}

type windowJoin[K comparable, A, B, U any] struct {
	*joining[K, A, B, U]
	grid
	length int64 // of a window, in slices
	step   int64
	global bool
}

// lastWindow is the last slice of the last window that a slice is in; false: it is in none.
func (o *windowJoin[K, A, B, U]) lastWindow(slice int64) (int64, bool) {
	begin := slice - ((slice%o.step)+o.step)%o.step // of the last window that begins up to it
	return begin + o.length - 1, slice < begin+o.length
}

func (o *windowJoin[K, A, B, U]) late(at int64, hash uint64) bool {
	if o.global {
		return false
	}
	last, some := o.lastWindow(o.grid.Of(at))
	return some && o.endOf(last)-1 <= o.reached.of(hash)
}

func (o *windowJoin[K, A, B, U]) left(b *joinBatch[K, A]) error  { return addWindowed(o, o.lefts, b) }
func (o *windowJoin[K, A, B, U]) right(b *joinBatch[K, B]) error { return addWindowed(o, o.rights, b) }

// addWindowed keeps records, but for those between two windows.
func addWindowed[T any, K comparable, A, B, U any](o *windowJoin[K, A, B, U], log *state.Log[K, T], b *joinBatch[K, T]) error {
	if o.step <= o.length {
		return b.addTo(log)
	}
	return b.without(o.apart, func(b *joinBatch[K, T]) error { return b.addTo(log) })
}

// apart reports whether a time is in no window, because they are further apart than they are long.
func (o *windowJoin[K, A, B, U]) apart(at int64) bool {
	_, some := o.lastWindow(o.grid.Of(at))
	return !some
}

// advance gives the windows that end in (before, at].
func (o *windowJoin[K, A, B, U]) advance(before, at int64) error {
	if o.global {
		if at < stream.MaxWatermark {
			return nil
		}
		o.out.time = stream.NoTime
		if err := state.Pair(o.lefts, o.rights, math.MinInt64, math.MaxInt64, o.emit); err != nil {
			return err
		}
		o.drop(at)
		return nil
	}
	upto := o.upto(at)
	for last := o.next(o.upto(before)); ; last = o.next(last) {
		slice, some := o.lefts.From(last - o.length + 1)
		if !some {
			break
		}
		if slice > last { // windows before that have nothing on this side
			last = o.next(slice - 1)
		}
		if last > upto {
			break
		}
		if err := o.give(last); err != nil {
			return err
		}
	}
	o.drop(at)
	return nil
}

// next is the last slice of the first window that ends behind a slice.
func (o *windowJoin[K, A, B, U]) next(slice int64) int64 {
	if slice == math.MinInt64 {
		first, some := o.lefts.From(slice)
		if !some {
			return math.MaxInt64
		}
		slice = first - 1
	}
	over := (slice + 1 - o.length) % o.step // how far behind the end of a window it is
	return slice + o.step - (over+o.step)%o.step
}

// upto is the last slice that is over at a time.
func (o *windowJoin[K, A, B, U]) upto(at int64) int64 {
	switch {
	case at == stream.MaxWatermark:
		return math.MaxInt64
	case at < math.MinInt64+o.Width+max(o.Offset, 0):
		return math.MinInt64
	}
	return o.grid.Of(at+1) - 1
}

// give gives a window.
func (o *windowJoin[K, A, B, U]) give(last int64) error {
	at := o.endOf(last) - 1
	o.out.time = at
	emit := o.emit
	if o.reached.ahead != nil {
		emit = func(hash uint64, a *A, b *B) error {
			if o.reached.given(at, hash) {
				return nil
			}
			return o.emit(hash, a, b)
		}
	}
	return state.Pair(o.lefts, o.rights, last-o.length+1, last, emit)
}

// drop drops what is in no window to come.
func (o *windowJoin[K, A, B, U]) drop(at int64) {
	first := int64(math.MaxInt64)
	if at < stream.MaxWatermark {
		upto := o.upto(at)
		if o.global || upto == math.MinInt64 {
			return
		}
		begin := upto + 2 - o.length // a window that begins before it has been given
		first = begin + ((-begin%o.step)+o.step)%o.step
	}
	o.lefts.DropBefore(first)
	o.rights.DropBefore(first)
}

// joinInterval looks each record's partners up in the other log as it comes. A bucket is half as long as the interval, so that they are in
// three, of which one is still to come where the records of both inputs come in the order of their times.
func joinInterval[K comparable, A, B, U any](j *joining[K, A, B, U], lower, upper int64) error {
	lower, upper = max(lower, -math.MaxInt64), max(upper, -math.MaxInt64) // so that they have a negative
	o := &intervalJoin[K, A, B, U]{joining: j, lower: lower, upper: upper}
	o.withRight = func(i int, at int64, b *B) error {
		return o.pair(o.as.times[i], at, o.as.hashes[i], &o.as.values[i], b)
	}
	o.withLeft = func(i int, at int64, a *A) error {
		return o.pair(o.bs.times[i], at, o.bs.hashes[i], a, &o.bs.values[i])
	}
	j.kind = o
	return j.keep(state.Grid{Width: bucketOf(lower, upper)}, true)
}

// leastBucket is how long a bucket is at least: with fewer records, what they are kept in would be larger than they are.
const leastBucket = int64(time.Millisecond)

// bucketOf is how long the buckets of an interval are.
func bucketOf(lower, upper int64) int64 {
	size := upper - lower
	if size < 0 { // beyond 64 bits
		size = math.MaxInt64
	}
	return max(size/2+1, leastBucket)
}

type intervalJoin[K comparable, A, B, U any] struct {
	*joining[K, A, B, U]
	lower, upper int64
	as           *joinBatch[K, A] // in hand
	bs           *joinBatch[K, B]
	withRight    func(i int, at int64, b *B) error
	withLeft     func(i int, at int64, a *A) error
}

func (o *intervalJoin[K, A, B, U]) late(at int64, hash uint64) bool { return at <= o.reached.of(hash) }

func (o *intervalJoin[K, A, B, U]) left(b *joinBatch[K, A]) error {
	o.as = b
	if err := o.rights.Near(b.times, b.keys, b.hashes, o.lower, o.upper, o.withRight); err != nil {
		return err
	}
	return addNear(o.lefts, b, o.upper, o.reached)
}

func (o *intervalJoin[K, A, B, U]) right(b *joinBatch[K, B]) error {
	o.bs = b
	if err := o.lefts.Near(b.times, b.keys, b.hashes, -o.upper, -o.lower, o.withLeft); err != nil {
		return err
	}
	return addNear(o.rights, b, -o.lower, o.reached)
}

// addNear keeps the records that something may still come for, which is at most so long behind them.
func addNear[K comparable, T any](log *state.Log[K, T], b *joinBatch[K, T], behind int64, r *reached) error {
	if behind >= 0 { // what is late is not here
		return b.addTo(log)
	}
	return b.without(func(at int64) bool { return state.Span(at, behind) <= r.now }, func(b *joinBatch[K, T]) error { return b.addTo(log) })
}

func (o *intervalJoin[K, A, B, U]) pair(own, other int64, hash uint64, a *A, b *B) error {
	o.out.time = max(own, other)
	return o.emit(hash, a, b)
}

// advance drops what nothing pairs with any more.
func (o *intervalJoin[K, A, B, U]) advance(_, at int64) error {
	o.drop(at)
	return nil
}

func (o *intervalJoin[K, A, B, U]) drop(at int64) {
	if at == stream.NoTime {
		return
	}
	if at == stream.MaxWatermark {
		o.lefts.DropUpTo(at)
		o.rights.DropUpTo(at)
		return
	}
	o.lefts.DropUpTo(state.Span(at, -o.upper))
	o.rights.DropUpTo(state.Span(at, o.lower))
}
