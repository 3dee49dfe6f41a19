package sim

import (
	"encoding/json"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/ha/zookeeper"
	"github.com/thalweg-io/thalweg/internal/job"
)

// truth is what an onlooker sees who is told of every effective write, commit, deploy and deletion at its instant. The
// invariants are checked here, and nothing of it is visible to the cores.
type truth struct {
	s *Sim

	epoch    uint64
	grantee  string
	exec     *thalwegv1.Execution
	counter  int64
	pointers map[int64]*thalwegv1.CheckpointPointer
	newest   int64
	ever     map[int64]job.Generation // every pointer that ever was
	result   *thalwegv1.JobResult
	cleaned  bool
	recorded map[job.Generation]bool
	snaps    map[string]*snapshot // every durable one, by path

	told        int64 // the highest checkpoint whose completion a sink acted on
	hurt        string
	started     map[job.Generation]map[job.TaskID]bool // accepted by its taskmanager
	cancel      bool                                   // a client asked
	completions int
	leaderless  int // how often tasks were cancelled because no leader was there
	adoptions   int
	generations int
	calmSince   int64 // completions when the faults stopped
}

func newTruth(s *Sim) truth {
	return truth{s: s, pointers: map[int64]*thalwegv1.CheckpointPointer{}, ever: map[int64]job.Generation{}, recorded: map[job.Generation]bool{},
		snaps: map[string]*snapshot{}, started: map[job.Generation]map[job.TaskID]bool{}}
}

// over: there is nothing more to see.
func (t *truth) over() bool {
	if t.s.o.mode == Safety {
		return t.result != nil && t.cleaned
	}
	return t.s.healed && (t.result != nil && t.cleaned || t.completions-int(t.calmSince) >= 5 && t.result == nil && t.s.o.records == endless)
}

// wrote looks at one effective write.
func (t *truth) wrote(by *term, r zookeeper.Request) {
	ops := r.Ops
	if r.Kind != zookeeper.Multi {
		ops = []zookeeper.Request{r}
	}
	for _, op := range ops {
		path, mine := strings.CutPrefix(op.Path, base+"/")
		if !mine {
			continue
		}
		switch {
		case path == "leader/epoch" && op.Kind == zookeeper.Set:
			t.granted(op)
		case strings.HasPrefix(path, "jobs/job/") && op.Kind != zookeeper.Check:
			if by != nil && by.grant != nil && uint64(by.grant.Epoch) != t.epoch {
				t.s.fail("L2: a write of epoch %d took effect under epoch %d: %s", by.grant.Epoch, t.epoch, path)
			}
			t.record(by, strings.TrimPrefix(path, "jobs/job/"), op)
		}
	}
}

func (t *truth) granted(op zookeeper.Request) {
	var n struct {
		Epoch       uint64 `json:"epoch"`
		Incarnation string `json:"incarnation"`
	}
	if err := json.Unmarshal(op.Data, &n); err != nil {
		t.s.fail("L1: the epoch node is not readable: %v", err)
	}
	if n.Epoch <= t.epoch {
		t.s.fail("L1: epoch %d is granted after %d", n.Epoch, t.epoch)
	}
	t.epoch, t.grantee = n.Epoch, n.Incarnation
	t.s.log("epoch %d is granted to %s", n.Epoch, n.Incarnation)
}

func (t *truth) record(by *term, path string, op zookeeper.Request) {
	switch {
	case path == "execution" && op.Kind == zookeeper.Set && len(op.Data) > 0:
		e := new(thalwegv1.Execution)
		must(proto.Unmarshal(op.Data, e))
		t.execution(by, e)
	case path == "checkpoint_id_counter" && op.Kind == zookeeper.Set && len(op.Data) > 0:
		n, _ := strconv.ParseInt(string(op.Data), 10, 64)
		if n < t.counter {
			t.s.fail("C3: the checkpoint counter goes from %d to %d", t.counter, n)
		}
		t.counter = n
	case strings.HasPrefix(path, "checkpoints/") && op.Kind == zookeeper.Create:
		p := new(thalwegv1.CheckpointPointer)
		must(proto.Unmarshal(op.Data, p))
		t.pointer(p)
	case strings.HasPrefix(path, "checkpoints/") && op.Kind == zookeeper.Delete:
		id, _ := strconv.ParseInt(strings.TrimLeft(strings.TrimPrefix(path, "checkpoints/"), "0"), 10, 64)
		if id == t.newest && t.result == nil {
			t.s.fail("C6: the newest pointer %d is removed", id)
		}
		delete(t.pointers, id)
		t.s.log("pointer %d is removed", id)
	case path == "result" && op.Kind == zookeeper.Set && len(op.Data) > 0:
		r := new(thalwegv1.JobResult)
		must(proto.Unmarshal(op.Data, r))
		t.ended(r)
	}
}

