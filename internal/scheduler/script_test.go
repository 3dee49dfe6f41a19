package scheduler

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts give into testdata")

// runScripts runs every testdata/<dir>/*.txt. A script is commands, each followed by "----" and what it gave; the recorded
// output is the review. Lines before a command that begin with # say what it is about.
func runScripts(t *testing.T, dir string, start func() func(command string, args []string) string) {
	files, err := filepath.Glob(filepath.Join("testdata", dir, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts in testdata/%s: %v", dir, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			run := start()
			var out strings.Builder
			for i, block := range strings.Split(strings.TrimRight(string(b), "\n"), "\n\n") {
				head, want, found := strings.Cut(block, "\n----")
				if !found && strings.HasPrefix(block, "#") && !hasCommand(block) {
					out.WriteString(block + "\n\n")
					continue
				}
				want = strings.TrimPrefix(want, "\n")
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
				if !*rewrite && text != want {
					t.Errorf("%s: block %d:\n%s\n---- want\n%s\n---- have\n%s", file, i+1, head, want, text)
				}
				fmt.Fprintf(&out, "%s\n----\n%s\n\n", head, text)
			}
			if *rewrite {
				if err := os.WriteFile(file, []byte(strings.TrimRight(out.String(), "\n")+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func hasCommand(block string) bool {
	for _, line := range strings.Split(block, "\n") {
		if !strings.HasPrefix(line, "#") {
			return true
		}
	}
	return false
}
