package scheduler

import (
	"fmt"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

// RUNNING: the recorded generation is deployed. Checkpoints are taken; the end of the input is seen and recorded; a failure or
// a loss leads to RESTARTING.

func (j *Job) advanceRunning() {
	if j.cancelIfAsked() {
		return
	}
	j.expireCheckpoint()
	f := j.assess()
	switch f.verdict {
	case whole:
		j.waiting = ""
	case waiting:
		j.waiting = f.cause
	default:
		j.beginRestart(f)
		return
	}
	if j.ck.exceeded {
		j.ck.exceeded = false
		j.beginRestart(finding{verdict: taskFailed, cause: fmt.Sprintf("more than %d checkpoints in a row failed, the last: %s",
			j.ck.o.tolerable, j.ck.stats.LastFailure)})
		return
	}
	if j.allFinished() {
		j.recordResult(finished, "")
		return
	}
	j.advanceCheckpoint(f.verdict == whole)
	j.removeOldPointers()
}

// allFinished: every subtask has ended, its end is covered by a completed checkpoint, and its transactions are confirmed.
func (j *Job) allFinished() bool {
	for _, t := range j.tasks {
		if t.state != thalwegv1.TaskState_TASK_STATE_FINISHED && !j.finishedUnseen(t) {
			return false
		}
	}
	return len(j.tasks) > 0
}
