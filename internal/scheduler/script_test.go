package scheduler

import (
	"strings"
	"testing"

	"github.com/thalweg-io/thalweg/internal/golden"
)

// runScripts runs every testdata/<dir>/*.txt. A script is commands, each followed by "----" and what it gave; the recorded
// output is the review. Lines before a command that begin with # say what it is about.
func runScripts(t *testing.T, dir string, start func() func(command string, args []string) string) {
	golden.Scripts(t, "testdata/"+dir+"/*.txt", func(_ *testing.T, script string) string {
		run := start()
		var out []string
		for _, block := range strings.Split(strings.TrimRight(script, "\n"), "\n\n") {
			head, _, found := strings.Cut(block, "\n----")
			if !found && strings.HasPrefix(block, "#") && !hasCommand(block) {
				out = append(out, block)
				continue
			}
			var got []string
			for _, line := range strings.Split(head, "\n") {
				if f := strings.Fields(line); len(f) > 0 && !strings.HasPrefix(line, "#") {
					if s := strings.TrimRight(run(f[0], f[1:]), "\n"); s != "" {
						got = append(got, s)
					}
				}
			}
			text := strings.Join(got, "\n")
			if text == "" {
				text = "(nothing)"
			}
			out = append(out, head+"\n----\n"+text)
		}
		return strings.Join(out, "\n\n") + "\n"
	})
}

func hasCommand(block string) bool {
	for _, line := range strings.Split(block, "\n") {
		if !strings.HasPrefix(line, "#") {
			return true
		}
	}
	return false
}
