package scheduler

import (
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/planted"
)

// INITIALIZING: the records of the job are being read. Nothing is decided and nothing is sent.

const reloadAfter = 2 * time.Second

func (j *Job) advanceInitializing() {
	if j.loadAt == 0 {
		return // the answer is awaited
	}
	if j.at.Now >= j.loadAt {
		j.loadAt = 0
		j.out.Load = true
		return
	}
	j.wake(j.loadAt)
}

func (j *Job) loadFailed(cause string) {
	j.loadAt = j.at.Now + reloadAfter
	j.exception("", "", "cannot read the job's records: "+cause)
	j.notice("error", "cannot read the job's records, trying again in "+reloadAfter.String()+": "+cause)
}

// loaded takes over what earlier leaders recorded. A result is read before anything else: a job that has one never runs again.
func (j *Job) loaded(ev Loaded) {
	j.rec = records{
		graph: ev.Graph, stored: ev.Stored, execution: ev.Execution, pointers: ev.Pointers, counter: ev.Counter, result: ev.Result,
		ended: map[job.TaskID][]byte{}, endedUnknown: ev.EndedError, configuration: ev.Configuration, directory: ev.CheckpointDir,
	}
	for _, s := range ev.Ended {
		j.rec.ended[s.Task] = s.State
	}
	if j.rec.execution == nil {
		j.rec.execution = &thalwegv1.Execution{GraphVersion: ev.Graph.GetGraphVersion()}
	}
	if planted.On("counter-reset") {
		j.rec.counter = 0
		if p := j.rec.newest(); p != nil {
			j.rec.counter = p.Id
		}
	}
	j.ck.configure(j)
	j.place(j.rec.execution.Placement)
	j.ck.sweep = true
	switch {
	case j.rec.result != nil && !planted.On("result-ignored"):
		j.become(j.rec.result.Status)
	case j.rec.execution.Intent == intentCancel:
		j.become(cancelling)
	case j.rec.execution.Intent == intentFail:
		j.fail = j.rec.execution.Cause
		j.become(failing)
	case j.rec.generation().IsZero():
		j.become(created)
	default:
		j.ck.stats.RestoredId = j.rec.execution.Restored
		j.become(reconciling)
	}
	early := j.early
	j.early = nil
	for _, ev := range early {
		j.take(ev)
	}
}
