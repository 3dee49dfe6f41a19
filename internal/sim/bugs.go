package sim

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/thalweg-io/thalweg/internal/planted"
)

// HuntAll plants every bug in turn and reports how many seeds it took to catch each; false if one was not caught within the
// given number of seeds, or only by an invariant that it has nothing to do with.
func HuntAll(w io.Writer, seeds, parallel int) bool {
	all := true
	for _, b := range planted.Bugs {
		n, r := Hunt(b, seeds, parallel)
		if r == nil {
			fmt.Fprintf(w, "%-32s NOT CAUGHT in %d seeds\n", b.Name, seeds)
			all = false
			continue
		}
		invariant, _, _ := strings.Cut(r.Violation, ":")
		note := ""
		if !slices.Contains(strings.Fields(b.Violation), invariant) {
			note, all = "  (expected one of "+b.Violation+")", false
		}
		fmt.Fprintf(w, "%-32s caught by seed %5d as %s in %s mode%s\n", b.Name, n, invariant, r.Mode, note)
	}
	return all
}

// Hunt plants one bug and runs seeds until an invariant is violated. It returns how many seeds that took and what was found.
func Hunt(b planted.Bug, seeds, parallel int) (int, *Result) {
	planted.Choose(b.Name)
	defer planted.Choose("")
	sum := RunMany(Batch{First: 1, Seeds: seeds, Modes: []Mode{Safety, Liveness}, Parallel: parallel, Stop: true})
	return sum.SeedsToViolation, sum.FirstViolation
}
