package scheduler

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

const diagram = "../../docs/job-states.md"

// TestStatesDiagram: the documented diagram is the table. -rewrite writes the diagram from the table.
func TestStatesDiagram(t *testing.T) {
	b, err := os.ReadFile(diagram)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, x := range transitions {
		lines = append(lines, fmt.Sprintf("    %s --> %s: %s", name(x.from), name(x.to), x.why))
	}
	if *rewrite {
		head, rest, _ := strings.Cut(string(b), "stateDiagram-v2\n")
		_, tail, _ := strings.Cut(rest, "```")
		out := head + "stateDiagram-v2\n    [*] --> INITIALIZING\n" + strings.Join(lines, "\n") + "\n    FINISHED --> [*]\n    CANCELED --> [*]\n    FAILED --> [*]\n```" + tail
		if err := os.WriteFile(diagram, []byte(out), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	drawn := regexp.MustCompile(`(?m)^    [A-Z]+ --> [A-Z]+: .*$`).FindAllString(string(b), -1)
	if !slices.Equal(drawn, lines) {
		t.Errorf("%s does not draw the transition table; run go test ./internal/scheduler -rewrite and look at the difference.\ndrawn:\n%s\ntable:\n%s",
			diagram, strings.Join(drawn, "\n"), strings.Join(lines, "\n"))
	}
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
