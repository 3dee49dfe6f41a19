// Command job is what a drill runs: two sources of records whose right order is known, one keyed operator that checks it, an
// exactly-once sink, and a probe that stamps each record.
package main

import (
	"flag"
	"fmt"

	"github.com/thalweg-io/thalweg/connector/datagen"
	"github.com/thalweg-io/thalweg/connector/files"
	"github.com/thalweg-io/thalweg/connector/probe"
	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/format/lines"
)

// rightKeys is where the keys of the second source begin.
const rightKeys = 1 << 32

func main() {
	rate := flag.Float64("rate", 5000, "records per second of each source")
	keys := flag.Uint64("keys", 1000, "keys of each source")
	records := flag.Int64("records", 0, "records of each partition; 0: no end")
	output := flag.String("output", "", "directory of the committed output")
	probes := flag.String("probes", "", "local directory of the probes' logs")
	flag.Parse()
	flow.Main("drill", func(job *flow.Job) error {
		left := flow.From(job, "left", datagen.Oracle{Seed: 1, Keys: *keys, Partitions: 2, Records: *records, Rate: *rate}.Source())
		// In slots of its own, so that the two coordinators are on two taskmanagers.
		right := flow.From(job, "right", datagen.Oracle{Seed: 2, Keys: *keys, Partitions: 2, Records: *records, Rate: *rate}.Source(), flow.SlotGroup("right"))
		shifted := flow.Map(right, "shift", func(r datagen.Record) datagen.Record {
			r.Key += rightKeys
			return r
		})
		all := left.Union(shifted)
		byKey := flow.KeyBy(all, func(r datagen.Record) uint64 { return r.Key })
		checked := flow.Process(byKey, "check", func(op *flow.Op[uint64]) flow.Handler[uint64, datagen.Record, datagen.Record] {
			last := flow.NewValue[int64](op, "last")
			return flow.Handler[uint64, datagen.Record, datagen.Record]{
				Record: func(c *flow.Ctx[uint64], r datagen.Record, out *flow.Out[datagen.Record]) error {
					seq, _ := last.Get()
					if r.Seq != seq+1 {
						return fmt.Errorf("key %d: sequence number %d after %d", r.Key, r.Seq, seq)
					}
					last.Set(r.Seq)
					out.Emit(r)
					return nil
				},
			}
		}, flow.SlotGroup("default"))
		flow.To(checked, "probe", probe.To[datagen.Record](*probes))
		text := flow.Map(checked, "text", func(r datagen.Record) string { return fmt.Sprintf("%d %d %d", r.Key, r.Seq, r.Payload) })
		flow.Write(text, "store", files.To(*output), lines.Text())
		return nil
	})
}
