// Command topn gives, for each minute of a web server's access log in Apache's combined format, the paths that were asked for most, as lines of JSON.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/thalweg-io/thalweg/connector/files"
	"github.com/thalweg-io/thalweg/examples/internal/combined"
	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/format/json"
	"github.com/thalweg-io/thalweg/format/lines"
)

// Hit is what the job takes from a line of the log.
type Hit struct {
	Time time.Time
	Path string
}

// Rank is a line of the output. Of paths that were asked for as often, the first by name comes first.
type Rank struct {
	Minute   time.Time `json:"minute"` // its begin, UTC
	Rank     int       `json:"rank"`   // from 1
	Path     string    `json:"path"`
	Requests int64     `json:"requests"`
}

func main() {
	var o options
	flag.StringVar(&o.input, "input", "", "log `file`, directory or pattern to read")
	flag.StringVar(&o.output, "output", "", "`directory` to write to")
	flag.IntVar(&o.n, "n", 10, "`number` of paths for each minute")
	flag.Parse()
	if o.input == "" || o.output == "" || o.n < 1 || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "usage: topn --input FILE --output DIRECTORY [--n NUMBER]")
		os.Exit(2)
	}
	flow.Main("topn", o.build)
}

type options struct {
	input, output string
	n             int
	splits        int // least number of parts of the input; 0: by size
}

func (o options) build(job *flow.Job) error {
	text := flow.Read[string](job, "log", files.From(o.input, files.Splits(max(o.splits, 1))), lines.Text())
	flow.Write(top(flow.TryMap(text, "parse", parse), o.n), "store", files.To(o.output), json.Lines())
	return nil
}

func parse(_ context.Context, line string) (Hit, error) {
	r, err := combined.Parse(line)
	return Hit{r.Time, r.Path}, err
}

// top counts in two steps: each path of a minute by itself, wherever that is, and then all results of a minute against each other in one place. What
// comes there is one record for each path, not for each request.
func top(hits flow.Stream[Hit], n int) flow.Stream[Rank] {
	hits = hits.EventTime(func(h Hit) time.Time { return h.Time }, flow.OutOfOrder(combined.Bound))
	perPath := flow.KeyBy(hits, func(h Hit) string { return h.Path }).Window(flow.Tumbling(time.Minute))
	counts := flow.Aggregate(perPath, "count", flow.Count[Hit]())
	perMinute := flow.KeyBy(counts, func(c count) int64 { return c.Start.Unix() })
	return flow.Process(perMinute, "rank", func(op *flow.Op[int64]) flow.Handler[int64, count, Rank] { return ranking(op, n) })
}

// count is how often a path was asked for in a minute.
type count = flow.Pane[string, int64]

// best is a path that may be among the first.
type best struct {
	Path     string
	Requests int64
}

// before orders the best first. No two have the same path, so the order is the same wherever and whenever they come.
func before(a, b best) int {
	return cmp.Or(cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.Path, b.Path))
}

// ranking keeps, of each minute, the n best so far: not all that there were. All counts of a minute have the time of its last moment, so when the
// watermark is there, they have come.
func ranking(op *flow.Op[int64], n int) flow.Handler[int64, count, Rank] {
	bests := flow.NewValue[[]best](op, "bests")
	over := flow.NewTimer(op, "over", func(c *flow.Ctx[int64], _ time.Time, out *flow.Out[Rank]) error {
		all, _ := bests.Get()
		for i, b := range all {
			out.Emit(Rank{time.Unix(c.Key(), 0).UTC(), i + 1, b.Path, b.Requests})
		}
		bests.Clear()
		return nil
	})
	var hand best
	place := func(all *[]best) {
		if at, _ := slices.BinarySearchFunc(*all, hand, before); at < n {
			*all = slices.Insert((*all)[:min(len(*all), n-1)], at, hand)
		}
	}
	return flow.Handler[int64, count, Rank]{Record: func(c *flow.Ctx[int64], v count, _ *flow.Out[Rank]) error {
		over.Set(c, c.Time())
		hand = best{v.Key, v.Value}
		bests.Update(place)
		return nil
	}}
}
