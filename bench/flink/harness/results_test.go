package harness

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestResultIsWhatIsLeft(t *testing.T) {
	for name, tc := range map[string]struct {
		files []string
		want  []string
		err   string
	}{
		"added only":                       {files: []string{"+b|2\n+a|1\n"}, want: []string{"a|1", "b|2"}},
		"twice the same":                   {files: []string{"+a\n+a\n"}, want: []string{"a", "a"}},
		"updated":                          {files: []string{"+a|1\n-a|1\n+a|2\n"}, want: []string{"a|2"}},
		"taken away by an earlier file":    {files: []string{"-a\n", "+a\n+b\n"}, want: []string{"b"}},
		"of several files":                 {files: []string{"+b\n", "+a\n"}, want: []string{"a", "b"}},
		"empty row":                        {files: []string{"+\n"}, want: []string{""}},
		"taken away and never added":       {files: []string{"+a\n-b\n"}, err: `row "b"`},
		"neither added nor taken away":     {files: []string{"a|1\n"}, err: "neither"},
		"a line without even a sign":       {files: []string{"+a\n\n"}, err: "neither"},
		"nothing at all":                   {},
		"a row longer than usual is whole": {files: []string{"+" + strings.Repeat("x", 200_000) + "\n"}, want: []string{strings.Repeat("x", 200_000)}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for i, content := range tc.files {
				if err := os.WriteFile(filepath.Join(dir, string(rune('0'+i))), []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, err := (&Running{results: dir}).Result()
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("error %v, want one with %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
