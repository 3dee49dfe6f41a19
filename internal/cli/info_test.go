package cli

import (
	"bytes"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/golden"
)

// example is a job of two vertices and four subtasks, of which one has just been deployed.
func example() *thalwegv1.JobInfo {
	at := time.Date(2026, 2, 3, 4, 5, 6, 7e6, time.UTC).UnixNano()
	running, deploying := thalwegv1.TaskState_TASK_STATE_RUNNING, thalwegv1.TaskState_TASK_STATE_DEPLOYING
	task := func(vertex string, subtask int32, s thalwegv1.TaskState, tm string, c *thalwegv1.TaskCounters) *thalwegv1.TaskStatus {
		return &thalwegv1.TaskStatus{Taskmanager: tm, Report: &thalwegv1.TaskReport{Task: &thalwegv1.TaskID{Vertex: vertex, Subtask: subtask}, State: s, Counters: c}}
	}
	return &thalwegv1.JobInfo{
		Graph: &thalwegv1.JobGraph{Vertices: []*thalwegv1.Vertex{{Id: "s", Name: "numbers -> key", Parallelism: 2}, {Id: "c", Name: "count", Parallelism: 2}}},
		Tasks: []*thalwegv1.TaskStatus{
			task("c", 0, running, "tm-1", &thalwegv1.TaskCounters{RecordsIn: 1000, BytesIn: 8000, Late: 3, InputWatermark: new(at), OutputWatermark: new(int64(5)),
				Rates:      &thalwegv1.TaskRates{RecordsIn: 100.4, BusyMs: 250, IdleMs: 750},
				Checkpoint: &thalwegv1.TaskCheckpoint{Id: 7, Bytes: 1 << 20, AlignmentNs: 1_234_567, SyncNs: 12_300, AsyncNs: 45_600_000, Count: 3}}),
			task("c", 1, running, "tm-2", &thalwegv1.TaskCounters{RecordsIn: 500, BytesIn: 4000, InputWatermark: new(at + 1e9),
				Rates:      &thalwegv1.TaskRates{RecordsIn: 50, BusyMs: 1000.2, IdleMs: 0},
				Checkpoint: &thalwegv1.TaskCheckpoint{Id: 7, Bytes: 1 << 19, AlignmentNs: 34_567, SyncNs: 22_300, AsyncNs: 5_600_000}}),
			task("s", 0, running, "tm-1", &thalwegv1.TaskCounters{RecordsIn: 1600, RecordsOut: 1600, BytesOut: 12_800, Skipped: 2, OutputWatermark: new(int64(math.MaxInt64)),
				Rates:      &thalwegv1.TaskRates{RecordsIn: 150, RecordsOut: 150, BytesOut: 1200, BusyMs: 100, IdleMs: 100, BackpressuredMs: 800},
				Checkpoint: &thalwegv1.TaskCheckpoint{Id: 6, Bytes: 100, SyncNs: 999, AsyncNs: 1_600_000_000}}),
			task("s", 1, deploying, "tm-2", nil),
		},
	}
}

func TestPrintTasks(t *testing.T) {
	for name, subtasks := range map[string]bool{"vertices": false, "subtasks": true} {
		var out bytes.Buffer
		printTasks(&out, example(), subtasks)
		golden.File(t, filepath.Join("testdata", "info_"+name+".txt"), out.Bytes())
	}
	var out bytes.Buffer
	printTasks(&out, &thalwegv1.JobInfo{Graph: example().Graph}, false)
	if out.Len() > 0 {
		t.Errorf("a job without subtasks: %q", out.String())
	}
}

// TestRowsOfVertices: whichever subtask is reported first, a vertex's row is the same.
func TestRowsOfVertices(t *testing.T) {
	i, turned := example(), example()
	for a, b := 0, len(turned.Tasks)-1; a < b; a, b = a+1, b-1 {
		turned.Tasks[a], turned.Tasks[b] = turned.Tasks[b], turned.Tasks[a]
	}
	var one, other strings.Builder
	printTasks(&one, i, false)
	printTasks(&other, turned, false)
	if one.String() != other.String() {
		t.Errorf("%s\nturned round\n%s", one.String(), other.String())
	}
}

func TestShortText(t *testing.T) {
	for ns, want := range map[int64]string{0: "0s", 999: "999ns", 1_000: "1µs", 12_345: "12.35µs", 1_234_567: "1.23ms", 1_600_000_000: "1.6s", 61_234_000_000: "1m1.23s"} {
		if got := shortText(ns); got != want {
			t.Errorf("%d ns is %q, want %q", ns, got, want)
		}
	}
}
