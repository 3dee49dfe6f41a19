package scheduler

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
)

// TestJobScripts drives one Job. The graph is that of testdata/job/README: a coordinator, two readers, two sinks.
func TestJobScripts(t *testing.T) {
	runScripts(t, "job", func() func(string, []string) string { return (&jobScript{now: time.Second, epoch: 1}).run })
}

// jobScript is a job and just enough of its surroundings to answer it by hand.
type jobScript struct {
	now      time.Duration
	epoch    uint64
	j        *Job
	graph    *thalwegv1.JobGraph
	write    *Write
	metadata *WriteMetadata
	delete   []DeleteFiles
	wake     time.Duration
	options  map[string]string
}

func testGraph(options map[string]string) *thalwegv1.JobGraph {
	p := int32(atoi(options["parallelism"], 2))
	g := &thalwegv1.JobGraph{Name: "test", Vertices: []*thalwegv1.Vertex{
		{Id: "enum", Name: "enumerate", Parallelism: 1, MaxParallelism: 1, Coordinator: true},
		{Id: "read", Name: "read", Parallelism: p, MaxParallelism: 128, Operators: []*thalwegv1.Operator{{Uid: "read", Kind: "source"}}},
		{Id: "sink", Name: "sink", Parallelism: p, MaxParallelism: 128, Operators: []*thalwegv1.Operator{{Uid: "sink", Kind: "sink"}}},
	}, Edges: []*thalwegv1.Edge{
		{Id: 0, From: "enum", To: "read", Partitioning: thalwegv1.Partitioning_PARTITIONING_COORDINATOR},
		{Id: 1, From: "read", To: "sink", Partitioning: thalwegv1.Partitioning_PARTITIONING_HASH},
	}}
	g.Checkpoints = &thalwegv1.CheckpointOptions{
		IntervalMs: int64(atoi(options["interval"], 10000)), TimeoutMs: int64(atoi(options["timeout"], 60000)),
		TolerableFailures: int32(atoi(options["tolerable"], -1)), Retained: int32(atoi(options["retained"], 1)),
		Disabled: options["checkpoints"] == "off",
	}
	g.Restart = &thalwegv1.RestartOptions{Strategy: options["strategy"], Attempts: int32(atoi(options["attempts"], 0))}
	return g
}

