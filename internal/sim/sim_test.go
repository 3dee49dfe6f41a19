package sim

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
)

// seeds is how many seeds the tests run in each mode; cmd/sim runs more.
const seeds = 150

// TestSeeds: no seed violates an invariant, and together they see what they are there for.
func TestSeeds(t *testing.T) {
	t.Parallel()
	for _, m := range []Mode{Safety, Liveness} {
		t.Run(string(m), func(t *testing.T) {
			t.Parallel()
			sum := RunMany(Batch{First: 1, Seeds: seeds, Modes: []Mode{m}, Parallel: max(runtime.GOMAXPROCS(0)/2, 1), Failed: func(r Result) {
				var b bytes.Buffer
				r.Print(&b, "", true)
				t.Error(b.String())
			}})
			if sum.Completed < seeds || sum.Restarted == 0 || sum.Finished == 0 || sum.Adopted == 0 || sum.Leaderless == 0 {
				t.Errorf("%d runs saw %d checkpoints, %d restarts, %d adoptions, %d ends of tasks without a leader and %d jobs to their end: the faults or the job are not what they should be",
					sum.Runs, sum.Completed, sum.Restarted, sum.Adopted, sum.Leaderless, sum.Finished)
			}
		})
	}
}

// TestDeterminism: one seed has one history.
func TestDeterminism(t *testing.T) {
	t.Parallel()
	for seed := uint64(1); seed <= 6; seed++ {
		var first, second bytes.Buffer
		Run(seed, Safety, &first)
		Run(seed, Safety, &second)
		if first.Len() < 1000 {
			t.Fatalf("seed %d: a history of %d bytes", seed, first.Len())
		}
		if a, b := first.String(), second.String(); a != b {
			la, lb := strings.Split(a, "\n"), strings.Split(b, "\n")
			for i := range la {
				if i >= len(lb) || la[i] != lb[i] {
					t.Fatalf("seed %d: two histories differ at line %d:\n%s\n%s", seed, i+1, la[i], lb[min(i, len(lb)-1)])
				}
			}
		}
	}
}
