package golden

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// recorder is a test that only notes that it fails.
type recorder struct {
	testing.TB
	errors []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

// rewriting is -rewrite for one test.
func rewriting(t *testing.T) {
	was := *rewrite
	*rewrite = true
	t.Cleanup(func() { *rewrite = was })
}

func TestFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "below", "file")
	t.Run("rewriting", func(t *testing.T) {
		rewriting(t)
		if kept := File(t, name, []byte("one\ntwo\nthree\n")); string(kept) != "one\ntwo\nthree\n" {
			t.Errorf("%q is kept", kept)
		}
	})
	r := &recorder{TB: t}
	if kept := File(r, name, []byte("one\ntwo\nthree\n")); len(r.errors) > 0 || string(kept) != "one\ntwo\nthree\n" {
		t.Errorf("the same again: %q, %q", r.errors, kept)
	}
	kept := File(r, name, []byte("one\n2\nthree\n"))
	if len(r.errors) != 1 || !strings.Contains(r.errors[0], "line 2, kept:\ntwo\nnow:\n2") || string(kept) != "one\ntwo\nthree\n" {
		t.Errorf("another one: %q, %q", r.errors, kept)
	}
	if kept = Kept(r, name, []byte("2")); len(r.errors) != 1 || string(kept) != "one\ntwo\nthree\n" {
		t.Errorf("another one that may be: %q, %q", r.errors, kept)
	}
}

func TestDifference(t *testing.T) {
	for _, tc := range []struct{ kept, now, want string }{
		{"a\nb\n", "a\nb\nc\n", "line 3, kept:\n\nnow:\nc"},
		{"a\na\n", "a\n", "line 2, kept:\na\nnow:\n"},
		{"a\n", "a", "line 2, kept:\n\nnow:\n"},
		{"", "a", "line 1, kept:\n\nnow:\na"},
		{"a\xff\x01", "ab", "byte 1, kept: ff01 of 3\nnow: 62 of 2"},
		{"\xff", "\xff" + strings.Repeat("a", 33), "byte 1, kept:  of 1\nnow: " + strings.Repeat("61", 32) + " of 34"},
	} {
		if got := difference([]byte(tc.kept), []byte(tc.now)); got != tc.want {
			t.Errorf("%q and %q: %q, want %q", tc.kept, tc.now, got, tc.want)
		}
	}
}

func TestScripts(t *testing.T) {
	dir := t.TempDir()
	for name, script := range map[string]string{"one.txt": "# what it is\n\nadd 1\nadd 2", "other.txt": "add 5\n  stale\n  1\n", "README": "none"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run := func(_ *testing.T, script string) string {
		sum := 0
		return Lines(script, func(command string) string {
			var n int
			if _, err := fmt.Sscanf(command, "add %d", &n); err != nil {
				t.Errorf("%q: %v", command, err)
			}
			if sum += n; sum < 3 {
				return ""
			}
			return fmt.Sprintf("%d is\nlarge", sum)
		})
	}
	t.Run("rewriting", func(t *testing.T) {
		rewriting(t)
		Scripts(t, filepath.Join(dir, "*.txt"), run)
	})
	for name, want := range map[string]string{"one.txt": "# what it is\n\nadd 1\nadd 2\n  3 is\n  large\n", "other.txt": "add 5\n  5 is\n  large\n", "README": "none"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
	t.Run("again", func(t *testing.T) { Scripts(t, filepath.Join(dir, "*.txt"), run) })
}
