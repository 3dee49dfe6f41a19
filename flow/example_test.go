package flow_test

import (
	"strings"
	"time"

	"github.com/thalweg-io/thalweg/connector/files"
	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/format/json"
	"github.com/thalweg-io/thalweg/format/lines"
)

func ExampleMain() {
	flow.Main("wordcount", func(job *flow.Job) error {
		text := flow.Read[string](job, "text", files.From("in.txt"), lines.Text())
		words := flow.FlatMapSeq(text, "words", strings.FieldsSeq)
		byWord := flow.KeyBy(words, func(w string) string { return w })
		counts := flow.Aggregate(byWord.Window(flow.Global()), "count", flow.Count[string]())
		flow.Write(counts, "store", files.To("out"), json.Lines())
		return nil
	})
}

type Click struct {
	User string
	At   time.Time
}

type Visit struct {
	User   string
	Clicks int
	End    time.Time
}

// Visits end half an hour after their last click.
func ExampleProcess() {
	flow.Main("visits", func(job *flow.Job) error {
		clicks := flow.Read[Click](job, "clicks", files.From("clicks"), json.Lines()).
			EventTime(func(c Click) time.Time { return c.At }, flow.OutOfOrder(5*time.Second), flow.Idle(time.Minute))
		visits := flow.Process(flow.KeyBy(clicks, func(c Click) string { return c.User }), "visits", visit)
		flow.Write(visits, "store", files.To("visits"), json.Lines())
		return nil
	})
}

func visit(op *flow.Op[string]) flow.Handler[string, Click, Visit] {
	const pause = 30 * time.Minute
	open := flow.NewValue[Visit](op, "open")
	over := flow.NewTimer(op, "over", func(c *flow.Ctx[string], at time.Time, out *flow.Out[Visit]) error {
		if v, ok := open.Get(); ok {
			out.Emit(v)
			open.Clear()
		}
		return nil
	})
	return flow.Handler[string, Click, Visit]{
		Record: func(c *flow.Ctx[string], v Click, _ *flow.Out[Visit]) error {
			if old, ok := open.Get(); ok {
				over.Cancel(c, old.End.Add(pause))
			}
			open.Update(func(visit *Visit) {
				visit.User = v.User
				visit.Clicks++
				visit.End = v.At
			})
			over.Set(c, v.At.Add(pause))
			return nil
		},
	}
}

func ExampleAggregate() {
	flow.Main("per-minute", func(job *flow.Job) error {
		clicks := flow.Read[Click](job, "clicks", files.From("clicks"), json.Lines()).
			EventTime(func(c Click) time.Time { return c.At }, flow.OutOfOrder(5*time.Second))
		byUser := flow.KeyBy(clicks, func(c Click) string { return c.User })
		perMinute := flow.Aggregate(byUser.Window(flow.Tumbling(time.Minute)), "clicks per minute", flow.Count[Click]())
		flow.Write(perMinute, "store", files.To("per-minute"), json.Lines())
		return nil
	})
}