func (t *truth) execution(by *term, e *thalwegv1.Execution) {
	g := job.GenerationOf(e.Generation)
	old := job.GenerationOf(t.exec.GetGeneration())
	if t.result != nil {
		t.s.fail("X8: generation %v is recorded although the job has a result", g)
	}
	if g.Less(old) {
		t.s.fail("X1: generation %v is recorded after %v", g, old)
	}
	if g != old && !g.IsZero() {
		if e.Restored < t.told {
			t.s.fail("C4: generation %v restores checkpoint %d, sinks were told that %d completed", g, e.Restored, t.told)
		}
		if e.Restored != t.newest {
			t.s.fail("C4: generation %v restores checkpoint %d, the newest pointer is %d", g, e.Restored, t.newest)
		}
		if !old.IsZero() && t.hurt == "" && t.complete(old) {
			t.s.fail("L7: generation %v replaces %v, and nothing but leaders and sessions had a fault: %s", g, old, e.Cause)
		}
		t.generations++
		t.s.log("generation %v is recorded, from %d: %s", g, e.Restored, e.Cause)
	}
	t.exec = e
	t.recorded[g] = true
}

// complete: every subtask of the generation was deployed, so nobody can have lost it by a change of leader.
func (t *truth) complete(g job.Generation) bool { return len(t.started[g]) == subtasks }

func (t *truth) pointer(p *thalwegv1.CheckpointPointer) {
	g := job.GenerationOf(p.Generation)
	now := job.GenerationOf(t.exec.GetGeneration())
	if g != now {
		t.s.fail("C1: the pointer of checkpoint %d of generation %v is set while %v is recorded", p.Id, g, now)
	}
	if p.Id <= t.newest {
		t.s.fail("C3: the pointer of checkpoint %d is set after that of %d", p.Id, t.newest)
	}
	if p.Id > t.counter {
		t.s.fail("C3: the pointer of checkpoint %d is set, the counter is at %d", p.Id, t.counter)
	}
	t.pointers[p.Id], t.newest, t.ever[p.Id] = p, p.Id, g
	t.completions++
	t.s.log("pointer %d of generation %v is set", p.Id, g)
	t.cut(p)
}

// cut checks that a completed checkpoint is whole, durable and a consistent cut.
func (t *truth) cut(p *thalwegv1.CheckpointPointer) {
	m, _ := t.s.storage.files[metadataPath(p.Id)].(*metadata)
	if m == nil {
		t.s.fail("C1: the pointer of checkpoint %d is set, its metadata is not durable", p.Id)
		return
	}
	byTask := map[job.TaskID]*snapshot{}
	for _, e := range m.entries {
		x, _ := t.s.storage.files[e.path].(*snapshot)
		if x == nil {
			t.s.fail("C1: checkpoint %d names %s of %v, which is not durable", p.Id, e.path, e.task)
			return
		}
		if x.task != e.task || x.generation != job.GenerationOf(p.Generation) || x.checkpoint != p.Id && !x.ended {
			t.s.fail("C1: checkpoint %d of generation %v names a snapshot of %v in checkpoint %d of %v", p.Id, job.GenerationOf(p.Generation), x.task, x.checkpoint, x.generation)
		}
		byTask[e.task] = x
	}
	if len(byTask) != subtasks {
		t.s.fail("C1: checkpoint %d has %d of %d subtasks", p.Id, len(byTask), subtasks)
		return
	}
	// Every record before a source's position is in the keyed state, and none after it.
	for src := range int32(sources) {
		pos := byTask[sourceTask(src)].position
		for k := range int32(keys) {
			want := (pos + keys - 1 - k) / keys
			if have := byTask[countTask(k)].counts[src][k]; have != want {
				t.s.fail("C2: checkpoint %d: source %d is at %d, so key %d has %d records; the state has %d", p.Id, src, pos, k, want, have)
			}
		}
	}
	// And each of them is committed or in a transaction that the state names.
	covered := map[int32]bool{}
	for i := range sinks {
		for _, id := range byTask[sinkTask(i)].pending {
			x := t.s.ext.txns[id]
			if x == nil || x.state == discarded {
				t.s.fail("E3: checkpoint %d names transaction %v, which is gone", p.Id, id)
				continue
			}
			for _, r := range x.records {
				covered[r] = true
			}
		}
	}
	for src := range int32(sources) {
		for off := range byTask[sourceTask(src)].position {
			r := recordID(src, off)
			if _, ok := t.s.ext.committed[r]; !ok && !covered[r] {
				t.s.fail("E2: checkpoint %d contains record %d of source %d, which is neither committed nor in a transaction that it names", p.Id, off, src)
				return
			}
		}
	}
}

