package flow_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/flow"
)

// waits emits each key once, a time after its first record, by the clock.
func waits(s flow.Stream[int], o ...flow.Option) flow.Stream[int] {
	return flow.Process(flow.KeyBy(s, func(i int) int { return i }), "waits", func(op *flow.Op[int]) flow.Handler[int, int, int] {
		since := flow.NewValue[int64](op, "since")
		var never *flow.ProcTimer[int, int]
		end := flow.NewProcTimer(op, "end", func(c *flow.Ctx[int], at time.Time, out *flow.Out[int]) error {
			began, ok := since.Get()
			if now := time.Now(); !ok || now.Before(at) || at.UnixNano() != began+int64(20*time.Millisecond) || !c.Time().IsZero() {
				return fmt.Errorf("the timer of key %d for %v fires at %v, with event time %v; it has state: %v", c.Key(), at, now, c.Time(), ok)
			}
			out.Emit(c.Key())
			return nil
		})
		never = flow.NewProcTimer(op, "never", func(c *flow.Ctx[int], at time.Time, _ *flow.Out[int]) error {
			return fmt.Errorf("the cancelled timer of key %d for %v fires", c.Key(), at)
		})
		return flow.Handler[int, int, int]{Record: func(c *flow.Ctx[int], v int, _ *flow.Out[int]) error {
			if v < 0 {
				return nil
			}
			now := c.Now()
			since.Set(now.UnixNano())
			end.Set(c, now.Add(20*time.Millisecond))
			never.Set(c, now.Add(10*time.Millisecond))
			never.Cancel(c, now.Add(10*time.Millisecond))
			return nil
		}}
	}, o...)
}

// Timers of processing time wake a task that has nothing to do, in a chain of a source and in one without, and are there behind a restore. The input
// ends only when all have fired: it is they that bring the output, not the end.
func TestProcTimers(t *testing.T) {
	for name, o := range map[string][]flow.Option{"chained": {flow.Parallelism(1)}, "task": {flow.Parallelism(1), flow.NoChain()}, "tasks": {flow.Parallelism(3)}} {
		t.Run(name, func(t *testing.T) {
			c := &collected[int]{}
			fired := func() bool { c.mu.Lock(); defer c.mu.Unlock(); return len(c.values) == 300 }
			if err := run(t, func(j *flow.Job) {
				in := flow.From(j, "in", flow.Source[int](gated[int]{fixed[int]{append(numbers(0, 300), -1)}, 300, fired}), flow.Parallelism(1))
				flow.To(waits(in, o...), "sink", flow.Sink[int](c))
			}); err != nil {
				t.Fatal(err)
			}
			slices.Sort(c.values)
			equal(t, c.values, numbers(0, 300))

			equal(t, restarted(t, func(j *flow.Job, r *restarting) flow.Stream[int] {
				all := func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.values >= 300 }
				in := flow.From(j, "in", halves(r, numbers(0, 300)), flow.Parallelism(1))
				hold := flow.From(j, "hold", flow.Source[int](gated[int]{fixed[int]{{-1}}, 0, all}), flow.Parallelism(1))
				return waits(in.Union(hold), o...)
			}), numbers(0, 300))
		})
	}
}

// What is set for behind the end of the input does not keep the job from ending.
func TestProcTimerBehindTheEnd(t *testing.T) {
	got := output(t, func(j *flow.Job) flow.Stream[int] {
		return flow.Process(flow.KeyBy(flow.From(j, "in", of(numbers(0, 10))), func(i int) int { return i }), "p", func(op *flow.Op[int]) flow.Handler[int, int, int] {
			end := flow.NewProcTimer(op, "end", func(_ *flow.Ctx[int], _ time.Time, out *flow.Out[int]) error {
				out.Emit(-1)
				return nil
			})
			return flow.Handler[int, int, int]{Record: func(c *flow.Ctx[int], v int, out *flow.Out[int]) error {
				end.Set(c, c.Now().Add(time.Hour))
				out.Emit(v)
				return nil
			}}
		})
	})
	equal(t, got, numbers(0, 10))
}

// Windows of processing time are given when they are over, though no record comes after them, and not by the end of the input only.
func TestWindowsOfProcessingTimeEndByThemselves(t *testing.T) {
	for _, parallelism := range []int{1, 2} {
		c := &collected[int64]{}
		given := func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			sum := int64(0)
			for _, n := range c.values {
				sum += n
			}
			return sum == 100
		}
		if err := run(t, func(j *flow.Job) {
			in := flow.From(j, "in", flow.Source[int](gated[int]{fixed[int]{append(numbers(0, 100), -1)}, 100, given}), flow.Parallelism(1))
			w := flow.KeyBy(in, func(i int) int { return i % 10 }).Window(flow.Tumbling(20 * time.Millisecond).ProcessingTime())
			flow.To(flow.AggregateThen(w, "count", flow.Count[int](), func(p flow.Pane[int, int64], out *flow.Out[int64]) error {
				out.Emit(p.Value)
				return nil
			}, flow.Parallelism(parallelism)), "sink", flow.Sink[int64](c))
		}); err != nil {
			t.Fatal(err)
		}
	}
}
