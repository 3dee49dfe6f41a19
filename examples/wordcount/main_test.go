package main

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/internal/worker/local"
)

// TestEqualsTheShell counts as the pipeline in README.md does, byte by byte, and compares.
func TestEqualsTheShell(t *testing.T) {
	text, err := os.ReadFile("shakespeare.txt")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{}
	for _, word := range strings.FieldsFunc(strings.ToLower(string(text)), func(r rune) bool { return r < 'a' || r > 'z' }) {
		want[word]++
	}
	for _, parallelism := range []int{1, 3} {
		t.Run(fmt.Sprint(parallelism), func(t *testing.T) {
			output := t.TempDir()
			g, err := flow.Build("wordcount", 1, func(j *flow.Job) error { return build(j, "shakespeare.txt", output, parallelism) })
			if err != nil {
				t.Fatal(err)
			}
			if err := local.Run(t.Context(), g, local.Options{}); err != nil {
				t.Fatal(err)
			}
			got := map[string]int{}
			for _, line := range readOutput(t, output) {
				var word string
				var n int
				if _, err := fmt.Sscanf(line, "%s %d", &word, &n); err != nil {
					t.Fatalf("line %q: %v", line, err)
				}
				if got[word] != 0 {
					t.Errorf("%q was given twice", word)
				}
				got[word] = n
			}
			if !maps.Equal(got, want) {
				t.Errorf("%d words instead of %d, %v", len(got), len(want), firstDifference(got, want))
			}
		})
	}
}

func firstDifference(got, want map[string]int) string {
	for _, w := range slices.Sorted(maps.Keys(want)) {
		if got[w] != want[w] {
			return fmt.Sprintf("%q: %d instead of %d", w, got[w], want[w])
		}
	}
	return "more words"
}

// readOutput reads what is visible, and fails if anything else is left.
func readOutput(t *testing.T, dir string) (lines []string) {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if !strings.HasPrefix(e.Name(), "part-") {
			t.Errorf("%s is left in the output", e.Name())
			continue
		}
		f, err := os.Open(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			lines = append(lines, s.Text())
		}
	}
	return lines
}