func (t *truth) ended(r *thalwegv1.JobResult) {
	if t.result != nil && t.result.Status != r.Status {
		t.s.fail("X5: the result goes from %v to %v", t.result.Status, r.Status)
	}
	if t.result == nil {
		t.s.log("the job is %v", r.Status)
		switch r.Status {
		case thalwegv1.JobStatus_JOB_STATUS_FINISHED:
			t.output("FINISHED")
		case thalwegv1.JobStatus_JOB_STATUS_CANCELED:
			if !t.cancel {
				t.s.fail("X5: the job is CANCELED and nobody asked for it")
			}
		default:
			t.s.fail("X5: the job is %v: %s", r.Status, r.Cause)
		}
	}
	t.result = r
	t.cleaned = r.Cleaned
	if r.Cleaned && (len(t.pointers) > 0 || len(t.s.storage.files) > 0 && !t.s.writing()) {
		// Zombies may still write; what counts is that nothing is named any more.
		if len(t.pointers) > 0 {
			t.s.fail("R1: the job is cleaned up and %d pointers are left", len(t.pointers))
		}
	}
}

// output: everything is committed.
func (t *truth) output(when string) {
	for src := range int32(sources) {
		for off := range t.s.recordsOf(src) {
			if _, ok := t.s.ext.committed[recordID(src, off)]; !ok {
				t.s.fail("E2: the job is %s and record %d of source %d is not committed", when, off, src)
				return
			}
		}
	}
}

// committing: a sink commits what a checkpoint prepared; that or a later one must be complete.
func (t *truth) committing(id txnID) {
	if id.checkpoint > t.newest && t.result == nil || id.checkpoint > t.highest() {
		t.s.fail("E3: transaction %v is committed, the newest completed checkpoint is %d", id, t.newest)
	}
	if !t.recorded[id.generation] {
		t.s.fail("X1: transaction %v is of a generation that was never recorded", id)
	}
}

func (t *truth) highest() (h int64) {
	for id := range t.ever {
		h = max(h, id)
	}
	return h
}

// completed: a sink is told that a checkpoint has completed, and acts on it.
func (t *truth) completedTold(id int64, g job.Generation) {
	if t.ever[id] != g {
		t.s.fail("E3: a sink is told that checkpoint %d of generation %v has completed; there is no such pointer", id, g)
	}
	t.told = max(t.told, id)
}

// deployed: a worker starts a subtask.
func (t *truth) deployed(id job.TaskID, g job.Generation) {
	if !t.recorded[g] {
		t.s.fail("L8: %v is deployed in generation %v, which is not recorded", id, g)
	}
}

// accepted: a taskmanager has taken a deploy, and will see to it.
func (t *truth) accepted(d *thalwegv1.Deploy) {
	g := job.GenerationOf(d.Generation)
	if t.started[g] == nil {
		t.started[g] = map[job.TaskID]bool{}
	}
	for _, id := range d.Tasks {
		t.started[g][job.TaskIDOf(id)] = true
	}
}

// cancelled: a worker ends a living subtask because the leader says so.
func (t *truth) cancelled(id job.TaskID, g job.Generation) {
	if g == job.GenerationOf(t.exec.GetGeneration()) && t.exec.Intent == "" && t.result == nil {
		t.s.fail("L8: %v of the recorded generation %v is cancelled, and neither a successor nor an intent is recorded", id, g)
	}
}

// deleted: a file goes.
func (t *truth) deleted(path string) {
	if t.result != nil {
		return
	}
	for id := range t.pointers {
		for _, p := range t.s.storage.reach(id) {
			if p == path {
				t.s.fail("C6: %s is deleted, checkpoint %d is retained and reaches it", path, id)
			}
		}
	}
}

// woundTM notes a fault of a taskmanager or its worker, unless all it still has is finished.
func (t *truth) woundTM(tm *taskmanager, why string) {
	if tm.finished() {
		return
	}
	if t.exec == nil || !t.uses(tm.inc) {
		return
	}
	t.wound(why)
}

// adopted: a leader takes over a generation as it runs.
func (t *truth) adopted(e *thalwegv1.Execution) {
	t.adoptions++
	g := job.GenerationOf(e.Generation)
	for _, p := range e.Placement {
		if id := job.TaskIDOf(p.Task); !t.started[g][id] {
			t.s.fail("X7: generation %v is adopted, and %v was never deployed in it", g, id)
		}
	}
}

// uses reports whether the recorded generation has subtasks on a taskmanager.
func (t *truth) uses(incarnation string) bool {
	for _, p := range t.exec.Placement {
		if p.Incarnation == incarnation {
			return true
		}
	}
	return false
}

// wound notes a fault after which a new generation is nobody's mistake.
func (t *truth) wound(why string) {
	if t.hurt == "" {
		t.hurt = why
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
