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
