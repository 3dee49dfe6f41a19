package flow

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/internal/stream"
)

// recorder writes down what reaches it.
type recorder struct {
	log    []string
	counts map[int32]int // records of each split
	low    int64
	late   []int64 // times of records that came behind the watermark
}

func newRecorder() *recorder { return &recorder{counts: map[int32]int{}, low: stream.NoTime} }

func (r *recorder) Push(b *stream.Batch[int64]) error {
	for _, at := range b.Times {
		if at <= r.low {
			r.late = append(r.late, at)
		}
	}
	r.counts[b.Split] += len(b.Values)
	return nil
}
func (r *recorder) Watermark(at int64) error {
	if at <= r.low {
		return fmt.Errorf("watermark %d after %d", at, r.low)
	}
	r.low = at
	r.log = append(r.log, fmt.Sprintf("%v %d", r.counts, at))
	return nil
}
func (r *recorder) Idle() error            { r.log = append(r.log, "idle"); return nil }
func (r *recorder) SplitEnd(s int32) error { return nil }
func (r *recorder) End() error             { return nil }

func newTiming(r *recorder, bound, idle time.Duration) *timing[int64] {
	return &timing[int64]{next: r, counters: new(stream.Counters), at: func(v int64) time.Time { return time.Unix(0, v) }, bound: int64(bound), idle: int64(idle),
		splits: map[int32]*splitTime{}, sent: stream.NoTime}
}

func push(t *testing.T, op *timing[int64], split int32, values []int64) {
	t.Helper()
	if err := op.Push(&stream.Batch[int64]{Values: values, Times: make([]int64, len(values)), Split: split}); err != nil {
		t.Fatal(err)
	}
}

// Watermarks are at positions of the split, whatever the batches; and a record within its split's bound is never late.
func TestWatermarksDoNotDependOnBatches(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const bound = 50
	var values []int64
	for i := range int64(3000) {
		values = append(values, i-random.Int64N(bound+1)) // behind the highest by the bound at most
	}
	var want []string
	for _, size := range []int{1, 7, 255, 256, 257, 1024, 3000} {
		r := newRecorder()
		op := newTiming(r, bound, 0)
		for b := range slices.Chunk(values, size) {
			push(t, op, 0, b)
		}
		if err := op.SplitEnd(0); err != nil {
			t.Fatal(err)
		}
		if len(r.late) > 0 {
			t.Errorf("batches of %d: %d records within the bound are late", size, len(r.late))
		}
		if r.counts[0] != len(values) {
			t.Errorf("batches of %d: %d records", size, r.counts[0])
		}
		if want == nil {
			want = r.log
			if len(want) < 10 || len(want) > 3000/watermarkEvery+1 {
				t.Fatalf("%d watermarks: %v", len(want), want)
			}
		}
		if !slices.Equal(r.log, want) {
			t.Errorf("batches of %d:\n%s\nwant\n%s", size, strings.Join(r.log, "\n"), strings.Join(want, "\n"))
		}
	}
}

func ascending(from, n int64) (values []int64) {
	for i := range n {
		values = append(values, from+i)
	}
	return values
}

func TestTheSlowestSplitDecides(t *testing.T) {
	r := newRecorder()
	op := newTiming(r, 0, 0)
	push(t, op, 1, ascending(0, 100)) // no position yet: the split holds the others up
	push(t, op, 2, ascending(10_000, 512))
	if r.low != stream.NoTime {
		t.Errorf("watermark %d while a split has none", r.low)
	}
	push(t, op, 1, ascending(100, 156))
	if r.low != 254 { // just below its highest
		t.Errorf("watermark %d", r.low)
	}
	if err := op.SplitEnd(1); err != nil {
		t.Fatal(err)
	}
	if r.low != 10_510 {
		t.Errorf("watermark %d after the slowest split has ended", r.low)
	}
	push(t, op, 3, ascending(0, 256)) // an old split holds back, and takes nothing back
	push(t, op, 2, ascending(20_000, 256))
	if r.low != 10_510 {
		t.Errorf("watermark %d", r.low)
	}
}

// What an EventTime that is not in its source's chain has seen goes before the end of its input: elsewhere that may not be the end.
func TestWhatWasSeenGoesBeforeTheEnd(t *testing.T) {
	r := newRecorder()
	op := newTiming(r, 0, 0)
	push(t, op, 0, ascending(0, 100)) // no position yet
	if err := op.Watermark(stream.MaxWatermark); err != nil {
		t.Fatal(err)
	}
	if want := []string{"map[0:100] 98", fmt.Sprintf("map[0:100] %d", int64(stream.MaxWatermark))}; !slices.Equal(r.log, want) {
		t.Errorf("it was told %v, want %v", r.log, want)
	}
}

