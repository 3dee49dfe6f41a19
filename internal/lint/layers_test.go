package lint

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A rule says what the packages of one pattern may import of this module. A pattern is a folder, or a folder and all below it
// ("x/..."). The most specific rule that matches a package is its rule; a package may always import what is below its own
// pattern.
type rule struct {
	packages string
	may      []string
}

// What everything may be built on: plain values without a goroutine, a file or a connection.
var values = []string{"api/proto/...", "internal/job", "internal/planted"}

// The rules, from the bottom up. A package with no rule is an error: it has to be given its place here.
var rules = []rule{
	{"api/proto/...", nil},
	{"internal/job", []string{"api/proto/..."}},
	{"internal/planted", nil},
	{"internal/queue", nil},
	{"internal/codec/...", nil},
	{"internal/golden", nil},

	// Seams: what the system stands on. None knows another.
	{"internal/config", nil},
	{"internal/storage/...", nil},
	{"internal/ha/...", with(values, "internal/queue")},

	// Cores: values only.
	{"internal/scheduler/...", values},
	{"internal/taskmanager/core", values},
	{"internal/stream/align", values},
	{"internal/stream/drift", nil},

	// The runtime of tasks, and the shell of a term, which also serves a job in one process.
	{"internal/state/...", with(values, "internal/codec/...", "internal/storage")},
	{"internal/worker/wire", values},
	{"internal/stream/...", with(values, "internal/queue", "internal/codec/...", "internal/state/...", "internal/storage", "internal/worker/wire")},
	{"internal/leader", with(values, "internal/queue", "internal/scheduler/...", "internal/state/checkpoint", "internal/ha", "internal/storage")},
	{"internal/progress", values},
	{"internal/worker/...", with(values, "internal/queue", "internal/codec/...", "internal/state/...", "internal/stream/...", "internal/storage/...",
		"internal/leader", "internal/scheduler/...", "internal/ha", "internal/config", "internal/progress")},

	// What users write jobs with. It links no shell, and no ZooKeeper (userBinaries).
	{"flow/...", with(values, "internal/codec/...", "internal/state/...", "internal/stream/...", "internal/storage/...", "internal/worker/...")},
	{"connector/...", []string{"flow/...", "format/...", "internal/codec/...", "internal/stream/...", "internal/storage/..."}},
	{"format/...", []string{"flow/...", "internal/codec/..."}},
	{"examples/...", []string{"flow/...", "connector/...", "format/..."}},

	// Shells. Neither knows the other, nor the configuration.
	{"internal/jobmanager/...", with(values, "internal/queue", "internal/scheduler/...", "internal/state/checkpoint", "internal/leader", "internal/ha", "internal/storage")},
	{"internal/taskmanager/...", with(values, "internal/queue", "internal/taskmanager/core", "internal/worker/wire", "internal/progress", "internal/storage")},
	{"internal/client", with(values, "internal/ha")},
	{"internal/bootstrap", with(values, "internal/config", "internal/ha/...", "internal/storage/...", "internal/scheduler/...", "internal/leader",
		"internal/jobmanager/...", "internal/taskmanager/...", "internal/client")},
	{"internal/cli/...", with(values, "internal/config", "internal/client", "internal/bootstrap", "internal/progress", "internal/storage")},
	{"cmd/...", []string{"internal/config", "internal/bootstrap", "internal/cli/..."}},

	// What tests the rest may reach everything.
	{"internal/sim/...", []string{"..."}},
	{"internal/lint", nil},
	{"test/...", []string{"..."}},
	{"bench/...", []string{"..."}},

	// The events that every engine is given, and the interpreter that judges what it makes of them: they know none.
	{"bench/nexmark/gen/...", nil},
	{"bench/nexmark/gen/source", []string{"bench/nexmark/gen", "flow"}},
	{"bench/nexmark/naive/...", []string{"bench/nexmark/gen"}},

	// The queries as users write them.
	{"bench/nexmark/queries", []string{"bench/nexmark/gen", "flow"}},
}

// libraries that only one place may know.
var libraries = []rule{
	{"github.com/go-zookeeper/zk", []string{"internal/ha/zookeeper", "test/..."}},
	{"github.com/colinmarc/hdfs/...", []string{"internal/storage/hdfs", "test/..."}},
	{"github.com/spf13/cobra", []string{"internal/cli/...", "cmd/...", "test/...", "internal/sim/..."}},
}

// A user's binary is any example. It must not link these, however indirectly.
var notInUserBinaries = []string{
	"github.com/go-zookeeper/zk", "github.com/spf13/cobra", module + "/internal/ha/zookeeper", module + "/internal/jobmanager",
	module + "/internal/taskmanager", module + "/internal/bootstrap", module + "/internal/cli",
}

func with(base []string, more ...string) []string { return slices.Concat(base, more) }

