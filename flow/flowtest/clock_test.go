package flowtest_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/flow/flowtest"
)

// since is how long a clock has run at a time.
func since(at time.Time) time.Duration {
	return at.Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
}

func inOrder(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// Windows of processing time are cut by the clock, and given when it passes them, though nothing follows; also behind a restore at another
// parallelism.
func TestWindowsByTheClock(t *testing.T) {
	for parallelism := 1; parallelism <= 3; parallelism++ {
		h := flowtest.New(t)
		in, out := flowtest.NewSource[string](h), flowtest.NewSink[string](h)
		h.Start(parallelism, func(j *flow.Job) error {
			keyed := flow.KeyBy(flow.From(j, "in", in).Rebalance(), func(v string) string { return v })
			for name, w := range map[string]flow.Window{
				"tumbling": flow.Tumbling(time.Minute), "sliding": flow.Sliding(time.Minute, 20*time.Second), "session": flow.Session(30 * time.Second),
			} {
				counts := flow.AggregateThen(keyed.Window(w.ProcessingTime()), name, flow.Count[string](), func(p flow.Pane[string, int64], out *flow.Out[string]) error {
					out.Emit(fmt.Sprintf("%s %v-%v %s: %d", name, since(p.Start), since(p.End), p.Key, p.Value))
					return nil
				})
				flow.To(counts, "sink "+name, out)
			}
			return nil
		})
		var want []string
		step := func(what string, given ...string) {
			t.Helper()
			want = append(want, given...)
			slices.Sort(want)
			equal(t, what, out.All(), want...)
		}
		in.Push("a", "a", "b")
		h.Advance(20*time.Second - 1)
		step("before 20 s")
		h.Advance(1)
		step("at 20 s", "sliding -40s-20s a: 2", "sliding -40s-20s b: 1")
		h.Advance(5 * time.Second)
		in.Push("b")
		h.Advance(15*time.Second - 1)
		step("before 40 s", "session 0s-30s a: 2")
		s := h.Snapshot()
		h.Advance(1)
		step("at 40 s", "sliding -20s-40s a: 2", "sliding -20s-40s b: 2")
		h.Restore(s, 4-parallelism)
		h.Settle() // the time has come already
		step("restored")
		h.Advance(time.Hour)
		step("all", "session 0s-55s b: 2", "sliding 0s-1m0s a: 2", "sliding 0s-1m0s b: 2", "sliding 20s-1m20s b: 1", "tumbling 0s-1m0s a: 2", "tumbling 0s-1m0s b: 2")
		h.Finish()
		step("the end")
	}
}

// relay emits each record so many ms later as it says, and says when that was.
type relay struct {
	Wait time.Duration
	Told string
}

func delay(s flow.Stream[relay], name string, o ...flow.Option) flow.Stream[relay] {
	return flow.Process(flow.KeyBy(s, func(r relay) relay { return r }), name, func(op *flow.Op[relay]) flow.Handler[relay, relay, relay] {
		fire := flow.NewProcTimer(op, "fire", func(c *flow.Ctx[relay], at time.Time, out *flow.Out[relay]) error {
			r, fires := c.Key(), fmt.Sprint(since(at))
			if now := c.Now(); !now.Equal(at) {
				fires += fmt.Sprintf(" at %v", since(now))
			}
			out.Emit(relay{r.Wait, fmt.Sprintf("%s %s@%s", r.Told, name, fires)})
			return nil
		})
		return flow.Handler[relay, relay, relay]{Record: func(c *flow.Ctx[relay], r relay, _ *flow.Out[relay]) error {
			fire.Set(c, c.Now().Add(r.Wait))
			return nil
		}}
	}, o...)
}

// Timers fire at their times, and in their order over all tasks, with what those before them have set.
func TestTimersByTheClock(t *testing.T) {
	var want []string
	for n := range 12 {
		wait := time.Duration(n) * 7 * time.Second
		want = append(want, fmt.Sprintf("%02d a@%v b@%v", n, wait, 2*wait))
	}
	for _, chain := range [][]flow.Option{nil, {flow.NoChain()}} {
		for parallelism := 1; parallelism <= 3; parallelism++ {
			h := flowtest.New(t)
			in, out := flowtest.NewSource[relay](h), flowtest.NewSink[string](h)
			h.Start(parallelism, func(j *flow.Job) error {
				s := delay(delay(flow.From(j, "in", in).Rebalance(), "a", chain...), "b", chain...)
				flow.To(flow.Map(s, "told", func(r relay) string { return r.Told }), "sink", out)
				return nil
			})
			for n := 11; n >= 0; n-- {
				in.Push(relay{time.Duration(n) * 7 * time.Second, fmt.Sprintf("%02d", n)})
			}
			h.Settle()
			inOrder(t, "without a wait", out.All(), want[0])
			h.AdvanceTo(h.Now().Add(70 * time.Second))
			inOrder(t, "after 70 s", out.All(), want[:6]...)
			s := h.Snapshot()
			h.Advance(time.Hour)
			inOrder(t, "after an hour", out.All(), want...)
			if now := since(h.Now()); now != time.Hour+70*time.Second {
				t.Errorf("it is %v", now)
			}
			// What is overdue fires at once, in the same order per subtask; what it sets goes by the present time.
			h.Restore(s, parallelism)
			h.Settle()
			overdue := want[:6:6]
			for n := 6; n < 12; n++ {
				if n*7 <= 70 { // it waits in b, the others in a
					overdue = append(overdue, fmt.Sprintf("%02d a@%v b@%v at 1h1m10s", n, time.Duration(n)*7*time.Second, time.Duration(n)*14*time.Second))
				}
			}
			equal(t, "overdue", out.All(), overdue...)
			h.Advance(77 * time.Second)
			equal(t, "behind it", out.All(), append(overdue, "11 a@1m17s at 1h1m10s b@1h2m27s")...)
		}
	}
}

// A split that is silent for long enough holds nobody up, by the same clock.
func TestIdleByTheClock(t *testing.T) {
	for _, readers := range []int{1, 2} {
		h := flowtest.New(t)
		clicks, counts := flowtest.NewSplits[click](h, 2), flowtest.NewSink[string](h)
		h.Start(2, func(j *flow.Job) error {
			s := flow.From(j, "clicks", clicks, flow.Parallelism(readers)).EventTime(click.time, flow.Idle(time.Minute))
			w := flow.KeyBy(s, func(c click) string { return c.Key }).Window(flow.Tumbling(time.Minute))
			flow.To(flow.AggregateThen(w, "count", flow.Count[click](), func(p flow.Pane[string, int64], out *flow.Out[string]) error {
				out.Emit(fmt.Sprintf("%s %d: %d", p.Key, p.Start.Unix(), p.Value))
				return nil
			}), "sink", counts)
			return nil
		})
		h.Advance(30 * time.Second)
		records := make([]click, 256) // as many as EventTime places a watermark behind
		for i := range records {
			records[i] = click{"a", 100}
		}
		clicks.PushTo(1, records...)
		clicks.PushTo(1, click{"a", 10})
		h.Advance(30*time.Second - 1)
		equal(t, "while split 0 is waited for", counts.All())
		h.Advance(1)
		equal(t, "when it is idle", counts.All(), "a 0: 1")
		h.Finish()
		equal(t, "at the end", counts.All(), "a 0: 1", "a 60: 256")
	}
}

// What cannot be asked of the clock fails the test with its reason.
func TestClockOnlyGoesOn(t *testing.T) {
	for want, ask := range map[string]func(*flowtest.Harness){
		"flowtest: Advance(-1ns): time does not go back":                                                                     func(h *flowtest.Harness) { h.Advance(-1) },
		"flowtest: AdvanceTo(1999-12-31 00:00:00 +0000 UTC): time does not go back, and it is 2000-01-01 00:00:00 +0000 UTC": func(h *flowtest.Harness) { h.AdvanceTo(h.Now().AddDate(0, 0, -1)) },
	} {
		inTest(func(tb testing.TB) {
			defer func() {
				if got := recover(); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}()
			ask(flowtest.New(tb))
		})
	}
	h := flowtest.New(t)
	h.AdvanceTo(time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)) // which is for before Start, too
	if got := h.Now().Format(time.RFC3339); got != "2026-07-01T12:00:00Z" {
		t.Errorf("it is %s", got)
	}
}
