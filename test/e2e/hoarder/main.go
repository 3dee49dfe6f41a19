// Command hoarder is a job that keeps more than it may, in keyed state or on the heap, or no more than it may, or nothing at all.
package main

import (
	"flag"
	"fmt"

	"github.com/thalweg-io/thalweg/connector/datagen"
	"github.com/thalweg-io/thalweg/connector/probe"
	"github.com/thalweg-io/thalweg/flow"
)

// kept is what is hoarded for each record.
type kept [1 << 10]byte

func main() {
	keep := flag.String("keep", "nothing", "state | heap | newest (on the heap, 90 MiB of them) | nothing")
	rate := flag.Float64("rate", 1000, "records per second")
	flag.Parse()
	flow.Main("hoarder", func(job *flow.Job) error {
		numbers := flow.From(job, "numbers", datagen.Sequence(0, func(i int64) int64 { return i }, datagen.Rate(*rate)))
		byNumber := flow.KeyBy(numbers, func(i int64) int64 { return i })
		var heap []*kept
		newest := make([]*kept, 90<<10)
		hoarded := flow.Process(byNumber, "hoard", func(op *flow.Op[int64]) flow.Handler[int64, int64, int64] {
			state := flow.NewValue[kept](op, "kept")
			return flow.Handler[int64, int64, int64]{
				Record: func(c *flow.Ctx[int64], i int64, out *flow.Out[int64]) error {
					switch *keep {
					case "state":
						state.Set(kept{1})
					case "heap":
						heap = append(heap, &kept{1})
					case "newest":
						newest[i%int64(len(newest))] = &kept{1}
					case "nothing":
					default:
						return fmt.Errorf("-keep %s: want state, heap, newest or nothing", *keep)
					}
					out.Emit(i)
					return nil
				},
			}
		})
		flow.To(hoarded, "gone", probe.To[int64](""))
		return nil
	})
}
