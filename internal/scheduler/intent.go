package scheduler

import (
	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

// The values of Execution.intent. An intent is recorded before it is acknowledged or acted on; a new leader carries it on.
const (
	intentCancel = "cancel"
	intentFail   = "fail"
)

// cancellation is what clients asked for and is not recorded yet.
type cancellation struct {
	request string
	replies []ReplyID
}

func (j *Job) cancelRequested(ev CancelRequested) {
	if terminal(j.status) || j.status == cancelling || j.status == failing {
		j.reply(Reply{ID: ev.Reply})
		return
	}
	if j.cancel == nil {
		j.cancel = &cancellation{request: ev.Request}
	}
	j.cancel.replies = append(j.cancel.replies, ev.Reply)
}

// cancelIfAsked records a requested cancellation before anything else is begun; it reports whether there is one.
func (j *Job) cancelIfAsked() bool {
	if j.cancel == nil {
		return false
	}
	j.recordIntent(intentCancel, j.cancel.request, "")
	return true
}

func (j *Job) recordIntent(intent, request, cause string) {
	j.abandonCheckpoint("the job is to " + intent)
	if !j.mayWrite() {
		return
	}
	e := clone(j.rec.execution)
	e.Intent, e.IntentRequest = intent, request
	if cause != "" {
		e.Cause = cause
	}
	j.submit(writeIntent, Write{Execution: e})
}

func (j *Job) intentApplied() {
	j.failRequests("the job is to " + j.rec.execution.Intent)
	if j.rec.execution.Intent == intentFail {
		j.become(failing)
	} else {
		j.become(cancelling)
	}
	j.answerCancel()
	for _, inc := range j.registered() {
		j.cancelOn(inc)
	}
}

func (j *Job) answerCancel() {
	if j.cancel == nil {
		return
	}
	for _, id := range j.cancel.replies {
		j.reply(Reply{ID: id})
	}
	j.cancel = nil
}

// cancelOn ends every generation of the job on one taskmanager: the intent is recorded.
func (j *Job) cancelOn(inc string) {
	g := j.rec.generation()
	if p := j.peers[inc]; g.Less(p.stale) {
		g = p.stale
	}
	for _, t := range j.tasks {
		if t.placement.Incarnation == inc && !ended(t.state) {
			j.reached("cancel")
			j.sendCancel(inc, g)
			return
		}
	}
}

// allGone: no subtask of the recorded generation can be running where somebody would tell of it. A silent taskmanager's may
// run on for a while; its sinks never commit, because no checkpoint completes any more.
func (j *Job) allGone() bool {
	for _, t := range j.tasks {
		if ended(t.state) {
			continue
		}
		f := j.condition(t)
		switch {
		case f.verdict == whole, f.verdict == waiting:
			return false
		case f.verdict == broken && t.state == thalwegv1.TaskState_TASK_STATE_CANCELING:
			return false
		}
	}
	return true
}

// resultApplied: the job has ended. What still waits for it is told.
func (j *Job) resultApplied() {
	j.answerCancel()
	j.failRequests("the job has ended")
}

func (j *Job) result(status thalwegv1.JobStatus, cause string) *thalwegv1.JobResult {
	r := &thalwegv1.JobResult{
		Id: j.c.ID, Name: j.graph().GetName(), Status: status, Digest: j.rec.graph.GetDigest(), Cause: cause,
		StartedMs: j.rec.graph.GetSubmittedMs(), EndedMs: j.at.Wall, Restarts: j.rec.execution.Restarts,
	}
	if p := j.rec.newest(); p != nil {
		r.LastCheckpoint = p.Id
	}
	return r
}

func (j *Job) reply(r Reply) {
	r.Status = j.status
	j.out.Replies = append(j.out.Replies, r)
}
