// Command keyedcount measures what the engine costs per record: a count by key, written with flow, in one chain and across one TCP exchange, in
// alternating rounds with two measures over the same keys: a bare loop (internal/state/bareloop says what that is), and flat line buckets
// with prefetch (linebuckets).
//
// It owns which shapes of the job are measured, and how; the job itself is in counting. It fails for no figure: what the engine's criterion asks
// for stands beside. It prints the figures in the form of Go's benchmarks, which benchstat compares, and as a table.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"time"

	"github.com/thalweg-io/thalweg/internal/state/bareloop"
)

// options are the flags.
type options struct {
	cpu, memory string
	rounds      int
	takes       time.Duration
	portion     int
}

// portion is how many records are counted between two looks at the clock: the pipeline runs empty between portions, which takes less than a
// thousandth of the time of so many.
const portion = 1 << 21

func main() {
	o := options{portion: portion}
	flag.StringVar(&o.cpu, "cpuprofile", "", "write a CPU profile of the engine's side to this `file`; nothing is measured")
	flag.StringVar(&o.memory, "memprofile", "", "write a profile of every allocation since the start of the process to this `file`")
	flag.IntVar(&o.rounds, "rounds", bareloop.Rounds, "`number` of rounds of a side")
	flag.DurationVar(&o.takes, "round", bareloop.RoundTakes, "the least CPU `time` of a round")
	only := flag.String("only", "", "measure only the cases whose whole name this `expression` matches, such as keys=16K/path=tcp/.*")
	long := flag.Bool("long", false, "also cases of 32 M and 64 M keys, which need 8 GiB of memory")
	list := flag.Bool("list", false, "print the cases and end")
	flag.Parse()
	if o.memory != "" {
		runtime.MemProfileRate = 1
	}
	if err := o.run(*only, *long, *list); err != nil {
		fmt.Fprintln(os.Stderr, "keyedcount:", err)
		os.Exit(1)
	}
}

func (o options) run(only string, long, list bool) error {
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q; all is said by flags", flag.Arg(0))
	}
	if o.rounds < 1 {
		return fmt.Errorf("-rounds %d: it has to be at least 1", o.rounds)
	}
	some, err := chosen(benchmarks(long), only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	if len(some) == 0 {
		return fmt.Errorf("-only %s: no case has such a name; -list prints all", only)
	}
	if list {
		for _, b := range some {
			fmt.Println(b.Name())
		}
		return nil
	}
	if err := o.measureAll(some); err != nil || o.memory == "" {
		return err
	}
	f, err := os.Create(o.memory)
	if err != nil {
		return err
	}
	defer f.Close()
	return pprof.Lookup("allocs").WriteTo(f, 0)
}
