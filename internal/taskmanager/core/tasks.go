package core

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
)

// command is a message of the leader. One of an epoch below the highest seen is refused, whoever sent it.
func (c *Core) command(ev Command) {
	m := ev.Message
	if ev.Request != c.request || c.phase != open {
		return // of a session given up meanwhile
	}
	if m.Epoch < c.epoch {
		c.emit(Log{Level: "warn", Text: fmt.Sprintf("refused a command of epoch %d: epoch %d has been seen", m.Epoch, c.epoch)})
		return
	}
	c.epoch = m.Epoch
	c.heard = c.now
	switch m := m.Message.(type) {
	case *thalwegv1.ToTaskManager_Deploy:
		c.deploy(m.Deploy)
	case *thalwegv1.ToTaskManager_Cancel:
		if j := c.jobs[m.Cancel.Job]; j != nil {
			c.cancelTasks(j, job.GenerationOf(m.Cancel.Upto))
		}
	case *thalwegv1.ToTaskManager_Trigger:
		c.pass(m.Trigger.Job, &thalwegv1.ToWorker{Message: &thalwegv1.ToWorker_Trigger{Trigger: m.Trigger}})
	case *thalwegv1.ToTaskManager_Complete:
		c.pass(m.Complete.Job, &thalwegv1.ToWorker{Message: &thalwegv1.ToWorker_Complete{Complete: m.Complete}})
	case *thalwegv1.ToTaskManager_Abort:
		c.pass(m.Abort.Job, &thalwegv1.ToWorker{Message: &thalwegv1.ToWorker_Abort{Abort: m.Abort}})
	case *thalwegv1.ToTaskManager_Release:
		if j := c.jobs[m.Release.Job]; j != nil {
			c.emit(ForgetJob{j.id})
			delete(c.jobs, j.id)
			c.registerIfAnswered()
		}
	case *thalwegv1.ToTaskManager_Ping:
		c.sequence++
		c.toLeader(&thalwegv1.FromTaskManager{Message: &thalwegv1.FromTaskManager_Heartbeat{Heartbeat: &thalwegv1.Heartbeat{Sequence: c.sequence}}})
	}
}

// pass hands a command on to a job's worker under the leader's epoch.
func (c *Core) pass(id string, m *thalwegv1.ToWorker) {
	if j := c.jobs[id]; j != nil && j.running {
		m.Epoch = c.epoch
		c.toWorker(j, m)
	}
}

func (c *Core) toWorker(j *jobState, m *thalwegv1.ToWorker) { c.emit(ToWorker{j.id, m}) }

func (c *Core) deploy(d *thalwegv1.Deploy) {
	g := job.GenerationOf(d.Generation)
	j := c.jobs[d.Job]
	if j == nil {
		j = &jobState{id: d.Job, tasks: map[job.TaskID]*thalwegv1.TaskReport{}}
		c.jobs[d.Job] = j
	}
	if g.Compare(j.generation) <= 0 {
		c.emit(Log{Level: "warn", Job: j.id, Text: fmt.Sprintf("refused to deploy generation %v: %v has been seen", g, j.generation)})
		return
	}
	if j.running && c.alive(j) {
		j.endBy = c.now + c.c.CancelTimeout // the worker ends what is below g before it starts g
	}
	j.generation = g
	clear(j.tasks)
	for _, t := range d.Tasks {
		j.tasks[job.TaskIDOf(t)] = &thalwegv1.TaskReport{
			Job: j.id, GraphVersion: d.GraphVersion, Task: t, Generation: d.Generation, State: thalwegv1.TaskState_TASK_STATE_DEPLOYING,
		}
	}
	if j.running {
		j.handed = d
		c.toWorker(j, &thalwegv1.ToWorker{Epoch: c.epoch, Message: &thalwegv1.ToWorker_Deploy{Deploy: d}})
		return
	}
	c.startWorker(j, d)
}

