package scheduler

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/planted"
)

// peer is a taskmanager incarnation as this job knows it.
type peer struct {
	tm     TaskManager
	down   Down          // 0: it has a session
	cause  string        // of down
	silent bool          // it has a session, and this job's worker there has not answered
	since  time.Duration // of down or silent
	stale  job.Generation
}

// task is one subtask of the recorded generation.
type task struct {
	id        job.TaskID
	placement *thalwegv1.Placement
	committer bool // it has transactions to confirm
	root      bool // barriers start there
	state     thalwegv1.TaskState
	report    *thalwegv1.TaskReport // the newest; nil: none yet
}

// verdict is what is to be made of the region, from the best to the worst.
type verdict uint8

const (
	whole      verdict = iota
	waiting            // a taskmanager is missing, and may still come back with its subtasks
	broken             // a subtask is not as recorded, by nobody's fault: its deploy was lost with a leader, or it was cancelled
	gone               // a taskmanager is silent or dead
	taskFailed         // a subtask failed
)

type finding struct {
	verdict     verdict
	cause       string
	task        string
	taskmanager string
}

// assess looks at every subtask and finds the worst. It is the only place that decides between adopting and restarting.
func (j *Job) assess() finding {
	var worst finding
	for _, t := range j.tasks {
		if f := j.condition(t); f.verdict > worst.verdict {
			f.task, f.taskmanager = j.display(t.id), t.placement.Taskmanager
			worst = f
		}
	}
	if worst.verdict == waiting || worst.verdict == gone {
		worst.task = "" // said of the taskmanager, not of one subtask
	}
	return worst
}

func (j *Job) condition(t *task) finding {
	if t.state == thalwegv1.TaskState_TASK_STATE_FINISHED && !planted.On("finished-is-missing") {
		return finding{} // absorbs: what it did is covered by a completed checkpoint and confirmed
	}
	inc, tm := t.placement.Incarnation, t.placement.Taskmanager
	p := j.peers[inc]
	switch {
	case p == nil:
		if j.finishedUnseen(t) {
			return finding{}
		}
		if j.replaced(t.placement) {
			return finding{verdict: gone, cause: fmt.Sprintf("taskmanager %s has been started anew", tm)}
		}
		if j.undelivered[inc] {
			return finding{verdict: broken, cause: fmt.Sprintf("taskmanager %s was lost before generation %v reached it", tm, j.rec.generation())}
		}
		if j.at.Now < j.missing {
			j.wake(j.missing)
			return finding{verdict: waiting, cause: fmt.Sprintf("waits for taskmanager %s to register", tm)}
		}
		return finding{verdict: gone, cause: fmt.Sprintf("taskmanager %s has not registered with this leader within %v", tm, j.c.Reconciliation)}
	case p.down == Missing:
		if j.finishedUnseen(t) {
			return finding{}
		}
		return finding{verdict: waiting, cause: fmt.Sprintf("taskmanager %s is missing: %s", tm, p.cause)}
	case p.down != 0:
		if j.finishedUnseen(t) {
			return finding{}
		}
		return finding{verdict: gone, cause: fmt.Sprintf("taskmanager %s is lost: %s", tm, p.cause)}
	case p.silent:
		if by := p.since + j.c.Reconciliation; j.at.Now < by {
			j.wake(by)
			return finding{verdict: waiting, cause: fmt.Sprintf("waits for the job's worker on taskmanager %s to report", tm)}
		}
		return finding{verdict: gone, cause: fmt.Sprintf("the job's worker on taskmanager %s has not reported within %v", tm, j.c.Reconciliation)}
	}
	switch t.state {
	case thalwegv1.TaskState_TASK_STATE_FAILED:
		return finding{verdict: taskFailed, cause: orElse(t.report.GetError(), "failed without a cause")}
	case thalwegv1.TaskState_TASK_STATE_CANCELING, thalwegv1.TaskState_TASK_STATE_CANCELED:
		return finding{verdict: broken, cause: "was cancelled by its taskmanager"}
	case thalwegv1.TaskState_TASK_STATE_UNSPECIFIED:
		return finding{verdict: broken, cause: fmt.Sprintf("taskmanager %s does not have it in generation %v", tm, j.rec.generation())}
	}
	return finding{}
}

// finishedUnseen: the newest checkpoint of this generation covers the subtask's end, and it had nothing to confirm, so it may
// be taken for FINISHED without its taskmanager. One with transactions may not: whether they were committed, only it knows; a
// restore commits them.
func (j *Job) finishedUnseen(t *task) bool {
	return !t.committer && j.covered(t.id) && !planted.On("finished-is-missing")
}

