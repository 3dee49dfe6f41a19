package flow

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/thalweg-io/thalweg/internal/stream"
)

// watermarkEvery is the number of records of a split after which its watermark is looked at. The positions are the split's, not those of
// batches: so what is late does not depend on the size of a buffer.
const watermarkEvery = 256

// TimeOption adjusts EventTime.
type TimeOption struct{ set func(*timeSettings) }

type timeSettings struct {
	bound    time.Duration
	idle     time.Duration
	aligned  alignment
	problems []string
}

// OutOfOrder is how far behind the highest time of its split a record may be: the split's watermark is just below that time - d. Without it,
// times of a split do not fall.
func OutOfOrder(d time.Duration) TimeOption {
	return TimeOption{func(s *timeSettings) {
		if d < 0 {
			s.problems = append(s.problems, sprintf("OutOfOrder(%v): a bound is not negative", d))
		}
		s.bound = d
	}}
}

// Idle lets a split that has had nothing to give for d, whenever it was asked, hold nobody up. While it is not asked, because its output is full or it is
// held by Aligned, it is not silent. The EventTime must be in the chain of its source.
func Idle(d time.Duration) TimeOption {
	return TimeOption{func(s *timeSettings) {
		if d <= 0 {
			s.problems = append(s.problems, sprintf("Idle(%v): a split cannot be silent for less than some time", d))
		}
		s.idle = d
	}}
}

// EventTime says what time a record happened at, and how late the stream may be. Without it, event-time windows are a build error. Times are
// between the years 1678 and 2262.
//
// If EventTime is in the chain of its source, a record within its own split's bound is never late beside splits that are open with it, whatever the
// sizes of batches and however fast each is read. What splits that have ended have shown holds for those that follow, as nobody knows the times of a
// split before it is read: a source whose enumerator hands out one split after another, such as files.From, keeps the bound if its splits, read one
// behind the other in that order, keep it. So name files in the order of their times, or let OutOfOrder cover what they overlap. Records that are late
// nevertheless are counted, and windows may be told what to do with them.
func (s Stream[T]) EventTime(at func(T) time.Time, o ...TimeOption) Stream[T] {
	var settings timeSettings
	for _, option := range o {
		option.set(&settings)
	}
	where := caller()
	name := "event time"
	if len(s.outs) > 0 {
		name = s.outs[0].from.name + " event time"
	}
	for _, p := range settings.problems {
		s.job.fail(where, "%s: %s", name, p)
	}
	n := &node{name: name, kind: "eventtime", at: where, takes: elementOf[T]{}, gives: elementOf[T]{}}
	switch {
	case settings.aligned != (alignment{}):
		n.aligned = settings.aligned
		n.inSource = "Aligned holds the splits of a source, and this EventTime is in another task: put it right behind the source"
	case settings.idle > 0:
		n.inSource = "Idle watches the splits of a source, and this EventTime is in another task: put it right behind the source"
	}
	n.make = func(b *builder, next any) (any, error) {
		op := &timing[T]{next: next.(stream.Input[T]), at: at, bound: int64(settings.bound), idle: int64(settings.idle),
			splits: make(map[int32]*splitTime), sent: stream.NoTime, counters: b.t.Counters()}
		if op.idle > 0 {
			b.quiet = append(b.quiet, op)
		}
		if n.aligned != (alignment{}) {
			b.aligned, b.drift = op, int64(settings.aligned.drift)
		}
		b.marks = append(b.marks, op)
		b.add(n, op)
		return op, nil
	}
	out := transform[T](s, n, nil)
	n.times = true
	return out
}

// timing gives records their times and places watermarks. Per split it counts records and keeps the highest time; the watermark it hands on is
// the lowest of its splits'.
type timing[T any] struct {
	stream.Base
	next     stream.Input[T]
	counters *stream.Counters
	at       func(T) time.Time
	bound    int64
	idle     int64 // ns; 0: never
	splits   map[int32]*splitTime
	sent     int64 // highest watermark handed on
	idling   bool  // all splits are idle, and that has been handed on
	times    []int64
	out      stream.Batch[T]
}

type splitTime struct {
	count     int64 // records so far
	highest   int64
	watermark int64 // at its newest position
	silent    int64 // since when it has had nothing whenever it was asked; 0: it has given records since it was asked last
	idle      bool  // has been silent for long
}

func (t *timing[T]) Push(b *stream.Batch[T]) error {
	s := t.split(b.Split)
	s.silent, s.idle, t.idling = 0, false, false
	t.times = room(t.times, len(b.Values))
	begin, end := 0, len(b.Values)
	for i := 0; i < end; {
		position := min(end, i+int(watermarkEvery-s.count%watermarkEvery))
		s.count += int64(position - i)
		for ; i < position; i++ {
			at := t.at(b.Values[i]).UnixNano()
			t.times[i] = at
			s.highest = max(s.highest, at)
		}
		if s.count%watermarkEvery != 0 {
			break // the batch ends before the position
		}
		s.watermark = s.progress(t.bound)
		if low := t.lowest(); low > t.sent {
			if err := t.push(b, begin, position); err != nil {
				return err
			}
			if err := t.advance(low); err != nil {
				return err
			}
			begin = position
		}
	}
	return t.push(b, begin, end)
}

