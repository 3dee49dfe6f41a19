package core

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/golden"
	"github.com/thalweg-io/thalweg/internal/job"
)

// TestScripts runs testdata/*.txt. A line that begins with "> " is an event with its time; what follows it, to the next one, is
// the effects. Read the files as the specification.
func TestScripts(t *testing.T) {
	golden.Scripts(t, "testdata/*.txt", func(t *testing.T, script string) string {
		c := New(Config{ID: "tm", Incarnation: "inc", Host: "h", DataAddress: "h:1", Slots: 2, OSArch: "linux/amd64",
			HeartbeatInterval: 3 * time.Second, HeartbeatTimeout: 10 * time.Second, LeaderlessTimeout: time.Hour,
			UnreachableTimeout: time.Minute, ReportTimeout: time.Second, CancelTimeout: 20 * time.Second}, 0)
		now := time.Duration(0)
		return golden.Lines(script, func(line string) string {
			f := strings.Fields(strings.TrimPrefix(line, ">"))
			at, err := time.ParseDuration(f[0])
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			var out strings.Builder
			if f[1] == "ticks" { // until the given time, regularly
				for now += c.TickInterval(); now <= at; now += c.TickInterval() {
					writeEffects(&out, fmt.Sprintf("at %v  ", now), c.Step(now, Tick{}))
				}
				now = at
				return out.String()
			}
			now = at
			writeEffects(&out, "", c.Step(now, parseEvent(t, line, f[1:])))
			return out.String()
		})
	})
}

// args reads key=value words.
func args(f []string) map[string]string {
	m := map[string]string{}
	for _, w := range f {
		k, v, _ := strings.Cut(w, "=")
		m[k] = v
	}
	return m
}

func number(s string) uint64 { n, _ := strconv.ParseUint(s, 10, 64); return n }

func generation(s string) *thalwegv1.Generation {
	e, n, _ := strings.Cut(s, ".")
	return job.Generation{Epoch: number(e), N: number(n)}.Proto()
}

func reports(jobID, gen, list string) []*thalwegv1.TaskReport {
	var rs []*thalwegv1.TaskReport
	for _, w := range strings.Split(list, ",") {
		if w == "" {
			continue
		}
		task, state, _ := strings.Cut(w, ":")
		vertex, subtask, _ := strings.Cut(task, "/")
		rs = append(rs, &thalwegv1.TaskReport{Job: jobID, GraphVersion: 1, Generation: generation(gen),
			Task:  job.TaskID{Vertex: vertex, Subtask: int(number(subtask))}.Proto(),
			State: thalwegv1.TaskState(thalwegv1.TaskState_value["TASK_STATE_"+state])})
	}
	return rs
}

