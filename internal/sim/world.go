package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/ha/zkmodel"
	"github.com/thalweg-io/thalweg/internal/ha/zookeeper"
	"github.com/thalweg-io/thalweg/internal/job"
)

// The job, in three slots:
//
//	source0 --\   /-- count/0 --\   /-- sink/0
//	           \ /               \ /
//	           / \               / \
//	source1 --/   \-- count/1 --/   \-- sink/1
//
// A record's key is its offset modulo 4: count is chosen by the key's parity, sink by its half.
const (
	sources  = 2
	counts   = 2
	sinks    = 2
	subtasks = sources + counts + sinks

	endless = 1 << 19 // more records than a run has time for
)

func sourceTask(i int32) job.TaskID { return job.TaskID{Vertex: fmt.Sprintf("source%d", i)} }
func countTask(key int32) job.TaskID {
	return job.TaskID{Vertex: "count", Subtask: int(key) % counts}
}
func sinkTask(i int) job.TaskID { return job.TaskID{Vertex: "sink", Subtask: i} }

func sourceOf(id job.TaskID) int32 { return int32(id.Vertex[len("source")] - '0') }

func upstream(id job.TaskID) []job.TaskID {
	switch id.Vertex {
	case "count":
		return []job.TaskID{sourceTask(0), sourceTask(1)}
	case "sink":
		return []job.TaskID{{Vertex: "count"}, {Vertex: "count", Subtask: 1}}
	}
	return nil
}

func downstream(id job.TaskID) []job.TaskID {
	switch id.Vertex {
	case "count":
		return []job.TaskID{sinkTask(0), sinkTask(1)}
	case "sink":
		return nil
	}
	return []job.TaskID{{Vertex: "count"}, {Vertex: "count", Subtask: 1}}
}

func graph(o *options) *thalwegv1.JobGraph {
	vertex := func(id string, parallelism int32, group, kind string) *thalwegv1.Vertex {
		return &thalwegv1.Vertex{Id: id, Name: id, Parallelism: parallelism, MaxParallelism: 4, SlotGroup: group, Operators: []*thalwegv1.Operator{{Uid: id, Kind: kind}}}
	}
	return &thalwegv1.JobGraph{
		Name:     "sim",
		Vertices: []*thalwegv1.Vertex{vertex("source0", 1, "", "source"), vertex("source1", 1, "apart", "source"), vertex("count", counts, "", "process"), vertex("sink", sinks, "", "sink")},
		Edges: []*thalwegv1.Edge{
			{Id: 0, From: "source0", To: "count"}, {Id: 1, From: "source1", To: "count"}, {Id: 2, From: "count", To: "sink"},
		},
		Checkpoints: &thalwegv1.CheckpointOptions{IntervalMs: o.interval.Milliseconds(), TimeoutMs: o.expiry.Milliseconds(), AlignedTimeoutMs: 1000, Retained: int32(o.retained)},
		Restart:     &thalwegv1.RestartOptions{Strategy: "exponential-delay", InitialMs: 500, MaxMs: 4000, Multiplier: 2, ResetAfterMs: 60000},
	}
}

// options are what a seed draws: sizes, speeds, and which kinds of faults there are. Each run has a few kinds, so that each
// kind is also seen without the noise of the others.
type options struct {
	mode           Mode
	jms, tms       int
	slots          int
	session        time.Duration
	heartbeat      time.Duration
	timeout        time.Duration
	reconciliation time.Duration
	leaderless     time.Duration
	unreachable    time.Duration
	interval       time.Duration
	expiry         time.Duration // of a checkpoint
	retained       int
	records        int // of the first source
	fewer          int // the second has so many fewer
	pace           time.Duration
	work           time.Duration
	tolerant       bool
	slow           bool
	atWrites       int // of 1000 writes have a fault at their worst moment
	badWrites      int // of 1000 operations on storage fail
	killAtPoints   int // of 1000 points
	kinds          []string
	mean           time.Duration // between two faults
	faultsUntil    time.Duration
	horizon        time.Duration
	stored         *thalwegv1.StoredJob
}