// startWorker has a new process get a deploy.
func (c *Core) startWorker(j *jobState, d *thalwegv1.Deploy) {
	j.running, j.ready, j.heard = true, false, c.now
	c.emit(StartWorker{Job: j.id, Deploy: d})
	if c.phase != idle { // also while the others' answers are collected: nobody will tell it later
		c.toWorker(j, &thalwegv1.ToWorker{Epoch: c.epoch, Message: &thalwegv1.ToWorker_Session{Session: &thalwegv1.SessionEpoch{Request: c.request}}})
	}
	c.toWorker(j, &thalwegv1.ToWorker{Epoch: c.epoch, Message: &thalwegv1.ToWorker_Deploy{Deploy: d}})
}

func (c *Core) alive(j *jobState) bool {
	for _, r := range j.tasks {
		if !Terminal(r.State) {
			return true
		}
	}
	return false
}

func (c *Core) cancelTasks(j *jobState, upto job.Generation) {
	if upto.Less(j.generation) || !c.alive(j) {
		return
	}
	if !j.running {
		return
	}
	j.handed = nil
	j.endBy = c.now + c.c.CancelTimeout
	c.toWorker(j, &thalwegv1.ToWorker{Epoch: c.epoch, Message: &thalwegv1.ToWorker_Cancel{Cancel: &thalwegv1.Cancel{Job: j.id, Upto: upto.Proto()}}})
}

func (c *Core) workerStarted(ev WorkerStarted) {
	if j := c.jobs[ev.Job]; j != nil {
		j.ready, j.heard = true, c.now
	}
}

func (c *Core) fromWorker(ev FromWorker) {
	j := c.jobs[ev.Job]
	if j == nil {
		return
	}
	j.heard = c.now
	switch m := ev.Message.Message.(type) {
	case *thalwegv1.FromWorker_Report:
		c.merge(j, m.Report.Tasks)
		if m.Report.Request != c.request || j.answered {
			return
		}
		j.answered = true
		if c.phase == opening || c.phase == open {
			c.toLeader(&thalwegv1.FromTaskManager{Message: &thalwegv1.FromTaskManager_LateReport{
				LateReport: &thalwegv1.LateReport{Job: j.id, Tasks: j.reports()}}})
		}
		c.registerIfAnswered()
	case *thalwegv1.FromWorker_TaskState:
		if c.merge(j, []*thalwegv1.TaskReport{m.TaskState.Report}) {
			c.report(j, m.TaskState.Report)
		}
	case *thalwegv1.FromWorker_Counters:
		c.merge(j, m.Counters.Tasks)
		if j.answered || c.phase == open {
			c.toLeader(&thalwegv1.FromTaskManager{Message: &thalwegv1.FromTaskManager_Counters{Counters: m.Counters}})
		}
	case *thalwegv1.FromWorker_Acknowledge:
		if r := j.tasks[job.TaskIDOf(m.Acknowledge.Task)]; r != nil && job.GenerationOf(m.Acknowledge.Generation) == j.generation {
			r.Acknowledged = max(r.Acknowledged, m.Acknowledge.Checkpoint)
		}
		c.toLeader(&thalwegv1.FromTaskManager{Message: &thalwegv1.FromTaskManager_Acknowledge{Acknowledge: m.Acknowledge}})
	case *thalwegv1.FromWorker_Decline:
		c.toLeader(&thalwegv1.FromTaskManager{Message: &thalwegv1.FromTaskManager_Decline{Decline: m.Decline}})
	case *thalwegv1.FromWorker_Confirmed:
		if r := j.tasks[job.TaskIDOf(m.Confirmed.Task)]; r != nil && job.GenerationOf(m.Confirmed.Generation) == j.generation {
			r.Confirmed = max(r.Confirmed, m.Confirmed.Checkpoint)
		}
		c.toLeader(&thalwegv1.FromTaskManager{Message: &thalwegv1.FromTaskManager_Confirmed{Confirmed: m.Confirmed}})
	}
}

