package state

import (
	"flag"
	"os"
	"testing"
)

// A run of the model is thousands of operations; 30 are enough for every run of the tests. -rapid.checks asks for more.
func TestMain(m *testing.M) {
	checks := flag.Lookup("rapid.checks")
	checks.Value.Set("30")
	flag.Parse()
	os.Exit(m.Run())
}

// fewer is the number of cases where time is short: under the race detector each takes ten times as long.
func fewer(cases uint64) uint64 {
	if testing.Short() {
		return max(cases/8, 2)
	}
	return cases
}
