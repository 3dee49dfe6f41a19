package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/client"
	"github.com/thalweg-io/thalweg/test/cluster"
)

// TestJobsOverTheirMemory runs four jobs on one taskmanager of four slots. Two keep more than their share: one fails, the other restarts as
// often as its strategy lets it. One makes much garbage of what fits, which a collector without a limit would let grow to twice of that. The
// fourth one and the taskmanager notice nothing.
func TestJobsOverTheirMemory(t *testing.T) {
	hoarder := filepath.Join(t.TempDir(), "hoarder")
	build := exec.Command("go", "build", "-trimpath", "-o", hoarder, "./hoarder")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	dir := t.TempDir()
	c, err := cluster.New(dir, bin, map[string]string{
		"high-availability.type":           "local",
		"high-availability.local.dir":      filepath.Join(dir, "ha"),
		"high-availability.storageDir":     filepath.Join(dir, "storage"),
		"execution.checkpointing.dir":      filepath.Join(dir, "checkpoints"),
		"execution.checkpointing.interval": "0 s",
		"taskmanager.memory.process.size":  "688 mb",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		if t.Failed() {
			c.Tail(os.Stderr, 40)
		}
	})
	if _, err := c.JobManager("jobmanager"); err != nil {
		t.Fatal(err)
	}
	tm, err := c.TaskManager("taskmanager", 4)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Leader(within(t, time.Minute)); err != nil {
		t.Fatal(err)
	}
	run := func(flags []string, args ...string) string {
		t.Helper()
		id, err := c.Run(within(t, time.Minute), append([]string{"-p", "1"}, flags...), hoarder, args...)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}

	neighbour := run([]string{"-D", "execution.checkpointing.interval=500 ms", "-D", "taskmanager.memory.pretouch.size=16 mb"}, "-keep", "nothing")
	before, err := c.WaitRunning(within(t, time.Minute), neighbour, -1)
	if err != nil {
		t.Fatal(err)
	}
	churning := run(nil, "-keep", "newest", "-rate", "20000")
	if _, err := c.WaitRunning(within(t, time.Minute), churning, -1); err != nil {
		t.Fatal(err)
	}
	workers := tm.Children()
	if len(workers) != 2 {
		t.Fatalf("%d workers of two jobs", len(workers))
	}

	inState := run([]string{"-D", "restart-strategy.type=none"}, "-keep", "state", "-rate", "20000")
	onHeap := run([]string{"-D", "restart-strategy.type=fixed-delay", "-D", "restart-strategy.fixed-delay.attempts=1", "-D", "restart-strategy.fixed-delay.delay=100 ms"},
		"-keep", "heap", "-rate", "20000")
	for _, j := range []struct {
		id       string
		restarts int32
		lacks    []string
		says     []string
	}{
		{inState, 0, nil, []string{"hoard "}},
		{onHeap, 1, []string{"hoard "}, []string{"no keyed state", "Go heap 1"}},
	} {
		i, _ := c.WaitFor(within(t, 2*time.Minute), j.id, func(i *thalwegv1.JobInfo) bool { return client.Ended(i.Summary.Status) })
		if i.GetSummary().GetStatus() != thalwegv1.JobStatus_JOB_STATUS_FAILED || i.Restarts != j.restarts {
			t.Fatalf("%v after %d restarts, want FAILED after %d", i.GetSummary(), i.GetRestarts(), j.restarts)
		}
		if len(i.Exceptions) == 0 {
			t.Fatal("no cause of the failure")
		}
		said := i.Exceptions[0].Message
		for _, want := range append(j.says, "job "+j.id+" (hoarder)", "taskmanager taskmanager", "resident (RSS)", "the share of 1 of 4 slots", "150.5 MiB",
			"taskmanager.memory.process.size") {
			if !strings.Contains(said, want) {
				t.Errorf("the cause lacks %q:\n%s", want, said)
			}
		}
		if strings.Contains(strings.TrimSpace(said), "\n") {
			t.Errorf("the cause is more than one line:\n%s", said)
		}
		t.Log(said)
	}

	after, err := c.WaitFor(within(t, time.Minute), neighbour, func(i *thalwegv1.JobInfo) bool { return i.RecordsWritten > before.RecordsWritten })
	if err != nil {
		t.Fatal(err)
	}
	if after.Restarts != 0 || after.Generation.N != before.Generation.N || len(after.Exceptions) != 0 || after.Summary.Status != thalwegv1.JobStatus_JOB_STATUS_RUNNING {
		t.Errorf("the other job was touched: %v, %d restarts, %v", after.Summary, after.Restarts, after.Exceptions)
	}
	measured(t, c, neighbour)
	// All that it keeps has been replaced once.
	if i, err := c.WaitFor(within(t, time.Minute), churning, func(i *thalwegv1.JobInfo) bool { return i.RecordsWritten > 2*90<<10 }); err != nil || i.Restarts != 0 {
		t.Errorf("the job that makes garbage: %v, %d restarts, %v", err, i.GetRestarts(), i.GetExceptions())
	}
	if now := tm.Children(); !slices.Equal(now, workers) || !tm.Alive() {
		t.Errorf("workers %v, before %v; the taskmanager lives: %v", now, workers, tm.Alive())
	}
}

// measured checks what is said of a job that reads and hands on 1000 records a second in one chain, and its form for a person.
func measured(t *testing.T, c *cluster.Cluster, id string) {
	t.Helper()
	chain := func(i *thalwegv1.JobInfo) *thalwegv1.TaskCounters {
		for _, task := range i.Tasks {
			if slices.ContainsFunc(i.Graph.Vertices, func(v *thalwegv1.Vertex) bool { return v.Id == task.Report.Task.Vertex && !v.Coordinator }) {
				return task.Report.Counters
			}
		}
		return nil
	}
	i, err := c.WaitFor(within(t, 20*time.Second), id, func(i *thalwegv1.JobInfo) bool {
		return chain(i).GetRates() != nil && chain(i).GetCheckpoint().GetCount() > 1
	})
	if err != nil {
		t.Fatalf("%v: %v", err, chain(i))
	}
	m := chain(i)
	r := m.Rates
	if all := r.BusyMs + r.IdleMs + r.BackpressuredMs; r.RecordsIn < 500 || r.RecordsIn > 2000 || r.RecordsOut < 500 || r.RecordsOut > 2000 || r.IdleMs < 500 ||
		all < 990 || all > 1010 {
		t.Errorf("%v, at 1000 records a second", r)
	}
	if m.BytesIn != 0 || m.BytesOut != 0 || m.Checkpoint.AsyncNs <= 0 || m.Checkpoint.SyncNs <= 0 || m.Checkpoint.Bytes <= 0 {
		t.Errorf("%v", m)
	}
	for flag, want := range map[string]string{"--subtasks=false": "VERTEX", "--subtasks": "SUBTASK"} {
		out, err := c.Thalweg(within(t, time.Minute), "info", "--config-dir", c.ConfDir(), flag, id)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range []string{want, "BACKPRESSURED", "WATERMARK", "ALIGNMENT", "hoard", "numbers"} {
			if !strings.Contains(out, w) {
				t.Errorf("info %s lacks %q:\n%s", flag, w, out)
			}
		}
		t.Log(out)
	}
}
