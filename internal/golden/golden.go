// Package golden compares what tests make with what they have recorded in files. The flag -rewrite has the files written anew: then the difference
// that version control shows is the review. It owns that flag, and the form of scripts of one command a line. Only tests use it, and it never knows what it
// compares.
package golden

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

var rewrite = flag.Bool("rewrite", false, "record anew what tests compare with; review the difference")

// File compares a file with what its content is now. It returns what the file has, which is what earlier programs have written.
func File(t testing.TB, name string, now []byte) (kept []byte) {
	t.Helper()
	kept = Kept(t, name, now)
	if !bytes.Equal(kept, now) {
		t.Errorf("%s is not what it would be now. Read what %s is about; -rewrite records it anew.\n%s", name, t.Name(), difference(kept, now))
	}
	return kept
}

// Kept is File for a content that may change: it does not compare.
func Kept(t testing.TB, name string, now []byte) (kept []byte) {
	t.Helper()
	if *rewrite {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, now, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

// difference shows both contents without the lines that they begin and end with alike; of what is no text, the first bytes that differ.
func difference(kept, now []byte) string {
	if !utf8.Valid(kept) || !utf8.Valid(now) {
		at := 0
		for at < min(len(kept), len(now)) && kept[at] == now[at] {
			at++
		}
		from := func(b []byte) []byte { return b[at:min(len(b), at+32)] }
		return fmt.Sprintf("byte %d, kept: %x of %d\nnow: %x of %d", at, from(kept), len(kept), from(now), len(now))
	}
	a, b := strings.Split(string(kept), "\n"), strings.Split(string(now), "\n")
	line := 1
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b, line = a[1:], b[1:], line+1
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return fmt.Sprintf("line %d, kept:\n%s\nnow:\n%s", line, strings.Join(a, "\n"), strings.Join(b, "\n"))
}

// Scripts runs each file that matches a pattern as a test of its own. run carries out the commands of a script, whatever their form, and returns the
// script with what came of each, which has to be what the file says.
func Scripts(t *testing.T, pattern string, run func(t *testing.T, script string) string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts are %s: %v", pattern, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			File(t, file, []byte(run(t, string(b))))
		})
	}
}

// Lines is a script whose lines are commands: do carries out one, and what it returns comes below it, indented. So what an earlier run gave is the
// indented lines. Empty ones and those that begin with # are comments.
func Lines(script string, do func(command string) string) string {
	var out strings.Builder
	for line := range strings.Lines(script) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, " ") {
			continue
		}
		fmt.Fprintln(&out, line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		for effect := range strings.Lines(do(line)) {
			fmt.Fprintf(&out, "  %s\n", strings.TrimSuffix(effect, "\n"))
		}
	}
	return out.String()
}
