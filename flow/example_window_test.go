package flow_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/internal/worker/local"
)

// show runs a job in this process, to its end, and prints what it gives, sorted.
func show(build func(*flow.Job) flow.Stream[string]) {
	c := &collected[string]{}
	g, err := flow.Build("example", 2, func(j *flow.Job) error { flow.To(build(j), "sink", flow.Sink[string](c)); return nil })
	if err == nil {
		err = local.Run(context.Background(), g, local.Options{})
	}
	if err != nil {
		fmt.Println(err)
	}
	slices.Sort(c.values)
	for _, line := range c.values {
		fmt.Println(line)
	}
}

func clock(hour, minute int) time.Time { return time.Date(2026, 7, 1, hour, minute, 0, 0, time.UTC) }

// clicked is a stream of clicks at given times, in the order in which they were recorded.
func clicked(job *flow.Job, name string, clicks ...Click) flow.Keyed[string, Click] {
	s := flow.From(job, name, of(clicks)).EventTime(func(c Click) time.Time { return c.At }, flow.OutOfOrder(10*time.Minute))
	return flow.KeyBy(s, func(c Click) string { return c.User })
}

// printPane says what a window gives.
func printPane(p flow.Pane[string, int64]) string {
	return fmt.Sprintf("%s %s-%s: %d", p.Key, p.Start.Format("15:04"), p.End.Format("15:04"), p.Value)
}

// Each click counts in every window that it is in: here, in two.
func ExampleSliding() {
	show(func(job *flow.Job) flow.Stream[string] {
		clicks := clicked(job, "clicks", Click{"ann", clock(12, 10)}, Click{"ann", clock(12, 40)}, Click{"bob", clock(12, 35)})
		hourly := clicks.Window(flow.Sliding(time.Hour, 30*time.Minute))
		return flow.Map(flow.Aggregate(hourly, "count", flow.Count[Click]()), "print", printPane)
	})
	// Output:
	// ann 11:30-12:30: 1
	// ann 12:00-13:00: 2
	// ann 12:30-13:30: 1
	// bob 12:00-13:00: 1
	// bob 12:30-13:30: 1
}

// A session goes on for as long as clicks follow each other within the gap, in whatever order they come.
func ExampleSession() {
	show(func(job *flow.Job) flow.Stream[string] {
		clicks := clicked(job, "clicks", Click{"ann", clock(12, 0)}, Click{"ann", clock(12, 25)}, Click{"ann", clock(12, 15)}, Click{"ann", clock(13, 0)})
		sessions := clicks.Window(flow.Session(20 * time.Minute))
		return flow.Map(flow.Aggregate(sessions, "count", flow.Count[Click]()), "print", printPane)
	})
	// Output:
	// ann 12:00-12:45: 3
	// ann 13:00-13:20: 1
}

// Days that begin at 08:00 UTC, as they do in Los Angeles in winter.
func ExampleWindow_Offset() {
	show(func(job *flow.Job) flow.Stream[string] {
		clicks := clicked(job, "clicks", Click{"ann", clock(7, 59)}, Click{"ann", clock(8, 0)})
		days := clicks.Window(flow.Tumbling(24 * time.Hour).Offset(8 * time.Hour))
		return flow.Map(flow.Aggregate(days, "count", flow.Count[Click]()), "print", func(p flow.Pane[string, int64]) string {
			return fmt.Sprintf("%s from %s: %d", p.Key, p.Start.Format(time.DateTime), p.Value)
		})
	})
	// Output:
	// ann from 2026-06-30 08:00:00: 1
	// ann from 2026-07-01 08:00:00: 1
}

// Several aggregates of one window cost one look at its state.
func ExampleBoth() {
	show(func(job *flow.Job) flow.Stream[string] {
		clicks := clicked(job, "clicks", Click{"ann", clock(12, 10)}, Click{"ann", clock(12, 40)})
		minute := func(c Click) int { return c.At.Minute() }
		counts := flow.Aggregate(clicks.Window(flow.Tumbling(time.Hour)), "count", flow.Both(flow.Count[Click](), flow.Max(minute)))
		return flow.Map(counts, "print", func(p flow.Pane[string, flow.Pair[int64, int]]) string {
			return fmt.Sprintf("%s: %d, the last in minute %d", p.Key, p.Value.First, p.Value.Second)
		})
	})
	// Output:
	// ann: 2, the last in minute 40
}
