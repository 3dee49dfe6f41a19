package scheduler

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/golden"
)

const diagram = "../../docs/job-states.md"

// TestStatesDiagram: the documented diagram is the table. -rewrite writes the diagram from the table.
func TestStatesDiagram(t *testing.T) {
	b, err := os.ReadFile(diagram)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(b), "stateDiagram-v2\n")
	_, tail, _ := strings.Cut(rest, "```")
	var lines strings.Builder
	for _, x := range transitions {
		fmt.Fprintf(&lines, "    %s --> %s: %s\n", name(x.from), name(x.to), x.why)
	}
	golden.File(t, diagram, []byte(head+"stateDiagram-v2\n    [*] --> INITIALIZING\n"+lines.String()+
		"    FINISHED --> [*]\n    CANCELED --> [*]\n    FAILED --> [*]\n```"+tail))
}

// TestStatesComplete: every status is a state of the table, terminal ones absorb, and the others lead somewhere.
func TestStatesComplete(t *testing.T) {
	for n, text := range thalwegv1.JobStatus_name {
		s := thalwegv1.JobStatus(n)
		if s == thalwegv1.JobStatus_JOB_STATUS_UNSPECIFIED {
			continue
		}
		if states[s].advance == nil {
			t.Errorf("%s is no state", text)
		}
		leaves := slices.ContainsFunc(transitions, func(x transition) bool { return x.from == s })
		if leaves == terminal(s) {
			t.Errorf("%s: terminal %v, transitions from it %v", text, terminal(s), leaves)
		}
		if s != initializing && !slices.ContainsFunc(transitions, func(x transition) bool { return x.to == s }) {
			t.Errorf("%s cannot be reached", text)
		}
	}
}
