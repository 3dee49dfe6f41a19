package lint

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEveryTargetHasARecipe: what the Makefile calls a target, and what documents tell people to call, can be made. A name that is phony and has no rule
// succeeds and does nothing.
func TestEveryTargetHasARecipe(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	rules := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^([a-z][a-z0-9-]*):.*\n\t`).FindAllStringSubmatch(string(text), -1) {
		rules[m[1]] = true
	}
	if len(rules) < 10 {
		t.Fatalf("only %d rules with a recipe found", len(rules))
	}
	phony := regexp.MustCompile(`(?m)^\.PHONY:(.*)$`).FindStringSubmatch(string(text))
	if phony == nil {
		t.Fatal("the Makefile says nowhere which targets are no files")
	}
	named := strings.Fields(phony[1])
	for name := range rules {
		if !slices.Contains(named, name) {
			t.Errorf("target %s is not in .PHONY: a file of that name would be taken for it", name)
		}
	}
	spans := regexp.MustCompile("`make ([a-z][a-z0-9-]*)|(?m)^    make ([a-z][a-z0-9-]*)")
	documents, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range append(documents, filepath.Join(root, "README.md")) {
		text, err := os.ReadFile(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range spans.FindAllStringSubmatch(string(text), -1) {
			named = append(named, m[1]+m[2])
		}
	}
	for _, name := range named {
		if !rules[name] {
			t.Errorf("target %s is named in .PHONY, README.md or docs, and the Makefile has no recipe for it", name)
		}
	}
}
