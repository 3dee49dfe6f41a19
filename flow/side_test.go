package flow_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/flow/flowtest"
)

var (
	odd   = flow.NewSideOutput[int]("odd")
	words = flow.NewSideOutput[string]("words")
	bad   = flow.NewSideOutput[string]("bad")
)

// split emits even numbers, sends odd ones to a side output, and tells another one of each number divisible by 100, at its tenth nanosecond.
func split(s flow.Stream[int], o ...flow.Option) flow.Stream[int] {
	keyed := flow.KeyBy(s, func(i int) int { return i % 17 })
	return flow.Process(keyed, "split", func(op *flow.Op[int]) flow.Handler[int, int, int] {
		odds, texts := flow.NewSide(op, odd), flow.NewSide(op, words)
		return flow.Handler[int, int, int]{Record: func(c *flow.Ctx[int], v int, out *flow.Out[int]) error {
			if v%2 == 0 {
				out.Emit(v)
			} else {
				odds.Emit(v)
			}
			if v%100 == 0 {
				texts.EmitAt(strconv.Itoa(v), time.Unix(0, 10))
			}
			return nil
		}}
	}, o...)
}

// Three outputs of one operator, each with readers in the same chain, in other tasks, of several kinds and of none.
func TestSideOutputs(t *testing.T) {
	var evens, odds []string
	for i := range 5000 {
		if i%2 == 0 {
			evens = append(evens, fmt.Sprint("even ", i))
		} else {
			odds = append(odds, fmt.Sprint("odd ", i))
		}
		if i%100 == 0 {
			evens = append(evens, fmt.Sprint("word ", i))
		}
	}
	want := slices.Concat(evens, odds, odds)
	slices.Sort(want)
	for name, o := range map[string][]flow.Option{"chained": {flow.Parallelism(1)}, "tasks": {flow.NoChain()}, "wider": {flow.Parallelism(3)}} {
		t.Run(name, func(t *testing.T) {
			job := func(j *flow.Job, s flow.Stream[int]) flow.Stream[string] {
				main := split(s, o...)
				side := flow.ReadSide(main, odd)
				named := func(kind string) func(int) string { return func(i int) string { return fmt.Sprint(kind, " ", i) } }
				return flow.Map(main, "even", named("even")).Union(
					flow.Map(side, "odd", named("odd"), o...),
					flow.Map(side.Rebalance(), "odd again", named("odd"), flow.Parallelism(2)),
					flow.Map(flow.ReadSide(main, words), "word", func(s string) string { return "word " + s }))
			}
			equal(t, output(t, func(j *flow.Job) flow.Stream[string] {
				return job(j, flow.From(j, "numbers", of(numbers(0, 1200), numbers(1200, 5000)), flow.Parallelism(1)))
			}), want)
			equal(t, restarted(t, func(j *flow.Job, r *restarting) flow.Stream[string] {
				return job(j, flow.From(j, "numbers", halves(r, numbers(0, 1200), numbers(1200, 5000)), flow.Parallelism(1)))
			}), want)
		})
	}
}

// A side output has the watermarks of the main one, and those do not overtake what was emitted: nothing of it is late in a window, and every window
// is given.
func TestWindowsOfASideOutput(t *testing.T) {
	for _, parallelism := range []int{1, 3} {
		c := &collected[flow.Pane[int, int64]]{}
		if err := run(t, func(j *flow.Job) {
			s := flow.From(j, "numbers", of(numbers(0, 6000)), flow.Parallelism(1)).EventTime(func(i int) time.Time { return time.Unix(int64(i), 0) })
			keyed := flow.KeyBy(flow.ReadSide(split(s, flow.Parallelism(parallelism)), odd), func(i int) int { return i % 2 })
			flow.To(flow.Aggregate(keyed.Window(flow.Tumbling(100*time.Second)), "count", flow.Count[int]()), "sink", flow.Sink[flow.Pane[int, int64]](c))
		}); err != nil {
			t.Fatal(err)
		}
		if len(c.values) != 60 {
			t.Errorf("%d windows, want 60", len(c.values))
		}
		for _, p := range c.values {
			if p.Value != 50 || p.Key != 1 {
				t.Errorf("parallelism %d: %+v", parallelism, p)
			}
		}
	}
}

// What a timer emits into a side output has the time of the timer.
func TestSideOutputOfATimer(t *testing.T) {
	got := output(t, func(j *flow.Job) flow.Stream[string] {
		s := flow.From(j, "numbers", of(numbers(0, 10)), flow.Parallelism(1)).EventTime(func(i int) time.Time { return time.Unix(int64(i), 0) })
		p := flow.Process(flow.KeyBy(s, func(i int) int { return i }), "p", func(op *flow.Op[int]) flow.Handler[int, int, int] {
			side := flow.NewSide(op, words)
			timer := flow.NewTimer(op, "timer", func(c *flow.Ctx[int], at time.Time, _ *flow.Out[int]) error {
				side.Emit(fmt.Sprint(c.Key(), "@", at.Unix()))
				return nil
			})
			return flow.Handler[int, int, int]{Record: func(c *flow.Ctx[int], v int, _ *flow.Out[int]) error {
				timer.Set(c, c.Time().Add(time.Minute))
				return nil
			}}
		})
		keyed := flow.KeyBy(flow.ReadSide(p, words), func(s string) string { return s })
		return flow.Process(keyed, "times", func(*flow.Op[string]) flow.Handler[string, string, string] {
			return flow.Handler[string, string, string]{Record: func(c *flow.Ctx[string], v string, out *flow.Out[string]) error {
				out.Emit(fmt.Sprint(v, " ", c.Time().Unix()))
				return nil
			}}
		})
	})
	var want []string
	for i := range 10 {
		want = append(want, fmt.Sprintf("%d@%d %d", i, 60+i, 60+i))
	}
	equal(t, got, want)
}