// covered: a completed checkpoint of the present generation has the subtask's end.
func (j *Job) covered(id job.TaskID) bool {
	p := j.rec.newest()
	if p == nil || job.GenerationOf(p.Generation) != j.rec.generation() {
		return false
	}
	_, ok := j.rec.ended[id]
	return ok
}

// replaced: another incarnation has registered under the id, so the recorded one has ended or lost its place.
func (j *Job) replaced(p *thalwegv1.Placement) bool {
	return slices.ContainsFunc(j.cluster, func(t TaskManager) bool { return t.ID == p.Taskmanager && t.Incarnation != p.Incarnation })
}

// place makes the subtasks of a recorded placement; nothing is known of them yet.
func (j *Job) place(placement []*thalwegv1.Placement) {
	vertices := map[string]*thalwegv1.Vertex{}
	incoming := map[string]bool{}
	for _, v := range j.graph().GetVertices() {
		vertices[v.Id] = v
	}
	for _, e := range j.graph().GetEdges() {
		incoming[e.To] = true
	}
	j.tasks = nil
	for _, p := range placement {
		v := vertices[p.Task.Vertex]
		j.tasks = append(j.tasks, &task{
			id: job.TaskIDOf(p.Task), placement: p, root: !incoming[p.Task.Vertex],
			committer: slices.ContainsFunc(v.GetOperators(), func(o *thalwegv1.Operator) bool { return o.Kind == "sink" }),
		})
	}
	slices.SortFunc(j.tasks, func(a, b *task) int { return a.id.Compare(b.id) })
}

func (j *Job) graph() *thalwegv1.JobGraph { return j.rec.stored.GetGraph() }

func (j *Job) task(id job.TaskID) *task {
	i, ok := slices.BinarySearchFunc(j.tasks, id, func(t *task, id job.TaskID) int { return t.id.Compare(id) })
	if !ok {
		return nil
	}
	return j.tasks[i]
}

// display is "name (2/4)", as people read it.
func (j *Job) display(id job.TaskID) string {
	for _, v := range j.graph().GetVertices() {
		if v.Id == id.Vertex {
			return fmt.Sprintf("%s (%d/%d)", cmp.Or(v.Name, v.Id), id.Subtask+1, v.Parallelism)
		}
	}
	return id.String()
}

