// Command job is what the backpressure benchmark runs: sources that know no limit, an exchange, and behind it one subtask after the other that
// checks the order of its records and takes its time for each, in front of an exactly-once sink. Once a file is there, it hurries.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/thalweg-io/thalweg/connector/datagen"
	"github.com/thalweg-io/thalweg/connector/files"
	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/format/lines"
)

func main() {
	keys := flag.Uint64("keys", 1000, "keys of the input")
	partitions := flag.Int("partitions", 2, "partitions of the input")
	records := flag.Int64("records", 1000, "records of each partition")
	rate := flag.Float64("rate", 1000, "records per second of each slow subtask")
	hurry := flag.String("hurry", "", "a file: once it exists there is no rate any more")
	output := flag.String("output", "", "directory of the committed output")
	flag.Parse()
	flow.Main("backpressure", func(job *flow.Job) error {
		in := flow.From(job, "fast", datagen.Oracle{Seed: 1, Keys: *keys, Partitions: *partitions, Records: *records}.Source())
		byKey := flow.KeyBy(in, func(r datagen.Record) uint64 { return r.Key })
		checked := flow.Process(byKey, "slow", func(op *flow.Op[uint64]) flow.Handler[uint64, datagen.Record, datagen.Record] {
			last := flow.NewValue[int64](op, "last")
			p := &pace{rate: *rate, hurry: *hurry}
			return flow.Handler[uint64, datagen.Record, datagen.Record]{
				Record: func(c *flow.Ctx[uint64], r datagen.Record, out *flow.Out[datagen.Record]) error {
					seq, _ := last.Get()
					if r.Seq != seq+1 {
						return fmt.Errorf("key %d: sequence number %d after %d", r.Key, r.Seq, seq)
					}
					last.Set(r.Seq)
					p.take()
					out.Emit(r)
					return nil
				},
			}
		})
		text := flow.Map(checked, "text", func(r datagen.Record) string { return fmt.Sprintf("%d %d %d", r.Key, r.Seq, r.Payload) })
		flow.Write(text, "store", files.To(*output), lines.Text())
		return nil
	})
}

// pace holds one subtask to a rate, as something that it calls for each record would.
type pace struct {
	rate  float64
	hurry string
	taken int64
	due   time.Time // of the next records
	over  bool
}

// Of so many records at a time the subtask is slow, and it looks so often whether it is to hurry.
const (
	atATime = 64
	look    = 20 * time.Millisecond
)

func (p *pace) take() {
	if p.taken++; p.over || p.taken%atATime != 0 {
		return
	}
	// What could not be done in time is not made up for: a slow sink has no memory.
	if now := time.Now(); p.due.Before(now) {
		p.due = now
	}
	p.due = p.due.Add(time.Duration(atATime / p.rate * float64(time.Second)))
	for {
		if _, err := os.Stat(p.hurry); err == nil {
			p.over = true
			return
		}
		left := time.Until(p.due)
		if left <= 0 {
			return
		}
		time.Sleep(min(left, look))
	}
}