func TestTryMapSendsToASideOutput(t *testing.T) {
	parse := func(_ context.Context, s string) (int, error) {
		if s == "skip" {
			return 0, fmt.Errorf("%w", flow.ErrSkip)
		}
		return strconv.Atoi(s)
	}
	got := output(t, func(j *flow.Job) flow.Stream[string] {
		n := flow.TryMap(flow.From(j, "texts", of([]string{"1", "x", "2", "skip", "", "3"}, []string{"y"})), "parse", parse, flow.SendTo(bad))
		return flow.Map(n, "number", func(i int) string { return fmt.Sprint("number ", i) }).Union(
			flow.Map(flow.ReadSide(n, bad), "bad", func(s string) string { return "bad " + s }))
	})
	equal(t, got, []string{"bad ", "bad x", "bad y", "number 1", "number 2", "number 3"})
}

// An operator whose Record fails after it has emitted into a side output fails the task, and the error is its own.
func TestSideOutputOfAnOperatorThatFails(t *testing.T) {
	boom := errors.New("boom")
	err := run(t, func(j *flow.Job) {
		p := flow.Process(flow.KeyBy(flow.From(j, "numbers", of(numbers(0, 10))), func(i int) int { return i }), "p", func(op *flow.Op[int]) flow.Handler[int, int, int] {
			side := flow.NewSide(op, odd)
			return flow.Handler[int, int, int]{Record: func(_ *flow.Ctx[int], v int, _ *flow.Out[int]) error {
				side.Emit(v)
				return boom
			}}
		})
		flow.To(flow.ReadSide(p, odd), "sink", flow.Sink[int](&collected[int]{}))
	})
	if err == nil || !contains(err, "operator p: boom") {
		t.Errorf("%v", err)
	}
}

// rounds gives its splits one by one, each when the test lets it.
type rounds struct {
	fixed[int]
	open *atomic.Int32 // of how many splits
	read chan int      // the split whose last record has been given
}

func (s rounds) Reader(t flow.Task, split []byte) (flow.Reader[int], error) {
	in, err := s.fixed.Reader(t, split)
	if err != nil {
		return nil, err
	}
	return &roundsReader{in.(*fixedReader[int]), s}, nil
}

type roundsReader struct {
	*fixedReader[int]
	s rounds
}

func (r *roundsReader) Read(dst []int) (int, flow.Next, error) {
	if int(r.s.open.Load()) <= r.split {
		return 0, flow.WaitUntil(time.Now().Add(time.Millisecond)), nil
	}
	n, next, err := r.fixedReader.Read(dst)
	if next == flow.EndOfSplit {
		r.s.read <- r.split
	}
	return n, next, err
}

// Timers emit into side outputs as of no split. The split of the last record has ended when these timers fire: an EventTime that took their output for
// that split's would wait for its next records for ever, and its watermark stay where the first round left it.
func TestTimersEmitOfNoSplit(t *testing.T) {
	const n, each = 5, 300
	src := rounds{open: new(atomic.Int32), read: make(chan int, n)}
	for r := range n + 1 { // the last is never read: behind the end of the input no timer fires
		src.fixed = append(src.fixed, numbers(1000*r, 1000*r+each))
	}
	h := flowtest.New(t)
	marks := flowtest.NewSink[[2]int](h) // a timer's record, and the watermark that it has found
	at := func(i int) time.Time { return time.Unix(int64(i), 0) }
	h.Start(1, func(j *flow.Job) error {
		p := flow.Process(flow.KeyBy(flow.From(j, "in", flow.Source[int](src)), func(i int) int { return i }), "p", func(op *flow.Op[int]) flow.Handler[int, int, int] {
			fired := flow.NewSide(op, odd)
			timer := flow.NewProcTimer(op, "timer", func(c *flow.Ctx[int], _ time.Time, _ *flow.Out[int]) error {
				fired.Emit(c.Key())
				return nil
			})
			return flow.Handler[int, int, int]{Record: func(c *flow.Ctx[int], i int, _ *flow.Out[int]) error {
				timer.Set(c, c.Now().Add(time.Hour))
				return nil
			}}
		})
		keyed := flow.KeyBy(flow.ReadSide(p, odd).EventTime(at, flow.OutOfOrder(each*time.Second)), func(i int) int { return i })
		flow.To(flow.Process(keyed, "watermarks", func(*flow.Op[int]) flow.Handler[int, int, [2]int] {
			return flow.Handler[int, int, [2]int]{Record: func(c *flow.Ctx[int], i int, out *flow.Out[[2]int]) error {
				out.Emit([2]int{i, int(c.Watermark().Unix())})
				return nil
			}}
		}), "marks", flow.Sink[[2]int](marks))
		return nil
	})
	for r := range n {
		src.open.Add(1)
		if got := <-src.read; got != r {
			t.Fatalf("split %d was read, want %d", got, r)
		}
		h.Advance(time.Hour) // the slice of work that read the last record has also ended its split
	}
	all := marks.All()
	if len(all) != n*each {
		t.Fatalf("%d timers fired, want %d", len(all), n*each)
	}
	if last := all[len(all)-1]; last[0] < 1000*(n-1) || last[1] < 1000*(n-2)-each {
		t.Errorf("the record %d of the last round finds the watermark %d, and the rounds before were done", last[0], last[1])
	}
}