func parseEvent(t *testing.T, line string, f []string) Event {
	t.Helper()
	a := args(f[1:])
	command := func(m *thalwegv1.ToTaskManager) Event {
		m.Epoch = number(a["epoch"])
		return Command{Request: number(a["request"]), Message: m}
	}
	switch f[0] {
	case "leader":
		return LeaderChanged{Leader{Epoch: number(a["epoch"]), Incarnation: a["by"], Address: a["by"] + ":1"}}
	case "welcome":
		return SessionWelcomed{Request: number(a["request"]), Welcome: &thalwegv1.Welcome{ClusterIncarnation: "c",
			Jobs: []*thalwegv1.JobPosition{{Job: "j", Counter: int64(number(a["counter"])), Completed: int64(number(a["completed"]))}}}}
	case "ended":
		ev := SessionEnded{Request: number(a["request"]), Cause: a["cause"]}
		if a["refused"] != "" {
			ev.Refused = &thalwegv1.Refused{Code: thalwegv1.Refused_Code(thalwegv1.Refused_Code_value["CODE_"+a["refused"]]), Reason: "because"}
		}
		return ev
	case "deploy":
		d := &thalwegv1.Deploy{Job: "j", GraphVersion: 1, Generation: generation(a["gen"])}
		for _, r := range reports("j", a["gen"], a["tasks"]) {
			d.Tasks = append(d.Tasks, r.Task)
		}
		return command(&thalwegv1.ToTaskManager{Message: &thalwegv1.ToTaskManager_Deploy{Deploy: d}})
	case "cancel":
		return command(&thalwegv1.ToTaskManager{Message: &thalwegv1.ToTaskManager_Cancel{Cancel: &thalwegv1.Cancel{Job: "j", Upto: generation(a["gen"])}}})
	case "trigger":
		return command(&thalwegv1.ToTaskManager{Message: &thalwegv1.ToTaskManager_Trigger{Trigger: &thalwegv1.Trigger{Job: "j", Generation: generation(a["gen"]), Checkpoint: int64(number(a["id"]))}}})
	case "release":
		return command(&thalwegv1.ToTaskManager{Message: &thalwegv1.ToTaskManager_Release{Release: &thalwegv1.Release{Job: "j"}}})
	case "heartbeat":
		return command(&thalwegv1.ToTaskManager{Message: &thalwegv1.ToTaskManager_Heartbeat{Heartbeat: &thalwegv1.Heartbeat{}}})
	case "started":
		return WorkerStarted{Job: "j"}
	case "exited":
		return WorkerExited{Job: "j", Cause: a["cause"]}
	case "report":
		return FromWorker{Job: "j", Message: &thalwegv1.FromWorker{Message: &thalwegv1.FromWorker_Report{Report: &thalwegv1.WorkerReport{
			Request: number(a["request"]), Tasks: reports("j", a["gen"], a["tasks"])}}}}
	case "state":
		return FromWorker{Job: "j", Message: &thalwegv1.FromWorker{Message: &thalwegv1.FromWorker_TaskState{TaskState: &thalwegv1.TaskStateChanged{
			Report: reports("j", a["gen"], a["task"])[0]}}}}
	case "ack":
		return FromWorker{Job: "j", Message: &thalwegv1.FromWorker{Message: &thalwegv1.FromWorker_Acknowledge{Acknowledge: &thalwegv1.Acknowledge{
			Job: "j", Generation: generation(a["gen"]), Checkpoint: int64(number(a["id"])), Task: reports("j", a["gen"], a["task"]+":RUNNING")[0].Task}}}}
	case "counters": // counters gen= tasks= in=<records> busy=<ns> limit=<bytes of memory>
		rs := reports("j", a["gen"], a["tasks"])
		for _, r := range rs {
			r.Counters = &thalwegv1.TaskCounters{RecordsIn: int64(number(a["in"])), BusyNs: int64(number(a["busy"]))}
		}
		return FromWorker{Job: "j", Message: &thalwegv1.FromWorker{Message: &thalwegv1.FromWorker_Counters{Counters: &thalwegv1.Counters{
			Tasks: rs, Memory: &thalwegv1.WorkerMemory{Limit: int64(number(a["limit"]))}}}}}
	case "beat":
		return FromWorker{Job: "j", Message: &thalwegv1.FromWorker{Message: &thalwegv1.FromWorker_Heartbeat{Heartbeat: &thalwegv1.Heartbeat{}}}}
	case "tick":
		return Tick{}
	case "stop":
		return Stop{}
	}
	t.Fatalf("unknown event: %s", line)
	return nil
}

func writeEffects(out *strings.Builder, when string, es []Effect) {
	for _, e := range es {
		out.WriteString(when)
		switch e := e.(type) {
		case OpenSession:
			fmt.Fprintf(out, "open session %d with %s (epoch %d): %s\n", e.Request, e.Leader.Address, e.Leader.Epoch, text(e.Register))
		case CloseSession:
			fmt.Fprintf(out, "close session: %s\n", text(e.Goodbye))
		case ToLeader:
			fmt.Fprintf(out, "to leader: %s\n", text(e.Message))
		case ToWorker:
			fmt.Fprintf(out, "to worker %s: %s\n", e.Job, text(e.Message))
		case StartWorker:
			fmt.Fprintf(out, "start worker %s\n", e.Job)
		case KillWorker:
			fmt.Fprintf(out, "kill worker %s: %s\n", e.Job, e.Why)
		case ForgetJob:
			fmt.Fprintf(out, "forget job %s\n", e.Job)
		case Log:
			fmt.Fprintf(out, "%s: %s\n", e.Level, e.Text)
		}
	}
}

// text is prototext on one line with single spaces: the library varies its spaces on purpose.
func text(m proto.Message) string {
	return strings.Join(strings.Fields(prototext.MarshalOptions{}.Format(m)), " ")
}
