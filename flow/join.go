package flow

import (
	"errors"
	"iter"
	"math"
	"time"

	"github.com/thalweg-io/thalweg/internal/stream"
)

// Join pairs, per key, each record of a with each record of b that falls into the same window, once the watermark has passed the window's end; f
// makes of a pair what it likes. The time of that is the last nanosecond of the window. A record whose windows have all been given is late: it is
// left out and counted. Windows are Tumbling, Sliding or Global; all that is in one is kept until its end.
func Join[K comparable, A, B, U any](a Keyed[K, A], b Keyed[K, B], w Window, name string, f func(A, B, *Out[U]) error, o ...Option) Stream[U] {
	n := &node{name: name, kind: "join", at: caller(), takes: elementOf[A]{}, right: elementOf[B]{}, gives: elementOf[U]{}, keyed: true}
	out := connect(a, b, n, func(op *Op[K]) Handler2[K, A, B, U] { return windowJoin(op, w, f) }, o)
	if p := joinProblem(w, n.times, f == nil); p != "" {
		a.stream.job.fail(n.at, "operator %q: %s", name, p)
	}
	n.times = true
	return out
}

func joinProblem(w Window, times, nothing bool) string {
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
	}
	return ""
}

const noEventTime = "it joins by event time, and no EventTime is upstream of all its inputs: say what time a record happened at by EventTime, right behind the source"

// windowJoin is one shelf for each input, with a label for each window, and a timer at the end of each.
func windowJoin[K comparable, A, B, U any](op *Op[K], w Window, f func(A, B, *Out[U]) error) Handler2[K, A, B, U] {
	left, right := newShelf[A](op, "left"), newShelf[B](op, "right")
	size, slide, offset := int64(w.size), int64(w.slide), int64(w.offset)
	var scratch []B
	end := NewTimer(op, "end", func(_ *Ctx[K], _ time.Time, out *Out[U]) error {
		last := out.time
		begin := last - size + 1
		if w.kind == global {
			begin, out.time = 0, stream.NoTime
		}
		scratch = scratch[:0]
		if left.size(begin) > 0 {
			for b := range right.all(begin) {
				scratch = append(scratch, b)
			}
		}
		if len(scratch) > 0 {
			for a := range left.all(begin) {
				for _, b := range scratch {
					if err := f(a, b, out); err != nil {
						return err
					}
					if out.err != nil {
						return out.err
					}
				}
			}
		}
		clear(scratch)
		left.drop(begin)
		right.drop(begin)
		return nil
	})
	// put has a record kept in each of its windows that is not over.
	put := func(c *Ctx[K], keep func(window int64)) error {
		if w.kind == global {
			keep(0)
			end.in.Set(stream.MaxWatermark)
			return nil
		}
		if c.time == stream.NoTime {
			return errNoTime
		}
		windows, over := 0, op.reached.of(c.keyed.Hash())
		for begin := floor(c.time-offset, slide)*slide + offset; begin > c.time-size; begin -= slide {
			if last := begin + size - 1; last > over {
				keep(begin)
				end.in.Set(last)
				windows++
			}
		}
		if windows == 0 && size >= slide {
			op.task.Counters().AddLate(1)
		}
		return nil
	}
	return Handler2[K, A, B, U]{
		Left:  func(c *Ctx[K], v A, _ *Out[U]) error { return put(c, func(window int64) { left.put(window, v) }) },
		Right: func(c *Ctx[K], v B, _ *Out[U]) error { return put(c, func(window int64) { right.put(window, v) }) },
	}
}

var errNoTime = errors.New("a record has no event time")