// silence asks splits that have nothing, at a time.
type silence struct {
	t   *testing.T
	op  *timing[int64]
	now int64
}

// ask has splits say that they have nothing, and returns when one is to be asked again at the latest, from now on; negative: any time.
func (s *silence) ask(splits ...int32) time.Duration {
	s.t.Helper()
	for _, split := range splits {
		s.op.nothing(split, s.now)
	}
	next, err := s.op.settle()
	if err != nil {
		s.t.Fatal(err)
	}
	if next == 0 {
		return -1
	}
	return time.Duration(next - s.now)
}

func TestIdleSplitsHoldNobodyUp(t *testing.T) {
	r := newRecorder()
	op := newTiming(r, 0, time.Second)
	s := &silence{t, op, 1}
	push(t, op, 1, ascending(0, 1))
	push(t, op, 2, ascending(1000, 256))
	if next := s.ask(1); next != time.Second || r.low != stream.NoTime {
		t.Errorf("next look in %v, watermark %d", next, r.low)
	}
	s.now += int64(time.Second) - 1
	push(t, op, 2, ascending(2000, 256))
	if next := s.ask(1); next != 1 || r.low != stream.NoTime {
		t.Errorf("next look in %v, watermark %d", next, r.low)
	}
	s.now++
	if next := s.ask(1, 2); next != time.Second || r.low != 2254 {
		t.Errorf("split 1 is idle: next look in %v, watermark %d", next, r.low)
	}
	s.now += 2 * int64(time.Second)
	s.ask(1, 2)
	s.ask(1, 2)
	if n := strings.Count(strings.Join(r.log, "\n"), "idle"); n != 1 {
		t.Errorf("idle %d times", n)
	}
	push(t, op, 1, ascending(5000, 255)) // awake again
	push(t, op, 2, ascending(6000, 256))
	if r.low != 5253 {
		t.Errorf("watermark %d", r.low)
	}
}

// A split is not silent while nobody asks it, however long that is: behind a full output, or in a process that stands still, it may have much to give.
func TestSplitsThatNobodyAsksAreNotIdle(t *testing.T) {
	r := newRecorder()
	op := newTiming(r, 0, time.Second)
	s := &silence{t, op, 1}
	op.begin(1)
	for i := range int64(5) {
		s.now += 5 * int64(time.Second)
		if next := s.ask(); next != -1 || r.low != stream.NoTime || len(r.log) != 0 {
			t.Fatalf("next look in %v, watermark %d, %v", next, r.low, r.log)
		}
		if next := s.ask(1); next != time.Second || len(r.log) != 0 {
			t.Fatalf("asked for the first time: next look in %v, %v", next, r.log)
		}
		s.now += 5 * int64(time.Second)
		push(t, op, 1, ascending(i, 1)) // it was asked again, and had some
	}
}

// A split that its source does not read for now is not silent by itself: it becomes idle no sooner than it is read again, and has been silent for long.
func TestHeldSplitsAreNotIdle(t *testing.T) {
	r := newRecorder()
	op := newTiming(r, 10, time.Second)
	s := &silence{t, op, 1}
	op.begin(1)
	op.begin(2)
	if got := op.slowest(); got != stream.NoTime {
		t.Errorf("before there is anything, the slowest is at %d", got)
	}
	push(t, op, 1, ascending(0, 1))
	push(t, op, 2, ascending(1000, 1))
	if got := [...]int64{op.progress(1), op.progress(2), op.slowest()}; got != [...]int64{-11, 989, -11} {
		t.Errorf("they are at %d", got)
	}
	s.ask(1, 2)
	op.hold(1)
	op.hold(2)
	s.now += 5 * int64(time.Second)
	if next := s.ask(); next != -1 || len(r.log) != 0 || op.slowest() != -11 {
		t.Errorf("held: next look in %v, slowest at %d, %v", next, op.slowest(), r.log)
	}
	op.hold(1)
	op.hold(2)
	if next := s.ask(1, 2); next != time.Second || op.slowest() != -11 {
		t.Errorf("released: next look in %v, slowest at %d", next, op.slowest())
	}
	s.now += int64(time.Second) / 2
	push(t, op, 2, ascending(2000, 1))
	s.ask(1, 2)
	s.now += int64(time.Second) / 2
	s.ask(1, 2)
	if got := op.slowest(); got != 1989 {
		t.Errorf("split 1 is idle: the slowest is at %d", got)
	}
	s.now += int64(time.Second) / 2
	s.ask(1, 2)
	if got := op.slowest(); got != stream.MaxWatermark || strings.Count(strings.Join(r.log, "\n"), "idle") != 1 {
		t.Errorf("all are idle: the slowest is at %d; %v", got, r.log)
	}
}
