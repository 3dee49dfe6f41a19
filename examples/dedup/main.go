// Command dedup reads a web server's access log in Apache's combined format and leaves out what a client asked for again within a time: what is left
// are visits, as lines of JSON.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/thalweg-io/thalweg/connector/files"
	"github.com/thalweg-io/thalweg/examples/internal/combined"
	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/format/json"
	"github.com/thalweg-io/thalweg/format/lines"
)

// Visit is a client's request for a path, and a line of the output.
type Visit struct {
	Time   time.Time `json:"time"` // UTC
	Client string    `json:"client"`
	Path   string    `json:"path"`
}

func main() {
	var o options
	flag.StringVar(&o.input, "input", "", "log `file`, directory or pattern to read")
	flag.StringVar(&o.output, "output", "", "`directory` to write to")
	flag.DurationVar(&o.within, "within", 30*time.Minute, "least `time` between two visits of a client to a path")
	flag.Parse()
	if o.input == "" || o.output == "" || o.within <= 0 || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "usage: dedup --input FILE --output DIRECTORY [--within TIME]")
		os.Exit(2)
	}
	flow.Main("dedup", o.build)
}

type options struct {
	input, output string
	within        time.Duration
	splits        int // least number of parts of the input; 0: by size
}

func (o options) build(job *flow.Job) error {
	text := flow.Read[string](job, "log", files.From(o.input, files.Splits(max(o.splits, 1))), lines.Text())
	flow.Write(visits(flow.TryMap(text, "parse", parse), o.within), "store", files.To(o.output), json.Lines())
	return nil
}

func parse(_ context.Context, line string) (Visit, error) {
	r, err := combined.Parse(line)
	return Visit{r.Time.UTC(), r.Client, r.Path}, err
}

// target is who asks for what.
type target struct{ Client, Path string }

// visits leaves out what comes within a time of the last visit that was let through. It goes by event time: a request waits until the watermark has
// come to it, so that it is the first that counts, not the one that was read first, and the result is the same at any parallelism.
func visits(requests flow.Stream[Visit], within time.Duration) flow.Stream[Visit] {
	requests = requests.EventTime(func(v Visit) time.Time { return v.Time }, flow.OutOfOrder(combined.Bound))
	byTarget := flow.KeyBy(requests, func(v Visit) target { return target{v.Client, v.Path} })
	return flow.Process(byTarget, "dedup", func(op *flow.Op[target]) flow.Handler[target, Visit, Visit] { return first(op, within) })
}

// first needs no state for what waits: a Visit is its key and its time, and so is a timer. What is kept per key is when the last visit was, and only
// until it no longer matters.
func first(op *flow.Op[target], within time.Duration) flow.Handler[target, Visit, Visit] {
	visited := flow.NewValue[time.Time](op, "visited")
	forget := flow.NewTimer(op, "forget", func(_ *flow.Ctx[target], at time.Time, _ *flow.Out[Visit]) error {
		if last, some := visited.Get(); some && !at.Before(last.Add(within)) { // no visit since
			visited.Clear()
		}
		return nil
	})
	due := flow.NewTimer(op, "due", func(c *flow.Ctx[target], at time.Time, out *flow.Out[Visit]) error {
		if last, some := visited.Get(); some && at.Before(last.Add(within)) {
			return nil
		}
		visited.Set(at)
		forget.Set(c, at.Add(within))
		out.Emit(Visit{at, c.Key().Client, c.Key().Path})
		return nil
	})
	return flow.Handler[target, Visit, Visit]{Record: func(c *flow.Ctx[target], v Visit, _ *flow.Out[Visit]) error {
		due.Set(c, v.Time)
		return nil
	}}
}