// matches reports whether path is in the pattern; "..." is everything.
func matches(pattern, path string) bool {
	if pattern == "..." {
		return true
	}
	folder, below := strings.CutSuffix(pattern, "/...")
	return path == folder || below && strings.HasPrefix(path, folder+"/")
}

// ruleOf finds the most specific rule of a package: the one with the longest folder, and of two for a folder the one without "...".
func ruleOf(rules []rule, path string) (best rule, ok bool) {
	length := func(r rule) int { return len(strings.TrimSuffix(r.packages, "...")) }
	for _, r := range rules {
		if matches(r.packages, path) && (!ok || length(r) > length(best) || !strings.HasSuffix(r.packages, "...")) {
			best, ok = r, true
		}
	}
	return best, ok
}

// layering applies rules to the imports of all packages, libraries to those of the world, and says what is against them.
func layering(rules, libraries []rule, packages []listed) []string {
	var found []string
	for _, p := range packages {
		r, ok := ruleOf(rules, p.path())
		if !ok {
			found = append(found, fmt.Sprintf("%s has no place among the layers: give it one in internal/lint", p.path()))
			continue
		}
		for _, i := range p.Imports {
			if to, inside := strings.CutPrefix(i, module+"/"); inside {
				if !matchesAny(r.may, to) && !matches(r.packages, to) {
					found = append(found, fmt.Sprintf("%s imports %s: the layer %s may not", p.path(), to, r.packages))
				}
				continue
			}
			for _, l := range libraries {
				if matches(l.packages, i) && !matchesAny(l.may, p.path()) {
					found = append(found, fmt.Sprintf("%s imports %s: only %s may", p.path(), i, strings.Join(l.may, ", ")))
				}
			}
		}
	}
	return found
}

// userBinaries says which of the packages that users' programs stand for link what they must not.
func userBinaries(forbidden []string, packages []listed) []string {
	var found []string
	for _, p := range packages {
		if !matches("examples/...", p.path()) {
			continue
		}
		for _, d := range p.Deps {
			if slices.Contains(forbidden, d) {
				found = append(found, fmt.Sprintf("%s links %s", p.path(), d))
			}
		}
	}
	return found
}

func matchesAny(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return matches(pattern, path) })
}

func TestLayers(t *testing.T) {
	for _, v := range layering(rules, libraries, packages(t)) {
		t.Error(v)
	}
	for _, v := range userBinaries(notInUserBinaries, packages(t)) {
		t.Error(v)
	}
}

func TestLayersFindsWhatBreaksThem(t *testing.T) {
	made := func(path string, imports ...string) listed {
		return listed{ImportPath: module + "/" + path, Imports: imports}
	}
	within := func(path string) string { return module + "/" + path }
	for _, tc := range []struct {
		p    listed
		want string // empty: fine
	}{
		{made("internal/scheduler", "fmt", within("internal/job")), ""},
		{made("internal/scheduler", within("internal/storage")), "internal/scheduler imports internal/storage: the layer internal/scheduler/... may not"},
		{made("internal/taskmanager/core", within("internal/worker")), "internal/taskmanager/core imports internal/worker: the layer internal/taskmanager/core may not"},
		{made("internal/taskmanager", within("internal/worker/wire")), ""},
		{made("internal/taskmanager", within("internal/jobmanager")), "internal/taskmanager imports internal/jobmanager: the layer internal/taskmanager/... may not"},
		{made("internal/storage", within("internal/ha")), "internal/storage imports internal/ha: the layer internal/storage/... may not"},
		{made("internal/storage/hdfs", within("internal/storage"), "github.com/colinmarc/hdfs/v2"), ""},
		{made("internal/storage/file", "github.com/colinmarc/hdfs/v2/hadoopconf"), "internal/storage/file imports github.com/colinmarc/hdfs/v2/hadoopconf: only internal/storage/hdfs, test/... may"},
		{made("examples/wordcount", within("internal/stream")), "examples/wordcount imports internal/stream: the layer examples/... may not"},
		{made("internal/util"), "internal/util has no place among the layers: give it one in internal/lint"},
		{made("test/drill", within("internal/jobmanager"), "github.com/go-zookeeper/zk"), ""},
	} {
		got := layering(rules, libraries, []listed{tc.p})
		if tc.want == "" && len(got) > 0 || tc.want != "" && !slices.Equal(got, []string{tc.want}) {
			t.Errorf("%s importing %v: got %q, want %q", tc.p.path(), tc.p.Imports, got, tc.want)
		}
	}
	linked := []listed{{ImportPath: within("examples/x"), Deps: []string{"fmt", within("internal/jobmanager")}}, {ImportPath: within("cmd/x"), Deps: notInUserBinaries}}
	if got, want := userBinaries(notInUserBinaries, linked), []string{"examples/x links " + within("internal/jobmanager")}; !slices.Equal(got, want) {
		t.Errorf("user binaries: got %q, want %q", got, want)
	}
}
