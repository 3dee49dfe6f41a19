package flowtest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/flow/flowtest"
)

// judge says of each click whether it is behind the watermark, and by a timer at the time of the click when the watermark that fires it has come.
func judge(op *flow.Op[string], judged string) func(c *flow.Ctx[string], v click, out *flow.Out[string]) error {
	due := flow.NewTimer(op, judged, func(c *flow.Ctx[string], at time.Time, out *flow.Out[string]) error {
		out.Emit(fmt.Sprintf("%s %s %d fires", judged, c.Key(), at.Unix()))
		return nil
	})
	return func(c *flow.Ctx[string], v click, out *flow.Out[string]) error {
		due.Set(c, c.Time())
		how := "in time"
		if !c.Time().After(c.Watermark()) {
			how = "late"
		}
		out.Emit(fmt.Sprintf("%s %s %d %s", judged, v.Key, v.At, how))
		return nil
	}
}

// After a restore an operator is as far as it was before: what was late is late, though the watermarks of the sources begin anew.
func TestWatermarksAreRestored(t *testing.T) {
	key := func(c click) string { return c.Key }
	for name, judges := range map[string]func(s flow.Stream[click]) flow.Stream[string]{
		"process": func(s flow.Stream[click]) flow.Stream[string] {
			return flow.Process(flow.KeyBy(s.Rebalance(), key), "judge", func(op *flow.Op[string]) flow.Handler[string, click, string] {
				return flow.Handler[string, click, string]{Record: judge(op, "all")}
			})
		},
		"connect": func(s flow.Stream[click]) flow.Stream[string] {
			left := s.Filter("left", func(c click) bool { return c.Key < "c" })
			right := s.Filter("right", func(c click) bool { return c.Key >= "c" })
			return flow.Connect(flow.KeyBy(left, key), flow.KeyBy(right, key), "judge", func(op *flow.Op[string]) flow.Handler2[string, click, click, string] {
				all := judge(op, "all")
				return flow.Handler2[string, click, click, string]{Left: all, Right: all}
			})
		},
	} {
		for _, parallelism := range [][2]int{{1, 1}, {1, 3}, {3, 1}, {2, 3}} {
			h := flowtest.New(t)
			clicks, judged := flowtest.NewSource[click](h), flowtest.NewSink[string](h)
			h.Start(parallelism[0], func(j *flow.Job) error {
				flow.To(judges(flow.From(j, "clicks", clicks).EventTime(click.time, flow.OutOfOrder(time.Hour))), "sink", judged)
				return nil
			})
			clicks.Push(click{"a", 90}, click{"c", 150})
			clicks.Watermark(at(100))
			h.Settle()
			h.Restore(h.Snapshot(), parallelism[1])
			clicks.Push(click{"a", 100}, click{"d", 101}, click{"c", 50})
			h.Settle()
			what := fmt.Sprintf("%s, from %d subtasks to %d", name, parallelism[0], parallelism[1])
			equal(t, what, judged.All(), "all a 100 late", "all a 90 fires", "all a 90 in time", "all c 150 in time", "all c 50 late", "all d 101 in time")
			clicks.Watermark(at(101))
			h.Settle()
			equal(t, what+", a watermark later", judged.All(), "all a 100 fires", "all a 100 late", "all a 90 fires", "all a 90 in time",
				"all c 150 in time", "all c 50 fires", "all c 50 late", "all d 101 fires", "all d 101 in time")
			h.Finish()
		}
	}
}
