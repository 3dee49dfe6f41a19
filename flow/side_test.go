package flow_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/flow"
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
