package lint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// cores are the protocol cores: folders, and single files of folders whose other files are shells. They are values: Step(event)
// gives effects, with no goroutine, clock, randomness or I/O inside. What they are told is all they know.
var cores = []string{
	"internal/scheduler",
	"internal/stream/align",
	"internal/stream/drift",
	"internal/taskmanager/core",
	"internal/ha/zookeeper/election.go",
	"internal/ha/zookeeper/stages.go",
}

// What a core must not import: each is a way to something that the events do not say.
var impure = map[string]string{
	"math/rand": "randomness", "math/rand/v2": "randomness", "crypto/rand": "randomness",
	"os": "I/O", "net": "I/O", "io/fs": "I/O", "os/exec": "I/O", "syscall": "I/O", "log": "I/O", "log/slog": "I/O",
	"sync": "goroutines", "sync/atomic": "goroutines", "context": "goroutines", "runtime": "the process", "testing": "tests",
}

// clocks are the functions of package time that read a clock or wait for one.
var clocks = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer"}

// impurities says what of a file a core must not have.
func impurities(fset *token.FileSet, file *ast.File) []string {
	var found []string
	at := func(n ast.Node, format string, args ...any) {
		found = append(found, fmt.Sprintf("%s: %s", fset.Position(n.Pos()), fmt.Sprintf(format, args...)))
	}
	clock := "time"
	for _, i := range file.Imports {
		path, _ := strconv.Unquote(i.Path.Value)
		if what, ok := impure[path]; ok {
			at(i, "imports %s (%s)", path, what)
		}
		if path == "time" && i.Name != nil {
			clock = i.Name.Name
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			at(n, "starts a goroutine")
		case *ast.ChanType:
			at(n, "has a channel")
		case *ast.SelectStmt:
			at(n, "selects")
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == clock && slices.Contains(clocks, n.Sel.Name) {
				at(n, "calls time.%s", n.Sel.Name)
			}
		}
		return true
	})
	return found
}

func TestCores(t *testing.T) {
	for _, core := range cores {
		path := filepath.Join(root, filepath.FromSlash(core))
		var names []string
		if strings.HasSuffix(core, ".go") {
			names = []string{path}
		} else {
			all, err := filepath.Glob(filepath.Join(path, "*.go"))
			if err != nil {
				t.Fatal(err)
			}
			names = slices.DeleteFunc(all, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
		}
		if len(names) == 0 {
			t.Errorf("%s has no Go file", core)
		}
		for _, name := range names {
			content, err := os.ReadFile(name)
			if err != nil {
				t.Error(err)
				continue
			}
			for _, v := range parsed(t, name, string(content)) {
				t.Error(v)
			}
		}
	}
}

func parsed(t *testing.T, name, content string) []string {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, content, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return impurities(fset, file)
}

func TestCoresFindsImpurities(t *testing.T) {
	for content, want := range map[string]string{
		"import \"time\"\nvar x time.Duration = 3 * time.Second": "",
		"import \"time\"\nvar x = time.Now()":                    "calls time.Now",
		"import clock \"time\"\nvar x = clock.Since":             "calls time.Since",
		"import \"math/rand/v2\"":                                "imports math/rand/v2 (randomness)",
		"import \"os\"":                                          "imports os (I/O)",
		"func f() { go f() }":                                    "starts a goroutine",
		"func f(c chan int) {}":                                  "has a channel",
		"func f() { select {} }":                                 "selects",
	} {
		got := parsed(t, "core.go", "package core\n"+content)
		if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || !strings.HasSuffix(got[0], ": "+want)) {
			t.Errorf("%s\ngot %q, want %q", content, got, want)
		}
	}
}