// floor is a / b, rounded down.
func floor(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// IntervalJoin pairs, per key, each record of a with each record of b whose event time is in [a's + lower, a's + upper]; f makes of a pair what it
// likes, at once when the second of the two has come. The time of that is the later one of the two. A record is kept until the watermark says that
// none can come any more that it pairs with; one that is behind the watermark itself is late: it is left out and counted.
func IntervalJoin[K comparable, A, B, U any](a Keyed[K, A], b Keyed[K, B], lower, upper time.Duration, name string, f func(A, B, *Out[U]) error, o ...Option) Stream[U] {
	n := &node{name: name, kind: "interval join", at: caller(), takes: elementOf[A]{}, right: elementOf[B]{}, gives: elementOf[U]{}, keyed: true}
	out := connect(a, b, n, func(op *Op[K]) Handler2[K, A, B, U] { return intervalJoin(op, int64(lower), int64(upper), f) }, o)
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

// intervalJoin is one shelf for each input, with a label for each time, and a timer for each label's end.
func intervalJoin[K comparable, A, B, U any](op *Op[K], lower, upper int64, f func(A, B, *Out[U]) error) Handler2[K, A, B, U] {
	left, right := newShelf[A](op, "left"), newShelf[B](op, "right")
	// What a can pair with is over at its time + upper, what b can at its time - lower.
	leftEnd := NewTimer(op, "left end", func(_ *Ctx[K], _ time.Time, out *Out[U]) error { left.drop(out.time - upper); return nil })
	rightEnd := NewTimer(op, "right end", func(_ *Ctx[K], _ time.Time, out *Out[U]) error { right.drop(out.time + lower); return nil })
	return Handler2[K, A, B, U]{
		Left: func(c *Ctx[K], a A, out *Out[U]) error {
			return interval(op, c, left, leftEnd, a, upper, right, plus(c.time, lower), plus(c.time, upper), out, func(b B) error { return f(a, b, out) })
		},
		Right: func(c *Ctx[K], b B, out *Out[U]) error {
			return interval(op, c, right, rightEnd, b, -lower, left, plus(c.time, -upper), plus(c.time, -lower), out, func(a A) error { return f(a, b, out) })
		},
	}
}

// interval pairs v with what the other shelf has of the times [from, to], and keeps it as long as something may come that it pairs with.
func interval[K comparable, V, W, U any](op *Op[K], c *Ctx[K], own *shelf[V], end *Timer[K, U], v V, keep int64, other *shelf[W], from, to int64, out *Out[U], pair func(W) error) error {
	at := c.time
	if at == stream.NoTime {
		return errNoTime
	}
	over := op.reached.of(c.keyed.Hash())
	if at <= over {
		op.task.Counters().AddLate(1)
		return nil
	}
	for label := range other.labels(from, to) {
		out.time = max(at, label)
		for w := range other.all(label) {
			if err := pair(w); err != nil {
				return err
			}
			if out.err != nil {
				return out.err
			}
		}
	}
	if until := plus(at, keep); until > over {
		own.put(at, v)
		end.in.Set(until)
	}
	return nil
}

// plus is a + b, which stays between the first and the last time.
func plus(a, b int64) int64 {
	switch c := a + b; {
	case b > 0 && c < a:
		return math.MaxInt64
	case b < 0 && c > a:
		return math.MinInt64 + 1
	default:
		return c
	}
}

// shelf keeps records of the key in hand under labels, those of one label in order.
type shelf[V any] struct {
	sizes *MapState[int64, int64]
	kept  *MapState[place, V]
}

// place is where a record lies in a shelf.
type place struct{ Label, Number int64 }

func newShelf[V any, K comparable](op *Op[K], name string) *shelf[V] {
	return &shelf[V]{NewMapState[int64, int64](op, name+" sizes"), NewMapState[place, V](op, name)}
}

func (s *shelf[V]) put(label int64, v V) {
	n := s.size(label)
	s.kept.Put(place{label, n}, v)
	s.sizes.Put(label, n+1)
}

func (s *shelf[V]) size(label int64) int64 {
	n, _ := s.sizes.Get(label)
	return n
}

func (s *shelf[V]) all(label int64) iter.Seq[V] {
	return func(yield func(V) bool) {
		for i := range s.size(label) {
			if v, ok := s.kept.Get(place{label, i}); ok && !yield(v) {
				return
			}
		}
	}
}

// labels are those in [from, to] that there is something under.
func (s *shelf[V]) labels(from, to int64) iter.Seq[int64] {
	return func(yield func(int64) bool) {
		for label := range s.sizes.All() {
			if label >= from && label <= to && !yield(label) {
				return
			}
		}
	}
}

func (s *shelf[V]) drop(label int64) {
	for i := range s.size(label) {
		s.kept.Delete(place{label, i})
	}
	s.sizes.Delete(label)
}
