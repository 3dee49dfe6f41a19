package taskmanager

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/worker/wire"
)

const mib = 1 << 20

// tree writes files below a new directory.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func content(t *testing.T, name ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(name...))
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

func TestContainerMemory(t *testing.T) {
	for _, c := range []struct {
		name, self string
		files      map[string]string
		want       int64
	}{
		{"none", "", nil, math.MaxInt64},
		{"version 2, the least of those above", "0::/a/b\n", map[string]string{"a/b/memory.max": "max\n", "a/memory.max": "500\n", "memory.max": "900\n"}, 500},
		{"version 2, in a namespace", "0::/\n", map[string]string{"memory.max": "700\n"}, 700},
		{"version 1", "4:memory:/x\n0::/\n", map[string]string{"memory/x/memory.limit_in_bytes": "300\n", "memory/memory.limit_in_bytes": "9223372036854771712\n"}, 300},
		{"version 1, whose path lies outside the container", "4:memory:/docker/12\n", map[string]string{"memory/memory.limit_in_bytes": "200\n"}, 200},
		{"other controllers", "3:cpu:/x\n", map[string]string{"cpu/x/memory.max": "1", "x/memory.max": "1"}, math.MaxInt64},
	} {
		if got := containerMemory(tree(t, c.files), []byte(c.self)); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestResources(t *testing.T) {
	for _, c := range []struct {
		name   string
		c      Config
		memory int64
		err    string
	}{
		{"a small one", Config{Slots: 1, Memory: 256 * mib, CPUs: 3}, 224 * mib, ""},
		{"a large one", Config{Slots: 4, Memory: 8192 * mib, CPUs: 3}, 8064 * mib, ""},
		{"too many slots", Config{Slots: 8, Memory: 256 * mib, CPUs: 3}, 0, "256.0 MiB leaves 28.0 MiB for each of 8 slots"},
	} {
		got, err := resourcesOf(c.c)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, want %q", c.name, err, c.err)
			}
			continue
		}
		if err != nil || got != (resources{memory: c.memory, cpus: 3}) {
			t.Errorf("%s: %+v, %v, want %d", c.name, got, err, c.memory)
		}
	}
	got, err := resourcesOf(Config{Slots: 1})
	if err != nil || got.cpus < 1 || got.memory < leastSlot {
		t.Errorf("of this machine: %+v, %v", got, err)
	}
}

func TestLimitOf(t *testing.T) {
	tm := &TaskManager{c: Config{Slots: 4}, resources: resources{memory: 1000 * mib}}
	d := &thalwegv1.Deploy{Stored: &thalwegv1.StoredJob{Graph: &thalwegv1.JobGraph{Vertices: []*thalwegv1.Vertex{{Id: "v", Parallelism: 3}}}},
		Tasks: []*thalwegv1.TaskID{{Vertex: "v", Subtask: 0}, {Vertex: "v", Subtask: 2}}}
	if got := tm.limitOf(d); got != 500*mib {
		t.Errorf("2 of 4 slots of 1000 MiB: %d MiB", got/mib)
	}
}

// TestCgroups is when the taskmanager leaves its control group alone.
func TestCgroups(t *testing.T) {
	files := map[string]string{"tm/cgroup.controllers": "cpu memory pids\n", "tm/cgroup.procs": "42\n", "tm/cgroup.subtree_control": ""}
	take := func(change map[string]string) error {
		t.Helper()
		root := tree(t, files)
		for name, c := range change {
			if err := os.WriteFile(filepath.Join(root, name), []byte(c), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		_, err := takeCgroup(root, []byte("1:name=systemd:/\n0::/tm\n"), 42, "0123456789ab")
		return err
	}
	for _, c := range []struct {
		change map[string]string
		why    string
	}{
		{map[string]string{"tm/cgroup.controllers": "cpu pids\n"}, "does not limit memory"},
		{map[string]string{"tm/cgroup.procs": "7\n42\n"}, "is not this process's alone"},
		{map[string]string{"tm/cgroup.procs": ""}, "is not this process's alone"},
		{nil, "cgroup.procs: no such file"}, // all is well, but a plain folder that is made has no control files
	} {
		if err := take(c.change); err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%v, want %q", err, c.why)
		}
	}
	if _, err := takeCgroup(t.TempDir(), []byte("4:memory:/x\n"), 42, "0123456789ab"); err == nil {
		t.Error("version 1 was taken")
	}
}

// TestGroup is a worker's group, in plain files: that the kernel enforces what is written there is the kernel's.
func TestGroup(t *testing.T) {
	g := &group{dir: tree(t, map[string]string{"cgroup.procs": "", "memory.max": "max", "memory.swap.max": "max", "memory.events": "low 0\noom 0\noom_kill 0\n"})}
	if err := g.prepare(64 * mib); err != nil {
		t.Fatal(err)
	}
	if got := content(t, g.dir, "memory.max"); got != strconv.Itoa(64*mib) {
		t.Errorf("memory.max is %q", got)
	}
	if got := content(t, g.dir, "memory.swap.max"); !strings.HasPrefix(got, "0") {
		t.Errorf("memory.swap.max is %q", got)
	}
	if err := g.add(42); err != nil || content(t, g.dir, "cgroup.procs") != "42" {
		t.Errorf("the process was not moved: %v", err)
	}
	if g.killed() {
		t.Error("killed before anything was")
	}
	if err := os.WriteFile(filepath.Join(g.dir, "memory.events"), []byte("low 0\noom 3\noom_kill 1\noom_group_kill 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p := &process{t: &TaskManager{}}
	p.mu.group = g
	p.mu.memory = &thalwegv1.WorkerMemory{Resident: 60 * mib, Heap: 50 * mib, State: map[string]int64{"count": 5 * mib}}
	err := p.overMemory()
	if err == nil {
		t.Fatal("the kernel's kill was not seen")
	}
	for _, want := range []string{"its limit of memory, 64.0 MiB", "60.0 MiB resident", "count 5.0 MiB", "taskmanager.memory.process.size"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
	p.mu.memory = nil
	if err := p.overMemory(); err == nil || !strings.Contains(err.Error(), "before it had said") {
		t.Error(err)
	}
}

func TestExitCause(t *testing.T) {
	exit := func(status int) error { return exec.Command("sh", "-c", "exit "+strconv.Itoa(status)).Run() }
	for _, c := range []struct {
		name   string
		waited error
		stderr string
		want   string
	}{
		{"over its memory", exit(wire.ExitOverMemory), "level=INFO msg=x\njob 1 (n): its worker is over its memory\n", "job 1 (n): its worker is over its memory"},
		{"a panic", exit(2), "noise\npanic: boom\n\ngoroutine 1", "the worker ended (exit status 2): panic: boom\n\ngoroutine 1"},
		{"nothing said", exit(1), "", "the worker ended (exit status 1)"},
	} {
		if got := exitCause(c.waited, nil, c.stderr).Error(); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
