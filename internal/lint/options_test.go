package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// pending are options whose reader is being written. It is empty when the work is done.
var pending = []string{"BufferTimeout", "InlineThreshold"}

// TestEveryOptionIsRead: an option of internal/config that no program reads would be a promise that nobody keeps.
func TestEveryOptionIsRead(t *testing.T) {
	table, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "internal", "config", "table.go"), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	options := defined(table)
	if len(options) < 10 {
		t.Fatalf("only %d options found in the table", len(options))
	}
	read := map[string]bool{}
	for _, p := range packages(t) {
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, option := range used(file) {
				read[option] = true
			}
		}
	}
	for _, option := range options {
		if !read[option] && !slices.Contains(pending, option) {
			t.Errorf("config.%s is read by no program: remove it from the table until one does", option)
		}
	}
}

// defined are the variables of a file that are made by define(...).
func defined(file *ast.File) []string {
	var names []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if call, ok := spec.Values[0].(*ast.CallExpr); ok {
			if f, ok := call.Fun.(*ast.Ident); ok && f.Name == "define" {
				names = append(names, spec.Names[0].Name)
			}
		}
		return true
	})
	return names
}

// used are the names that a file takes from internal/config.
func used(file *ast.File) []string {
	if !slices.ContainsFunc(file.Imports, func(i *ast.ImportSpec) bool { return strings.Trim(i.Path.Value, `"`) == module+"/internal/config" }) {
		return nil
	}
	var names []string
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && x.Name == "config" {
				names = append(names, s.Sel.Name)
			}
		}
		return true
	})
	return names
}

func TestOptionsAreFound(t *testing.T) {
	parse := func(content string) *ast.File {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", content, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	if got := defined(parse("package config\nvar (\n\tA = define(1)\n\tB = other(1)\n)\nvar C = define(2)")); !slices.Equal(got, []string{"A", "C"}) {
		t.Errorf("defined: %q", got)
	}
	if got := used(parse("package x\nimport \"" + module + "/internal/config\"\nvar x = config.A.Get(c)")); !slices.Equal(got, []string{"A"}) {
		t.Errorf("used: %q", got)
	}
	if got := used(parse("package x\nimport \"other/config\"\nvar x = config.A.Get(c)")); got != nil {
		t.Errorf("used of another package: %q", got)
	}
}
