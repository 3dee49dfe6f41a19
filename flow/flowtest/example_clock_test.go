package flowtest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/flow/flowtest"
)

// A Door says that a door was opened or closed.
type Door struct {
	Name string
	Open bool
}

// alarms tells, by the clock on the wall, of doors that have been open for five minutes.
func alarms(doors flow.Stream[Door]) flow.Stream[string] {
	return flow.Process(flow.KeyBy(doors, func(d Door) string { return d.Name }), "alarms", func(op *flow.Op[string]) flow.Handler[string, Door, string] {
		until := flow.NewValue[time.Time](op, "until")
		over := flow.NewProcTimer(op, "over", func(c *flow.Ctx[string], at time.Time, out *flow.Out[string]) error {
			until.Clear()
			out.Emit(c.Key() + " is open at " + at.Format("15:04"))
			return nil
		})
		return flow.Handler[string, Door, string]{Record: func(c *flow.Ctx[string], d Door, _ *flow.Out[string]) error {
			at, waits := until.Get()
			switch {
			case d.Open && !waits:
				at = c.Now().Add(5 * time.Minute)
				until.Set(at)
				over.Set(c, at)
			case !d.Open && waits:
				until.Clear()
				over.Cancel(c, at)
			}
			return nil
		}}
	})
}

// A test of a job that goes by processing time: the clock is the test's.
func ExampleHarness_Advance() {
	test := func(t testing.TB) {
		h := flowtest.New(t)
		h.AdvanceTo(time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC))
		doors, told := flowtest.NewSource[Door](h), flowtest.NewSink[string](h)
		h.Start(2, func(j *flow.Job) error {
			flow.To(alarms(flow.From(j, "doors", doors)), "told", told)
			return nil
		})

		doors.Push(Door{"cellar", true}, Door{"yard", true})
		h.Advance(4 * time.Minute)
		doors.Push(Door{"yard", false})
		h.Advance(59 * time.Second)
		fmt.Println(told.All())
		h.Advance(time.Second)
		fmt.Println(told.All())
		h.Finish()
	}
	inTest(test)
	// Output:
	// []
	// [cellar is open at 12:05]
}