func (t *timing[T]) push(b *stream.Batch[T], from, to int) error {
	if from == to {
		return nil
	}
	t.out = stream.Batch[T]{Values: b.Values[from:to], Times: t.times[from:to], Split: b.Split}
	return t.next.Push(&t.out)
}

// less is a - b, which stays above what stands for no time.
func less(a, b int64) int64 {
	if a < math.MinInt64+1+b {
		return math.MinInt64 + 1
	}
	return a - b
}

// lowest is the watermark of all splits that are not idle: NoTime while one has none yet.
func (t *timing[T]) lowest() int64 {
	low, any := int64(stream.MaxWatermark), false
	for _, s := range t.splits {
		if !s.idle {
			low, any = min(low, s.watermark), true
		}
	}
	if !any {
		return stream.NoTime
	}
	return low
}

func (t *timing[T]) advance(to int64) error {
	if to <= t.sent {
		return nil
	}
	t.sent = to
	t.counters.SetWatermark(to)
	return t.next.Watermark(to)
}

// split is what is known of a split.
func (t *timing[T]) split(number int32) *splitTime {
	s := t.splits[number]
	if s == nil {
		s = &splitTime{highest: stream.NoTime, watermark: stream.NoTime}
		t.splits[number] = s
	}
	return s
}

// begin has the watermark wait for a split that has given nothing yet: else its first records might come late.
func (t *timing[T]) begin(split int32) { t.split(split) }

// hold implements marked.
func (t *timing[T]) hold(split int32) { t.split(split).silent = 0 }

// progress implements progressing.
func (t *timing[T]) progress(split int32) int64 { return t.split(split).progress(t.bound) }

// slowest implements progressing.
func (t *timing[T]) slowest() int64 {
	low := int64(stream.MaxWatermark)
	for _, s := range t.splits {
		if !s.idle {
			low = min(low, s.progress(t.bound))
		}
	}
	return low
}

// progress is what the split's watermark would be if this were a position.
func (s *splitTime) progress(bound int64) int64 {
	if s.highest == stream.NoTime {
		return stream.NoTime
	}
	return less(s.highest, bound+1)
}

// mark is a watermark of a reader that knows more than the times of its records tell.
func (t *timing[T]) mark(at int64) error { return t.advance(at) }

// Watermark: this operator's replace those of its input, but for the last.
func (t *timing[T]) Watermark(at int64) error {
	if at != stream.MaxWatermark {
		return nil
	}
	if err := t.advance(t.slowest()); err != nil { // what has been seen counts where the end of one input is not the end
		return err
	}
	return t.advance(at)
}

// Idle of the input is handed on: nothing comes from there for now.
func (t *timing[T]) Idle() error { return t.next.Idle() }

// SplitEnd: what the split has seen still counts, and it holds nobody up any more.
func (t *timing[T]) SplitEnd(split int32) error {
	if s := t.splits[split]; s != nil {
		delete(t.splits, split)
		low := s.progress(t.bound)
		if len(t.splits) > 0 {
			low = t.lowest()
		}
		if err := t.advance(low); err != nil {
			return err
		}
	}
	return t.next.SplitEnd(split)
}

func (t *timing[T]) End() error { return t.next.End() }

// nothing implements quieting.
func (t *timing[T]) nothing(split int32, now int64) {
	s := t.split(split)
	if s.silent == 0 {
		s.silent = now
	}
	s.idle = s.idle || now-s.silent >= t.idle
}

// settle implements quieting.
func (t *timing[T]) settle() (next int64, err error) {
	active := false
	for _, s := range t.splits {
		if s.idle {
			continue
		}
		active = true
		if s.silent != 0 && (next == 0 || s.silent+t.idle < next) {
			next = s.silent + t.idle
		}
	}
	if len(t.splits) == 0 || t.idling {
		return next, nil
	}
	if !active {
		t.idling = true
		return next, t.next.Idle()
	}
	return next, t.advance(t.lowest())
}

func (t *timing[T]) Snapshot(s *stream.Snapshot) error {
	var entries [][]byte
	for number, split := range t.splits {
		e := binary.LittleEndian.AppendUint32(nil, uint32(number))
		for _, v := range []int64{split.count, split.highest, split.watermark} {
			e = binary.LittleEndian.AppendUint64(e, uint64(v))
		}
		entries = append(entries, e)
	}
	s.Entries(entries...)
	return nil
}

var errTimeState = errors.New("is not what EventTime wrote")

// Open restores the splits. What had been handed on is forgotten: operators downstream keep their own watermark, where a lower one does harm.
func (t *timing[T]) Open(c *stream.OpenContext) error {
	for i, e := range c.Entries() {
		if len(e) != 4+3*8 {
			return fmt.Errorf("restore event time: entry %d %w", i, errTimeState)
		}
		word := func(n int) int64 { return int64(binary.LittleEndian.Uint64(e[4+8*n:])) }
		t.splits[int32(binary.LittleEndian.Uint32(e))] = &splitTime{count: word(0), highest: word(1), watermark: word(2)}
	}
	return nil
}