func atoi(s string, or int) int {
	if s == "" {
		return or
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

func generationArg(s string) *thalwegv1.Generation {
	var g thalwegv1.Generation
	if _, err := fmt.Sscanf(s, "%d.%d", &g.Epoch, &g.N); err != nil {
		panic("generation " + s)
	}
	return &g
}

func taskArg(s string) *thalwegv1.TaskID {
	v, n, _ := strings.Cut(s, "/")
	return &thalwegv1.TaskID{Vertex: v, Subtask: int32(atoi(n, 0))}
}

func keyValues(args []string) (plain []string, options map[string]string) {
	options = map[string]string{}
	for _, a := range args {
		if k, v, ok := strings.Cut(a, "="); ok {
			options[k] = v
		} else {
			plain = append(plain, a)
		}
	}
	return plain, options
}

func (s *jobScript) run(command string, args []string) string {
	plain, options := keyValues(args)
	switch command {
	case "new": // new [key=value ...]: a job within a term of epoch=
		s.options = options
		s.graph = testGraph(options)
		s.epoch = uint64(atoi(options["epoch"], 1))
		j, e := NewJob(JobConfig{ID: "job", Epoch: s.epoch, Reconciliation: 10 * time.Second}, s.at())
		s.j = j
		return s.print(e)
	case "load": // load [generation=e.n] [on=a,b] [counter=n] [pointer=id@e.n[,...]] [ended=task,...] [intent=] [result=STATUS] [restarts=] [backoff=]
		return s.step(s.load(options))
	case "load-failed":
		return s.step(LoadFailed{Error: strings.Join(plain, " ")})
	case "next-leader": // next-leader epoch=n: what this one recorded, read by the next
		l := Loaded{Graph: s.j.rec.graph, Stored: s.j.rec.stored, Execution: s.j.rec.execution, Pointers: s.j.rec.pointers,
			Counter: s.j.rec.counter, Result: s.j.rec.result, CheckpointDir: "ck"}
		for _, id := range sortedTasks(s.j.rec.ended) {
			l.Ended = append(l.Ended, SubtaskState{id, s.j.rec.ended[id]})
		}
		s.epoch = uint64(atoi(options["epoch"], 2))
		j, e := NewJob(JobConfig{ID: "job", Epoch: s.epoch, Reconciliation: 10 * time.Second}, s.at())
		s.j = j
		return s.print(e) + s.step(l)
	case "cluster": // cluster a:2 b@b2:2: registered taskmanagers and their free slots; @: another incarnation than a1
		var c Cluster
		for _, a := range plain {
			id, n, _ := strings.Cut(a, ":")
			id, inc, other := strings.Cut(id, "@")
			if !other {
				inc = id + "1"
			}
			c = append(c, TaskManager{ID: id, Incarnation: inc, DataAddress: id + ":1", Slots: atoi(n, 0), Free: atoi(n, 0)})
		}
		return s.step(ClusterChanged{c})
	case "up": // up a [task=STATE@e.n ...] [silent] [all=STATE]: all: every task placed there, in the recorded generation
		return s.step(TaskManagerUp{TaskManager: TaskManager{ID: plain[0], Incarnation: plain[0] + "1"}, Tasks: s.reports(plain[0], args[1:]),
			Silent: len(plain) > 1 && plain[1] == "silent"})
	case "down": // down a missing|silent|dead [cause]
		d := map[string]Down{"missing": Missing, "silent": Silent, "dead": Dead}[plain[1]]
		return s.step(TaskManagerDown{Incarnation: plain[0] + "1", Down: d, Cause: strings.Join(plain[2:], " ")})
	case "late": // late a task=STATE@e.n ...
		return s.fromTM(plain[0], &thalwegv1.FromTaskManager{Message: &thalwegv1.FromTaskManager_LateReport{LateReport: &thalwegv1.LateReport{
			Job: "job", Tasks: s.reports(plain[0], args[1:])}}})
	case "state": // state a task=STATE ... | all=STATE [error=...]
		var out string
		for _, r := range s.reports(plain[0], args[1:]) {
			r.Error = strings.ReplaceAll(options["error"], "_", " ")
			out += s.fromTM(plain[0], &thalwegv1.FromTaskManager{Message: &thalwegv1.FromTaskManager_TaskState{TaskState: &thalwegv1.TaskStateChanged{Report: r}}})
		}
		return out
	case "ack": // ack a [task ...] [id=n] [epoch=n] [generation=e.n] [ended=true]: without tasks, all placed there
		var out string
		tasks := plain[1:]
		if len(tasks) == 0 {
			for _, t := range s.placed(plain[0]) {
				tasks = append(tasks, t.id.String())
			}
		}
		for _, t := range tasks {
			a := &thalwegv1.Acknowledge{Job: "job", Generation: s.j.rec.execution.Generation, Checkpoint: int64(atoi(options["id"], int(s.j.rec.counter))),
				Epoch: uint64(atoi(options["epoch"], int(s.epoch))), Task: taskArg(t), State: []byte(t), Ended: options["ended"] == "true", Bytes: 10}
			if g := options["generation"]; g != "" {
				a.Generation = generationArg(g)
			}
			out += s.fromTM(plain[0], &thalwegv1.FromTaskManager{Message: &thalwegv1.FromTaskManager_Acknowledge{Acknowledge: a}})
		}
		return out
	case "decline": // decline a task [alignment] reason
		return s.fromTM(plain[0], &thalwegv1.FromTaskManager{Message: &thalwegv1.FromTaskManager_Decline{Decline: &thalwegv1.Decline{
			Job: "job", Generation: s.j.rec.execution.Generation, Checkpoint: s.j.rec.counter, Task: taskArg(plain[1]),
			Alignment: len(plain) > 2 && plain[2] == "alignment", Reason: strings.Join(plain[2:], " ")}}})
	case "written": // written applied|fenced|conflict|unknown|unsent [why]
		o := map[string]Outcome{"applied": Applied, "fenced": Fenced, "conflict": Conflict, "unknown": Unknown, "unsent": Unsent}[plain[0]]
		w := s.write
		if w == nil {
			return "no write is outstanding"
		}
		s.write = nil
		return s.step(Written{Token: w.Token, Outcome: o, Error: strings.Join(plain[1:], " ")})
	case "metadata": // metadata ok | metadata why it failed
		m := s.metadata
		if m == nil {
			return "no metadata is being written"
		}
		s.metadata = nil
		if plain[0] == "ok" {
			return s.step(MetadataWritten{Checkpoint: m.Checkpoint, Path: fmt.Sprintf("chk-%d/_metadata", m.Checkpoint), CRC: 7})
		}
		return s.step(MetadataWritten{Checkpoint: m.Checkpoint, Error: strings.Join(plain, " ")})
	case "deleted": // deleted [why it failed]
		if len(s.delete) == 0 {
			return "nothing is being deleted"
		}
		d := s.delete[0]
		s.delete = s.delete[1:]
		return s.step(FilesDeleted{Token: d.Token, Error: strings.Join(plain, " ")})
	case "cancel":
		return s.step(CancelRequested{Reply: 7, Request: "request"})
	case "checkpoint":
		return s.step(CheckpointRequested{Reply: 8})
	case "after": // after 10s: time passes; wakes on the way
		d, err := time.ParseDuration(plain[0])
		if err != nil {
			return err.Error()
		}
		var out string
		for end := s.now + d; ; {
			if s.wake == 0 || s.wake > end {
				s.now = end
				return out
			}
			s.now = max(s.now, s.wake)
			s.wake = 0
			if got := s.step(Wakeup{}); got != "" {
				out += fmt.Sprintf("at %v\n%s", s.now-time.Second, got)
			}
		}
	case "pause": // pause 30s: this process does not run
		d, err := time.ParseDuration(plain[0])
		if err != nil {
			return err.Error()
		}
		s.now += d
		return s.step(Resumed{})
	case "info":
		i := s.j.Info()
		out := fmt.Sprintf("%v generation %v restarts %d running %d/%d", name(i.Summary.Status), job.GenerationOf(i.Generation), i.Restarts, i.Summary.TasksRunning, i.Summary.TasksTotal)
		if i.WaitingFor != "" {
			out += "; " + i.WaitingFor
		}
		c := i.Checkpoints
		out += fmt.Sprintf("\ncheckpoints: %d completed, %d failed, latest %d, restored %d, in progress %d %s", c.Completed, c.Failed, c.LatestId, c.RestoredId, c.InProgress, c.LastFailure)
		for _, x := range i.Exceptions {
			out += fmt.Sprintf("\nexception: generation %v %s on %s: %s %q", job.GenerationOf(x.Generation), x.Task, x.Taskmanager, x.Message, x.Further)
		}
		return out
	}
	return "unknown command " + command
}

func (s *jobScript) load(options map[string]string) Loaded {
	stored := &thalwegv1.StoredJob{Id: "job", Graph: s.graph}
	l := Loaded{
		Graph: &thalwegv1.GraphRecord{GraphVersion: 1, SubmittedMs: 5, Digest: "d"}, Stored: stored, CheckpointDir: "ck", Counter: int64(atoi(options["counter"], 0)),
		EndedError: options["ended-error"],
	}
	if on := options["on"]; on != "" {
		var c Cluster
		for _, id := range strings.Split(on, ",") {
			c = append(c, TaskManager{ID: id, Incarnation: id + "1", Slots: 8, Free: 8})
		}
		l.Execution = &thalwegv1.Execution{GraphVersion: 1, Generation: generationArg(options["generation"]), Placement: Place(s.graph, c).Placement,
			Intent: options["intent"], Cause: options["cause"], Restarts: int32(atoi(options["restarts"], 0)), BackoffMs: int64(atoi(options["backoff"], 0)), LastFailureMs: s.at().Wall}
	}
	if p := options["pointer"]; p != "" {
		for _, x := range strings.Split(p, ",") {
			id, g, _ := strings.Cut(x, "@")
			l.Pointers = append(l.Pointers, &thalwegv1.CheckpointPointer{Id: int64(atoi(id, 0)), Generation: generationArg(g), MetadataPath: "chk-" + id + "/_metadata"})
		}
	}
	if e := options["ended"]; e != "" {
		for _, x := range strings.Split(e, ",") {
			l.Ended = append(l.Ended, SubtaskState{job.TaskIDOf(taskArg(x)), []byte("old " + x)})
		}
	}
	if r := options["result"]; r != "" {
		l.Result = &thalwegv1.JobResult{Id: "job", Name: "test", Status: thalwegv1.JobStatus(thalwegv1.JobStatus_value["JOB_STATUS_"+r]), Cleaned: options["cleaned"] == "true"}
	}
	return l
}

func (s *jobScript) placed(tm string) (ts []*task) {
	for _, t := range s.j.tasks {
		if t.placement.Incarnation == tm+"1" {
			ts = append(ts, t)
		}
	}
	return ts
}

func (s *jobScript) reports(tm string, args []string) (rs []*thalwegv1.TaskReport) {
	for _, a := range args {
		k, v, ok := strings.Cut(a, "=")
		if !ok || k == "error" {
			continue
		}
		state, g, _ := strings.Cut(v, "@")
		gen := s.j.rec.execution.GetGeneration()
		if g != "" {
			gen = generationArg(g)
		}
		r := &thalwegv1.TaskReport{Job: "job", GraphVersion: 1, Generation: gen, State: thalwegv1.TaskState(thalwegv1.TaskState_value["TASK_STATE_"+state])}
		if k == "all" {
			for _, t := range s.placed(tm) {
				c := clone(r)
				c.Task = t.id.Proto()
				rs = append(rs, c)
			}
			continue
		}
		r.Task = taskArg(k)
		rs = append(rs, r)
	}
	return rs
}

func (s *jobScript) fromTM(tm string, m *thalwegv1.FromTaskManager) string {
	return s.step(FromTaskManager{Incarnation: tm + "1", Message: m})
}

func (s *jobScript) at() Instant { return Instant{Now: s.now, Wall: s.now.Milliseconds()} }

func (s *jobScript) step(ev JobEvent) string { return s.print(s.j.Step(s.at(), ev)) }

// print writes effects, and keeps what has to be answered.
func (s *jobScript) print(e Effects) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	if e.EndTerm != "" {
		line("END OF TERM: %s", e.EndTerm)
		s.wake = 0
		return b.String()
	}
	s.wake = e.Wake
	for _, n := range e.Notices {
		line("%s: %s", n.Level, n.Text)
	}
	if e.Load {
		line("load")
	}
	if e.Write != nil {
		s.write = e.Write
		line("write %s", describeWrite(e.Write))
	}
	if m := e.Metadata; m != nil {
		s.metadata = m
		var states []string
		for _, x := range m.States {
			states = append(states, fmt.Sprintf("%s=%q", x.Task, x.State))
		}
		line("metadata %d generation %v base %d: %s", m.Checkpoint, m.Generation, m.Base, strings.Join(states, " "))
	}
	for _, d := range e.Delete {
		s.delete = append(s.delete, d)
		line("delete %s", describeDelete(d))
	}
	for _, x := range e.Send {
		line("-> %s %s", x.Incarnation, describeCommand(x.Message))
	}
	for _, r := range e.Replies {
		line("reply %d: %s checkpoint %d %s", r.ID, name(r.Status), r.Checkpoint, r.Error)
	}
	if e.Done {
		line("done")
	}
	return b.String()
}

func describeWrite(w *Write) string {
	var out string
	switch {
	case w.Counter > 0:
		out = fmt.Sprintf("counter %d", w.Counter)
	case w.Execution != nil:
		e := w.Execution
		where := map[string][]string{}
		var incs []string
		for _, p := range e.Placement {
			if where[p.Incarnation] == nil {
				incs = append(incs, p.Incarnation)
			}
			where[p.Incarnation] = append(where[p.Incarnation], job.TaskIDOf(p.Task).String())
		}
		out = fmt.Sprintf("execution %v restored %d restarts %d backoff %dms", job.GenerationOf(e.Generation), e.Restored, e.Restarts, e.BackoffMs)
		if e.Intent != "" {
			out += fmt.Sprintf(" intent %s (%s)", e.Intent, e.IntentRequest)
		}
		for _, inc := range incs {
			out += fmt.Sprintf(" %s:%v", inc, where[inc])
		}
		if e.Cause != "" {
			out += fmt.Sprintf(" %q", e.Cause)
		}
	case w.Pointer != nil:
		out = fmt.Sprintf("pointer %d generation %v %s %d bytes", w.Pointer.Id, job.GenerationOf(w.Pointer.Generation), w.Pointer.MetadataPath, w.Pointer.Size)
	case w.RemovePointer > 0:
		out = fmt.Sprintf("removal of pointer %d", w.RemovePointer)
	case w.Result != nil:
		out = fmt.Sprintf("result %s cause %q last checkpoint %d cleaned %v", name(w.Result.Status), w.Result.Cause, w.Result.LastCheckpoint, w.Result.Cleaned)
	case w.RemoveRun:
		out = "removal of the run"
	case w.RemoveGraph:
		out = "removal of the graph"
	}
	if w.Settle {
		out += " (settle)"
	}
	return out
}

func describeDelete(d DeleteFiles) string {
	var out string
	switch {
	case d.Removed != nil:
		out = fmt.Sprintf("checkpoint %d", d.Removed.Id)
	case d.Job:
		out = "all files of the job"
	default:
		out = fmt.Sprintf("leavings below %d", d.Below)
	}
	for _, p := range d.Retained {
		out += fmt.Sprintf(", keeping %d", p.Id)
	}
	return out
}

func describeCommand(m *thalwegv1.ToTaskManager) string {
	out := fmt.Sprintf("e%d ", m.Epoch)
	switch m := m.Message.(type) {
	case *thalwegv1.ToTaskManager_Deploy:
		var ts, ended []string
		for _, t := range m.Deploy.Tasks {
			ts = append(ts, job.TaskIDOf(t).String())
		}
		for _, t := range m.Deploy.Ended {
			ended = append(ended, job.TaskIDOf(t).String())
		}
		out += fmt.Sprintf("deploy %v %v restored %d %s", job.GenerationOf(m.Deploy.Generation), ts, m.Deploy.Restored, m.Deploy.MetadataPath)
		if len(ended) > 0 {
			out += fmt.Sprintf(" ended %v", ended)
		}
	case *thalwegv1.ToTaskManager_Cancel:
		out += fmt.Sprintf("cancel up to %v", job.GenerationOf(m.Cancel.Upto))
	case *thalwegv1.ToTaskManager_Trigger:
		out += fmt.Sprintf("trigger %d generation %v base %d deadline %dms final %v", m.Trigger.Checkpoint, job.GenerationOf(m.Trigger.Generation), m.Trigger.Base, m.Trigger.AlignmentDeadlineMs, m.Trigger.Final)
	case *thalwegv1.ToTaskManager_Complete:
		out += fmt.Sprintf("complete %d generation %v", m.Complete.Checkpoint, job.GenerationOf(m.Complete.Generation))
	case *thalwegv1.ToTaskManager_Abort:
		out += fmt.Sprintf("abort up to %d", m.Abort.Checkpoint)
	case *thalwegv1.ToTaskManager_Release:
		out += "release"
	case *thalwegv1.ToTaskManager_Welcome:
		out += "welcome"
		for _, p := range m.Welcome.Jobs {
			out += fmt.Sprintf(" %s(counter %d, completed %d)", p.Job, p.Counter, p.Completed)
		}
	case *thalwegv1.ToTaskManager_Refused:
		out += fmt.Sprintf("refused %v: %s", m.Refused.Code, m.Refused.Reason)
	case *thalwegv1.ToTaskManager_Ping:
		out += "ping"
	case *thalwegv1.ToTaskManager_Heartbeat:
		out += "heartbeat"
	}
	return out
}
