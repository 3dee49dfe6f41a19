//go:build plantedbugs

package sim

import (
	"os"
	"testing"
)

// TestBugs: every planted bug is caught, by an invariant that it breaks. Not in parallel with anything: the bug is the process's.
func TestBugs(t *testing.T) {
	if !HuntAll(os.Stdout, 20000, 2) {
		t.Error("see above")
	}
}
