package flowtest_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/flow/flowtest"
)

// A Reading is what the job below takes, and Highest what it gives.
type Reading struct {
	Sensor  string
	Celsius float64
	At      time.Time
}

type Highest = flow.Pane[string, float64]

// buildHighest is the job under test: it takes its source and sink, which in production are others, so that a test can give its own.
func buildHighest(readings flow.Source[Reading], highest flow.Sink[Highest]) func(*flow.Job) error {
	return func(j *flow.Job) error {
		s := flow.From(j, "readings", readings).
			EventTime(func(r Reading) time.Time { return r.At }, flow.OutOfOrder(5*time.Second))
		hours := flow.KeyBy(s, func(r Reading) string { return r.Sensor }).Window(flow.Tumbling(time.Hour))
		flow.To(flow.Aggregate(hours, "highest", flow.Max(func(r Reading) float64 { return r.Celsius })), "sink", highest)
		return nil
	}
}

// A test of a job: copy it into a file of yours that ends in _test.go, as
//
//	func TestHighest(t *testing.T) { ... }
func Example() {
	test := func(t testing.TB) {
		noon := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
		h := flowtest.New(t)
		readings, highest := flowtest.NewSource[Reading](h), flowtest.NewSink[Highest](h)
		h.Start(2, buildHighest(readings, highest))

		// Nothing comes out before the hour is over.
		readings.Push(
			Reading{"cellar", 11.5, noon.Add(20 * time.Minute)},
			Reading{"roof", 31, noon.Add(10 * time.Minute)},
			Reading{"roof", 29, noon.Add(50 * time.Minute)},
		)
		h.Settle()
		fmt.Println("before:", highest.Len())

		// A failure does not change what comes out: go back to a snapshot, with more subtasks than before.
		s := h.Snapshot()
		h.Restore(s, 3)
		readings.Watermark(noon.Add(time.Hour))
		h.Settle()
		all := highest.All()
		slices.SortFunc(all, func(a, b Highest) int { return int(a.Value - b.Value) })
		for _, p := range all {
			fmt.Println(p.Key, p.Start.Format("15:04"), p.Value)
		}
		h.Finish()
	}
	inTest(test)
	// Output:
	// before: 0
	// cellar 12:00 11.5
	// roof 12:00 31
}
