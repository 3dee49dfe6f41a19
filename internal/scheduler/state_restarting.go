package scheduler

import (
	"fmt"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

// RESTARTING: the recorded generation is broken and the next one is not recorded yet. The tasks that are left run on
// unchecked: nothing is sent to them before the record of the next generation says what takes their place.

// restart is what RESTARTING waits for.
type restart struct {
	cause  string
	lost   bool          // nothing failed: taskmanagers are silent or dead. If all come back, the generation is whole again
	count  bool          // counts as a failure under the restart strategy
	due    time.Duration // back-off
	next   time.Duration // the back-off after this one
	giveUp string        // the strategy allows no further restart
}

// beginRestart leaves the present generation behind.
func (j *Job) beginRestart(f finding) {
	r := restart{cause: f.cause, lost: f.verdict == gone, count: f.verdict != broken}
	j.exception(f.task, f.taskmanager, f.cause)
	if r.count {
		delay, next, err := j.strategy().next(j.rec.execution, j.at.Wall)
		r.due, r.next, r.giveUp = j.at.Now+delay, next, err
	} else if s := j.strategy(); s.kind == "none" && j.hasRun() {
		r.giveUp = "no restart strategy is set, and without a checkpoint the job would begin anew"
	}
	j.become(restarting)
	j.notice("warn", "generation "+j.rec.generation().String()+" is to be replaced: "+f.cause)
	j.restart = r
	j.abandonCheckpoint("the job restarts: " + f.cause)
	j.failRequests("the job restarts: " + f.cause)
}

// hasRun reports whether any subtask of the generation has got as far as processing records.
func (j *Job) hasRun() bool {
	for _, t := range j.tasks {
		switch t.report.GetState() {
		case thalwegv1.TaskState_TASK_STATE_UNSPECIFIED, thalwegv1.TaskState_TASK_STATE_DEPLOYING, thalwegv1.TaskState_TASK_STATE_INITIALIZING:
		default:
			return true
		}
	}
	return false
}

func (j *Job) advanceRestarting() {
	if j.cancelIfAsked() {
		return
	}
	if o := j.write.outstanding; o != nil && (o.kind == writeGeneration || o.kind == writeIntent) {
		return // it may have been applied: whoever comes back now comes too late
	}
	r := &j.restart
	f := j.assess()
	if r.lost && f.verdict == whole {
		j.notice("info", "the lost subtasks are back before they were replaced")
		j.become(running)
		j.adopted()
		return
	}
	if r.lost && f.verdict == taskFailed {
		r.lost = false
		j.further(f.task, f.cause)
	}
	if r.giveUp != "" {
		if r.lost && f.verdict == waiting {
			return // those that are missing may still come back whole
		}
		j.fail = r.giveUp + ": " + r.cause
		j.recordIntent(intentFail, "", j.fail)
		return
	}
	if j.at.Now < r.due {
		j.waiting = fmt.Sprintf("restarts after a back-off of %v", (r.due - j.since.Now).Round(time.Millisecond))
		j.wake(r.due)
		return
	}
	j.startGeneration(r.cause)
}