func (o options) String() string {
	n := fmt.Sprint(o.records)
	if o.records == endless {
		n = "endless"
	}
	return fmt.Sprintf("%d jobmanagers, %d taskmanagers with %d slots, session %v, heartbeat %v/%v, leaderless %v/%v, checkpoints every %v within %v, %s records each %v, faults %s each %v until %v, %d/1000 writes struck, %d/1000 points, %d/1000 bad file operations, slow %v, tolerant %v",
		o.jms, o.tms, o.slots, o.session, o.heartbeat, o.timeout, o.leaderless, o.unreachable, o.interval, o.expiry, n, o.pace, strings.Join(o.kinds, ","), o.mean, o.faultsUntil, o.atWrites, o.killAtPoints, o.badWrites, o.slow, o.tolerant)
}

func (s *Sim) draw(mode Mode) options {
	pick := func(ds ...time.Duration) time.Duration { return ds[s.rng.IntN(len(ds))] }
	o := options{
		mode: mode, jms: 2 + s.rng.IntN(2), tms: 2 + s.rng.IntN(2), slots: 1 + s.rng.IntN(3),
		session: pick(4*time.Second, 10*time.Second), heartbeat: pick(time.Second, 3*time.Second),
		reconciliation: pick(3*time.Second, 10*time.Second), leaderless: time.Hour, unreachable: time.Minute,
		interval: pick(300*time.Millisecond, time.Second, 3*time.Second), retained: 1 + s.rng.IntN(2), expiry: pick(700*time.Millisecond, 3*time.Second, 15*time.Second),
		pace: pick(5*time.Millisecond, 20*time.Millisecond, 60*time.Millisecond), work: pick(200*time.Microsecond, 3*time.Millisecond),
		tolerant: s.chance(75), slow: s.chance(20), records: endless,
		mean: pick(700*time.Millisecond, 2*time.Second, 6*time.Second), faultsUntil: 25 * time.Second, horizon: 40 * time.Second,
	}
	if o.slots == 1 { // every slot is needed, so the job is spread; sometimes one is to spare
		o.tms = 3 + s.rng.IntN(2)
	}
	o.timeout = o.heartbeat * 10 / 3
	if s.chance(60) {
		o.records = 1 + s.rng.IntN(400)
		if s.chance(50) {
			o.fewer = s.rng.IntN(o.records)
		}
	}
	for _, k := range faultKinds {
		if s.chance(25) {
			o.kinds = append(o.kinds, k.name)
		}
	}
	if s.chance(35) {
		o.atWrites = 5 + s.rng.IntN(60)
	}
	if s.chance(20) {
		o.badWrites = 5 + s.rng.IntN(40)
	}
	if s.chance(30) {
		o.killAtPoints = 5 + s.rng.IntN(60)
	}
	if mode == Liveness {
		o.faultsUntil, o.horizon = 12*time.Second, 12*time.Second+3*time.Minute
	}
	if s.chance(25) { // short enough that a run without a leader sees it
		o.leaderless, o.unreachable = pick(3*time.Second, 8*time.Second), pick(2*time.Second, 5*time.Second)
	}
	o.stored = &thalwegv1.StoredJob{Id: "job", Graph: graph(&o)}
	return o
}

// build makes the world of a run and starts it.
func (s *Sim) build() {
	s.truth = newTruth(s)
	s.storage = &storage{s: s, files: map[string]any{}}
	s.ext = &external{s: s, txns: map[txnID]*txn{}, committed: map[int32]txnID{}, last: map[seqKey]int32{}}
	s.log("seed's options: %v", s.o)
	s.prepare()
	s.zkClock()
	for i := range s.o.jms {
		jm := &jobmanager{s: s, p: &proc{name: fmt.Sprintf("jm%d", i), host: i}}
		s.jms = append(s.jms, jm)
		s.after(s.between(0, 200*time.Millisecond), nil, jm.start)
	}
	for i := range s.o.tms {
		tm := &taskmanager{s: s, id: fmt.Sprintf("tm%d", i), slots: s.o.slots, p: &proc{name: fmt.Sprintf("tm%d", i), host: 10 + i}}
		tm.p.died = tm.died
		s.tms = append(s.tms, tm)
		s.after(s.between(0, 200*time.Millisecond), nil, tm.start)
	}
	s.scheduleFaults()
}

