// Command accesslog sums up a web server's access log in Apache's combined format: for each minute of event time and class of status (2xx, 4xx,
// ...) the number of requests and the bytes sent, as lines of JSON.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/thalweg-io/thalweg/connector/files"
	"github.com/thalweg-io/thalweg/connector/probe"
	"github.com/thalweg-io/thalweg/examples/internal/combined"
	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/format/json"
	"github.com/thalweg-io/thalweg/format/lines"
)

// Request is what the job takes from a line of the log.
type Request struct {
	Time   time.Time
	Status int
	Bytes  int64
}

func parse(_ context.Context, line string) (Request, error) {
	r, err := combined.Parse(line)
	return Request{r.Time, r.Status, r.Bytes}, err
}

// Minute is a line of the output.
type Minute struct {
	Minute   time.Time `json:"minute"` // its begin, UTC
	Class    string    `json:"class"`
	Requests int64     `json:"requests"`
	Bytes    int64     `json:"bytes"`
}

func main() {
	var o options
	flag.StringVar(&o.input, "input", "", "log `file`, directory or pattern to read")
	flag.StringVar(&o.output, "output", "", "`directory` to write to")
	flag.IntVar(&o.parallelism, "parallelism", 0, "number of subtasks of each step (default: the job's)")
	flag.IntVar(&o.splits, "splits", 0, "least number of `parts` that the input is divided into (default: by size)")
	flag.Float64Var(&o.rate, "rate", 0, "replay so many `lines a second` (default: as fast as possible)")
	flag.StringVar(&o.probe, "probe", "", "local `directory` for logs of when records came, to measure processing gaps with")
	flag.Parse()
	if o.input == "" || o.output == "" || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "usage: accesslog --input FILE --output DIRECTORY [--parallelism N] [--splits N] [--rate N] [--probe DIRECTORY]")
		os.Exit(2)
	}
	flow.Main("accesslog", o.build)
}

type options struct {
	input, output, probe string
	parallelism, splits  int
	rate                 float64
}

func (o options) build(job *flow.Job) error {
	var read []flow.Option
	if o.parallelism != 0 {
		read = append(read, flow.Parallelism(o.parallelism))
	}
	var from []files.SourceOption
	if o.splits != 0 {
		from = append(from, files.Splits(o.splits))
	}
	if o.rate != 0 {
		from = append(from, files.Rate(o.rate))
	}
	text := flow.Read[string](job, "log", files.From(o.input, from...), lines.Text(), read...)
	requests := flow.TryMap(text, "parse", parse).
		EventTime(func(r Request) time.Time { return r.Time }, flow.OutOfOrder(combined.Bound))
	if o.probe != "" {
		flow.To(requests, "probe", probe.To[Request](o.probe))
	}
	minutes := flow.KeyBy(requests, func(r Request) int { return r.Status / 100 }).Window(flow.Tumbling(time.Minute))
	sums := flow.Aggregate(minutes, "sum", flow.Both(flow.Count[Request](), flow.Sum(func(r Request) int64 { return r.Bytes })))
	flow.Write(flow.Map(sums, "format", format), "store", files.To(o.output), json.Lines())
	return nil
}

func format(p flow.Pane[int, flow.Pair[int64, int64]]) Minute {
	return Minute{Minute: p.Start, Class: fmt.Sprintf("%dxx", p.Key), Requests: p.Value.First, Bytes: p.Value.Second}
}
