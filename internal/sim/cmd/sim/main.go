// Command sim runs the deterministic simulator (internal/sim) over many seeds, or replays one.
//
//	sim -seeds 2000                  2000 seeds in each mode
//	sim -mode safety -seed 17 -v     replay one, with its whole history
//	sim -bugs                        plant every bug in turn and say how many seeds (of 20000 at least) it took to catch it (-tags plantedbugs)
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/thalweg-io/thalweg/internal/planted"
	"github.com/thalweg-io/thalweg/internal/sim"
)

func main() {
	seeds := flag.Int("seeds", 200, "how many seeds to run in each mode")
	first := flag.Uint64("first", 1, "the first of them")
	mode := flag.String("mode", "both", "safety, liveness or both")
	seed := flag.Uint64("seed", 0, "run this one seed only")
	bug := flag.String("bug", "", "plant this bug (needs -tags plantedbugs)")
	bugs := flag.Bool("bugs", false, "plant every bug in turn (needs -tags plantedbugs)")
	verbose := flag.Bool("v", false, "print the history")
	parallel := flag.Int("parallel", runtime.GOMAXPROCS(0), "runs at the same time")
	flag.Parse()

	modes := map[string][]sim.Mode{"safety": {sim.Safety}, "liveness": {sim.Liveness}, "both": {sim.Safety, sim.Liveness}}[*mode]
	if modes == nil {
		fmt.Fprintf(os.Stderr, "sim: -mode %q is none of safety, liveness, both\n", *mode)
		os.Exit(2)
	}
	if (*bugs || *bug != "") && !planted.Available {
		fmt.Fprintln(os.Stderr, "sim: this build cannot plant bugs: go run -tags plantedbugs ./internal/sim/cmd/sim ...")
		os.Exit(2)
	}
	switch {
	case *bugs:
		if !sim.HuntAll(os.Stdout, max(*seeds, 20000), *parallel) {
			os.Exit(1)
		}
	case *seed != 0:
		planted.Choose(*bug)
		ok := true
		for _, m := range modes {
			var trace io.Writer
			if *verbose {
				trace = os.Stdout
			}
			r := sim.Run(*seed, m, trace)
			r.Print(os.Stdout, *bug, true)
			ok = ok && r.Violation == ""
		}
		if !ok {
			os.Exit(1)
		}
	default:
		planted.Choose(*bug)
		start := time.Now()
		sum := sim.RunMany(sim.Batch{First: *first, Seeds: *seeds, Modes: modes, Parallel: *parallel, Failed: func(r sim.Result) { r.Print(os.Stdout, *bug, true) }})
		fmt.Printf("%d runs in %v (%.0f a minute): %d violations; %v simulated, %d events, %d checkpoints, %d generations replaced, %d jobs finished\n",
			sum.Runs, time.Since(start).Round(time.Millisecond), float64(sum.Runs)/time.Since(start).Minutes(), sum.Violations,
			sum.Simulated.Round(time.Second), sum.Events, sum.Completed, sum.Restarted, sum.Finished)
		if sum.Violations > 0 {
			os.Exit(1)
		}
	}
}
