package scheduler

import "github.com/thalweg-io/thalweg/internal/planted"

// RECONCILING: a new leader learns from the taskmanagers what runs. Either the whole region is as recorded and is adopted, or
// it is not and is restarted whole; a subtask whose taskmanager has not registered in full is waited for.

func (j *Job) advanceReconciling() {
	if j.cancelIfAsked() {
		return
	}
	f := j.assess()
	if planted.On("restart-on-leader-change") {
		f = finding{verdict: broken, cause: "the leader has changed"}
	}
	switch f.verdict {
	case whole:
		j.become(running)
		j.adopted()
	case waiting:
		j.waiting = f.cause
	default:
		j.beginRestart(f)
	}
}

// adopted: the tasks run on as they are. What an earlier leader left of checkpoints is abandoned, and one is taken at once.
func (j *Job) adopted() {
	j.notice("info", "adopted generation "+j.rec.generation().String()+" as it runs")
	for _, inc := range j.incarnations() {
		j.tellPosition(inc)
	}
	j.ck.adopted(j)
}
