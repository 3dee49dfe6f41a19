package sim

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// Batch is many runs.
type Batch struct {
	First    uint64
	Seeds    int
	Modes    []Mode
	Parallel int
	Failed   func(Result) // called for every violation, one at a time
	Stop     bool         // after the first violation
}

// Sum is what many runs came to.
type Sum struct {
	Runs, Violations int
	Simulated        time.Duration
	Events           int
	Completed        int
	Restarted        int
	Adopted          int
	Finished         int
	Leaderless       int // tasks cancelled because no leader was there
	FirstViolation   *Result
	SeedsToViolation int
}

// RunMany runs seeds in parallel; each run is deterministic by itself.
func RunMany(b Batch) Sum {
	var mu sync.Mutex
	var sum Sum
	next := uint64(0)
	work := func() {
		for {
			mu.Lock()
			n := next
			next++
			stop := b.Stop && sum.Violations > 0
			mu.Unlock()
			if int(n) >= b.Seeds || stop {
				return
			}
			for _, m := range b.Modes {
				r := Run(b.First+n, m, nil)
				mu.Lock()
				sum.Runs++
				sum.Simulated += r.Simulated
				sum.Events += r.Events
				sum.Completed += r.Completed
				sum.Restarted += max(r.Restarted, 0)
				sum.Adopted += r.Adopted
				sum.Leaderless += r.Leaderless
				if r.Finished {
					sum.Finished++
				}
				if r.Violation != "" {
					sum.Violations++
					if sum.FirstViolation == nil || r.Seed < sum.FirstViolation.Seed {
						sum.FirstViolation, sum.SeedsToViolation = &r, int(n)+1
					}
					if b.Failed != nil {
						b.Failed(r)
					}
				}
				mu.Unlock()
			}
		}
	}
	var wg sync.WaitGroup
	for range max(b.Parallel, 1) {
		wg.Go(work)
	}
	wg.Wait()
	return sum
}

// Print says what a run came to, and how to replay it.
func (r Result) Print(w io.Writer, bug string, faults bool) {
	verdict := "clean"
	if r.Violation != "" {
		verdict = "VIOLATION " + r.Violation
	}
	fmt.Fprintf(w, "seed %d %s: %s\n  %s\n  %v simulated, %d events, %d checkpoints, %d generations replaced, finished %v\n",
		r.Seed, r.Mode, verdict, r.Options, r.Simulated, r.Events, r.Completed, r.Restarted, r.Finished)
	if faults {
		for _, f := range r.Faults {
			fmt.Fprintf(w, "  fault %s\n", f)
		}
	}
	tags, plant := "", ""
	if bug != "" {
		tags, plant = "-tags plantedbugs ", " -bug "+bug
	}
	fmt.Fprintf(w, "  replay: go run %s./internal/sim/cmd/sim -mode %s -seed %d%s -v\n", tags, r.Mode, r.Seed, plant)
}
