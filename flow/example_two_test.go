package flow_test

import (
	"fmt"
	"time"

	"github.com/thalweg-io/thalweg/flow"
)

func printBoth(a, b Click, out *flow.Out[string]) error {
	out.Emit(fmt.Sprintf("%s %s, %s", a.User, a.At.Format("15:04"), b.At.Format("15:04")))
	return nil
}

// Clicks and purchases of one user in the same hour.
func ExampleJoin() {
	show(func(job *flow.Job) flow.Stream[string] {
		clicks := clicked(job, "clicks", Click{"ann", clock(12, 10)}, Click{"ann", clock(12, 40)}, Click{"bob", clock(12, 50)})
		buys := clicked(job, "buys", Click{"ann", clock(12, 5)}, Click{"bob", clock(13, 0)})
		return flow.Join(clicks, buys, flow.Tumbling(time.Hour), "join", printBoth)
	})
	// Output:
	// ann 12:10, 12:05
	// ann 12:40, 12:05
}

// Purchases up to half an hour after a click of the same user.
func ExampleIntervalJoin() {
	show(func(job *flow.Job) flow.Stream[string] {
		clicks := clicked(job, "clicks", Click{"ann", clock(12, 10)}, Click{"ann", clock(12, 40)}, Click{"bob", clock(12, 50)})
		buys := clicked(job, "buys", Click{"ann", clock(12, 40)}, Click{"bob", clock(13, 20)}, Click{"bob", clock(13, 21)})
		return flow.IntervalJoin(clicks, buys, 0, 30*time.Minute, "join", printBoth)
	})
	// Output:
	// ann 12:10, 12:40
	// ann 12:40, 12:40
	// bob 12:50, 13:20
}

// Users who clicked and had bought nothing an hour later.
func ExampleConnect() {
	show(func(job *flow.Job) flow.Stream[string] {
		clicks := clicked(job, "clicks", Click{"ann", clock(12, 10)}, Click{"bob", clock(12, 20)})
		buys := clicked(job, "buys", Click{"ann", clock(12, 40)}, Click{"bob", clock(13, 30)})
		return flow.Connect(clicks, buys, "leavers", func(op *flow.Op[string]) flow.Handler2[string, Click, Click, string] {
			bought := flow.NewValue[time.Time](op, "bought")
			over := flow.NewTimer(op, "over", func(c *flow.Ctx[string], at time.Time, out *flow.Out[string]) error {
				if last, some := bought.Get(); !some || last.After(at) {
					out.Emit(c.Key() + " has bought nothing by " + at.Format("15:04"))
				}
				return nil
			})
			return flow.Handler2[string, Click, Click, string]{
				Left: func(c *flow.Ctx[string], v Click, _ *flow.Out[string]) error {
					over.Set(c, v.At.Add(time.Hour))
					return nil
				},
				Right: func(_ *flow.Ctx[string], v Click, _ *flow.Out[string]) error { bought.Set(v.At); return nil },
			}
		})
	})
	// Output:
	// bob has bought nothing by 13:20
}

// Night is a way out of an operator for what is not its main output.
var night = flow.NewSideOutput[Click]("night")

// Clicks at night go another way.
func ExampleReadSide() {
	show(func(job *flow.Job) flow.Stream[string] {
		clicks := clicked(job, "clicks", Click{"ann", clock(12, 10)}, Click{"bob", clock(3, 20)})
		days := flow.Process(clicks, "days", func(op *flow.Op[string]) flow.Handler[string, Click, Click] {
			aside := flow.NewSide(op, night)
			return flow.Handler[string, Click, Click]{Record: func(_ *flow.Ctx[string], v Click, out *flow.Out[Click]) error {
				if v.At.Hour() < 6 {
					aside.Emit(v)
				} else {
					out.Emit(v)
				}
				return nil
			}}
		})
		byDay := flow.Map(days, "by day", func(c Click) string { return c.User + " by day" })
		byNight := flow.Map(flow.ReadSide(days, night), "by night", func(c Click) string { return c.User + " by night" })
		return byDay.Union(byNight)
	})
	// Output:
	// ann by day
	// bob by night
}