// incarnations are those of the recorded placement, ordered.
func (j *Job) incarnations() []string {
	var out []string
	for _, t := range j.tasks {
		out = append(out, t.placement.Incarnation)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// registered are the incarnations with a session, ordered.
func (j *Job) registered() []string {
	var out []string
	for inc, p := range j.peers {
		if p.down == 0 {
			out = append(out, inc)
		}
	}
	slices.Sort(out)
	return out
}

// taskManagerUp: what is registered now is the truth about that taskmanager; what was known of its subtasks before is not.
func (j *Job) taskManagerUp(ev TaskManagerUp) {
	inc := ev.TaskManager.Incarnation
	p := j.peers[inc]
	if p == nil {
		p = &peer{}
		j.peers[inc] = p
	}
	p.tm, p.down, p.silent, p.since = ev.TaskManager, 0, ev.Silent, j.at.Now
	j.participantLost(inc, "its session began anew")
	for _, t := range j.tasks {
		if t.placement.Incarnation == inc && t.state != thalwegv1.TaskState_TASK_STATE_FINISHED {
			t.state = thalwegv1.TaskState_TASK_STATE_UNSPECIFIED
		}
	}
	j.reports(inc, ev.Tasks)
	if terminal(j.status) {
		if len(ev.Tasks) > 0 || ev.Silent {
			j.release(inc)
		}
		return
	}
	switch j.status {
	case running:
		if slices.Contains(j.incarnations(), inc) {
			j.tellPosition(inc)
		}
	case cancelling, failing:
		j.cancelOn(inc)
	}
	j.cancelStale(inc)
	j.out.Changed = true
}

// resumed begins all waiting for taskmanagers anew. A checkpoint's acknowledgements may be among what is unread.
func (j *Job) resumed() {
	if planted.On("judged-after-own-pause") {
		return
	}
	if j.status == initializing || j.status == reconciling || j.status == cancelling || j.status == failing {
		j.missing = j.at.Now + j.c.Reconciliation
	}
	for _, p := range j.peers {
		p.since = j.at.Now
	}
	if c := j.ck.cur; c != nil {
		c.deadline = max(c.deadline, j.at.Now+time.Second)
	}
}

func (j *Job) taskManagerDown(ev TaskManagerDown) {
	p := j.peers[ev.Incarnation]
	if p == nil {
		return
	}
	p.down, p.cause, p.since, p.silent = ev.Down, ev.Cause, j.at.Now, false
	j.participantLost(ev.Incarnation, ev.Cause)
	j.out.Changed = true
}

func (j *Job) fromTaskManager(ev FromTaskManager) {
	p := j.peers[ev.Incarnation]
	if p == nil || p.down != 0 {
		return
	}
	switch m := ev.Message.Message.(type) {
	case *thalwegv1.FromTaskManager_TaskState:
		j.reports(ev.Incarnation, []*thalwegv1.TaskReport{m.TaskState.Report})
	case *thalwegv1.FromTaskManager_Counters:
		for _, r := range m.Counters.Tasks {
			if r.Job == j.c.ID {
				j.reports(ev.Incarnation, []*thalwegv1.TaskReport{r})
			}
		}
	case *thalwegv1.FromTaskManager_LateReport:
		p.silent = false
		j.reports(ev.Incarnation, m.LateReport.Tasks)
		j.cancelStale(ev.Incarnation)
		if j.status == cancelling || j.status == failing {
			j.cancelOn(ev.Incarnation)
		}
	case *thalwegv1.FromTaskManager_Acknowledge:
		j.acknowledged(ev.Incarnation, m.Acknowledge)
	case *thalwegv1.FromTaskManager_Decline:
		j.declined(ev.Incarnation, m.Decline)
	case *thalwegv1.FromTaskManager_Confirmed:
		if t := j.mine(ev.Incarnation, m.Confirmed.Task, m.Confirmed.Generation); t != nil && t.report != nil {
			j.reached("confirmed")
			t.report = clone(t.report)
			t.report.Confirmed = max(t.report.Confirmed, m.Confirmed.Checkpoint)
		}
	}
}

// mine finds the subtask that a message is about, if it is of the recorded generation on the recorded taskmanager.
func (j *Job) mine(inc string, id *thalwegv1.TaskID, g *thalwegv1.Generation) *task {
	t := j.task(job.TaskIDOf(id))
	if t == nil || t.placement.Incarnation != inc || job.GenerationOf(g) != j.rec.generation() {
		return nil
	}
	return t
}

// reports takes what a taskmanager says of subtasks. Those of other generations are only noted as stale.
func (j *Job) reports(inc string, rs []*thalwegv1.TaskReport) {
	for _, r := range rs {
		g := job.GenerationOf(r.Generation)
		t := j.mine(inc, r.Task, r.Generation)
		if planted.On("mixed-generations-adopted") && t == nil {
			if x := j.task(job.TaskIDOf(r.Task)); x != nil && x.placement.Incarnation == inc {
				t = x
			}
		}
		if t == nil || r.GraphVersion != j.rec.execution.GraphVersion {
			if p := j.peers[inc]; p.stale.Less(g) && !ended(r.State) {
				p.stale = g
			}
			continue
		}
		if t.state == thalwegv1.TaskState_TASK_STATE_FINISHED {
			continue
		}
		if t.state != r.State {
			j.out.Changed = true
			if r.State == thalwegv1.TaskState_TASK_STATE_FAILED && j.status != running && j.status != reconciling {
				j.further(j.display(t.id), r.Error)
			}
		}
		if t.report != nil {
			r = clone(r)
			r.Acknowledged, r.Confirmed = max(r.Acknowledged, t.report.Acknowledged), max(r.Confirmed, t.report.Confirmed)
			if r.Counters == nil {
				r.Counters = t.report.Counters
			}
		}
		t.state, t.report = r.State, r
	}
}

// ended reports whether a task state is one that nothing follows.
func ended(s thalwegv1.TaskState) bool {
	switch s {
	case thalwegv1.TaskState_TASK_STATE_FINISHED, thalwegv1.TaskState_TASK_STATE_CANCELED, thalwegv1.TaskState_TASK_STATE_FAILED:
		return true
	}
	return false
}

// tellPosition repeats to a taskmanager what it may have missed: the newest completed checkpoint, and what is abandoned.
func (j *Job) tellPosition(inc string) {
	if p := j.rec.newest(); p != nil && job.GenerationOf(p.Generation) == j.rec.generation() {
		j.sendComplete(inc, p)
	}
	upto := j.rec.counter
	if c := j.ck.cur; c != nil && c.id != 0 {
		upto = c.id - 1
	}
	if upto > 0 {
		j.sendAbort(inc, upto)
	}
}

// cancelStale ends what still runs of generations that have been replaced: the record of that exists.
func (j *Job) cancelStale(inc string) {
	p := j.peers[inc]
	if p.stale.IsZero() || !p.stale.Less(j.rec.generation()) || j.status == reconciling || j.status == restarting {
		return
	}
	j.sendCancel(inc, p.stale)
	p.stale = job.Generation{}
}

func (j *Job) sendCancel(inc string, upto job.Generation) {
	j.send(inc, &thalwegv1.ToTaskManager{Message: &thalwegv1.ToTaskManager_Cancel{Cancel: &thalwegv1.Cancel{Job: j.c.ID, Upto: upto.Proto()}}})
}