// prepare makes the records of a submitted job.
func (s *Sim) prepare() {
	var session int64
	for _, e := range s.zk.Step(0, zkmodel.Open{Client: -1, Session: 0, Timeout: time.Hour}) {
		if o, ok := e.(zkmodel.Opened); ok {
			session = o.Session
		}
	}
	for _, path := range []string{"/thalweg", base, base + "/jobs", base + "/jobs/job", key("graph"), key("execution"), key("checkpoint_id_counter"), key("result"), key("checkpoints")} {
		s.zk.Step(0, zkmodel.Ask{Session: session, Request: zookeeper.Request{Kind: zookeeper.Create, Path: path}})
	}
	s.zk.Step(0, zkmodel.End{Session: session})
}

// taskmanager finds a living taskmanager by incarnation.
func (s *Sim) taskmanager(incarnation string) *taskmanager {
	for _, tm := range s.tms {
		if tm.inc == incarnation && tm.p.alive {
			return tm
		}
	}
	return nil
}

// deleteLatch is what a contender does that takes its living predecessor for dead.
func (s *Sim) deleteLatch(latch string) {
	for _, e := range s.zk.Step(s.now, zkmodel.Open{Client: -1, Server: s.rng.IntN(3), Timeout: time.Second}) {
		if o, ok := e.(zkmodel.Opened); ok {
			s.zkStep(zkmodel.Ask{Session: o.Session, Request: zookeeper.Request{Kind: zookeeper.Delete, Path: base + "/leader/latch/" + latch, Version: -1}})
			s.zkStep(zkmodel.End{Session: o.Session})
		}
	}
}

// recordsOf is how many records a source has.
func (s *Sim) recordsOf(source int32) int32 {
	if source == 1 {
		return int32(s.o.records - s.o.fewer)
	}
	return int32(s.o.records)
}

// procs are all processes that live.
func (s *Sim) procs() []*proc {
	var ps []*proc
	for _, jm := range s.jms {
		ps = append(ps, jm.p)
	}
	for _, tm := range s.tms {
		ps = append(ps, tm.p)
		if tm.worker != nil {
			ps = append(ps, tm.worker.p)
		}
	}
	return slices.DeleteFunc(ps, func(p *proc) bool { return !p.alive })
}

// writing reports whether any task could still write a file.
func (s *Sim) writing() bool {
	for _, tm := range s.tms {
		if tm.worker != nil {
			return true
		}
	}
	return false
}

// finalCheck is what must hold at the end of a run.
func (s *Sim) finalCheck() {
	t := &s.truth
	if s.o.mode == Safety {
		return
	}
	switch {
	case t.result != nil && t.result.Status == thalwegv1.JobStatus_JOB_STATUS_FINISHED && t.cleaned:
		t.output("FINISHED")
	case t.result != nil && t.cleaned:
	case s.o.records == endless && t.completions-int(t.calmSince) >= 5:
	default:
		s.fail("V1: %v after the last fault: %d checkpoints have completed since, the job is %s; newest generation %v", s.now-s.o.faultsUntil,
			t.completions-int(t.calmSince), s.state(), job.GenerationOf(t.exec.GetGeneration()))
	}
}

// state is what the present leader says of the job.
func (s *Sim) state() string {
	for _, jm := range s.jms {
		if jm.p.alive && jm.term != nil && !jm.term.over {
			if j := jm.term.core.Job("job"); j != nil {
				i := j.Info()
				return fmt.Sprintf("%v (epoch %d; %s)", i.Summary.Status, jm.term.grant.Epoch, i.WaitingFor)
			}
		}
	}
	what := "without a leader"
	for _, jm := range s.jms {
		if jm.zk != nil {
			what += fmt.Sprintf("; %s alive %v, session %d, connected %v, trying %v, asking %d", jm.p.name, jm.p.alive, jm.zk.session, jm.zk.up, jm.zk.trying, len(jm.zk.waiting))
		}
	}
	return what
}