// merge takes reports of the recorded generation into the table; those of another are of tasks already replaced. It reports
// whether anything was taken.
func (c *Core) merge(j *jobState, rs []*thalwegv1.TaskReport) bool {
	taken := false
	for _, r := range rs {
		id := job.TaskIDOf(r.Task)
		old := j.tasks[id]
		if old == nil || job.GenerationOf(r.Generation) != j.generation || Terminal(old.State) {
			continue
		}
		r = proto.CloneOf(r)
		r.Acknowledged, r.Confirmed = max(r.Acknowledged, old.Acknowledged), max(r.Confirmed, old.Confirmed)
		if r.Counters == nil {
			r.Counters = old.Counters
		}
		j.tasks[id] = r
		j.handed = nil
		taken = true
	}
	if j.endBy != 0 && c.settled(j) {
		j.endBy = 0
	}
	return taken
}

// settled: no task is on its way out, and a deploy that waited for that has begun.
func (c *Core) settled(j *jobState) bool {
	for _, r := range j.tasks {
		switch r.State {
		case thalwegv1.TaskState_TASK_STATE_CANCELING, thalwegv1.TaskState_TASK_STATE_DEPLOYING:
			return false
		}
	}
	return true
}

func (c *Core) report(j *jobState, r *thalwegv1.TaskReport) {
	c.toLeader(&thalwegv1.FromTaskManager{Message: &thalwegv1.FromTaskManager_TaskState{TaskState: &thalwegv1.TaskStateChanged{Report: r}}})
}

// workerExited fails whatever the worker still ran. The answer to a registration under way is then known without it.
func (c *Core) workerExited(ev WorkerExited) {
	j := c.jobs[ev.Job]
	if j == nil || !j.running {
		return
	}
	j.running, j.ready, j.endBy = false, false, 0
	if d := j.handed; d != nil {
		// Its death is the cause of the deploy, and it never saw it: neighbours told the leader sooner than the kernel told us.
		j.handed = nil
		c.emit(Log{Level: "info", Job: j.id, Text: fmt.Sprintf("the worker was ending when generation %v was deployed: another one gets it", j.generation)})
		c.startWorker(j, d)
		c.answerFor(j)
		return
	}
	for _, r := range j.reports() {
		if Terminal(r.State) {
			continue
		}
		r.State, r.Error = thalwegv1.TaskState_TASK_STATE_FAILED, ev.Cause
		j.tasks[job.TaskIDOf(r.Task)] = r
		c.report(j, proto.CloneOf(r))
	}
	c.answerFor(j)
}

// answerFor answers in place of a worker that is gone: what it would have said is known, and a leader may be waiting for it.
func (c *Core) answerFor(j *jobState) {
	if !j.answered {
		j.answered = true
		if c.phase == opening || c.phase == open {
			c.toLeader(&thalwegv1.FromTaskManager{Message: &thalwegv1.FromTaskManager_LateReport{
				LateReport: &thalwegv1.LateReport{Job: j.id, Tasks: j.reports()}}})
		}
	}
	c.registerIfAnswered()
}

// judgeWorkers ends workers that are silent, and those whose tasks do not end although they were told to.
func (c *Core) judgeWorkers() {
	for _, j := range c.sorted() {
		switch {
		case !j.running || !j.ready:
		case c.now-j.heard > c.c.HeartbeatTimeout:
			c.emit(KillWorker{j.id, fmt.Sprintf("the worker was silent for more than the heartbeat timeout of %v", c.c.HeartbeatTimeout)})
			j.heard = c.now
		case j.endBy != 0 && c.now >= j.endBy:
			c.emit(KillWorker{j.id, fmt.Sprintf("its tasks did not end within task.cancellation.timeout (%v)", c.c.CancelTimeout)})
			j.endBy = 0
		}
	}
}
