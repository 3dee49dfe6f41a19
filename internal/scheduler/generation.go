package scheduler

import (
	"fmt"
	"slices"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/planted"
)

// startGeneration records the next generation, once there are slots for it. The restore point is recorded by the same write;
// no checkpoint can complete in between, because a pointer would need the job's one write too.
func (j *Job) startGeneration(cause string) {
	plan := Place(j.graph(), j.cluster)
	if plan.Reason != "" {
		j.waiting = plan.Reason
		return
	}
	j.waiting = ""
	if !j.mayWrite() {
		return
	}
	e := clone(j.rec.execution)
	if e.GraphVersion == 0 {
		e.GraphVersion = j.rec.graph.GetGraphVersion()
	}
	e.Generation = job.Generation{Epoch: j.c.Epoch, N: j.rec.generation().N + 1}.Proto()
	e.Placement = plan.Placement
	e.Restored = 0
	if p := j.rec.newest(); p != nil {
		e.Restored = p.Id
		if planted.On("stale-restore") {
			e.Restored = j.rec.pointers[0].Id
		}
	}
	if j.restart.count {
		e.Restarts++
		e.BackoffMs = j.restart.next.Milliseconds()
		e.LastFailureMs = j.at.Wall
	}
	e.Cause = cause
	if planted.On("command-before-record") {
		old := j.rec.execution
		j.rec.execution = e
		j.deployTasks()
		j.rec.execution = old
	}
	j.submit(writeGeneration, Write{Execution: e})
}

// deploy follows the record of a generation: it may be commanded now, and what it replaces may be ended.
func (j *Job) deploy(replaced job.Generation) {
	old := j.incarnations()
	j.place(j.rec.execution.Placement)
	j.undelivered = map[string]bool{}
	for _, p := range j.rec.execution.Placement {
		if q := j.peers[p.Incarnation]; q == nil || q.down != 0 {
			j.undelivered[p.Incarnation] = true // lost while the record was being written: the deploy goes nowhere
		}
	}
	for inc, p := range j.peers { // order does not matter: nothing leaves here
		if p.down != 0 {
			delete(j.peers, inc)
		}
	}
	j.deployTasks()
	for _, t := range j.tasks {
		t.state = thalwegv1.TaskState_TASK_STATE_DEPLOYING
	}
	now := j.incarnations()
	for _, inc := range old {
		if !slices.Contains(now, inc) {
			j.sendCancel(inc, replaced)
		}
	}
	j.notice("info", fmt.Sprintf("generation %v starts from %s", j.rec.generation(), restorePoint(j.rec.execution.Restored)))
	j.ck.restart(j)
	j.ck.stats.RestoredId = j.rec.execution.Restored
	j.restart = restart{}
	j.become(running)
	for _, inc := range j.registered() {
		j.cancelStale(inc)
	}
}

// deployTasks sends one Deploy to each taskmanager of the placement.
func (j *Job) deployTasks() {
	e := j.rec.execution
	byInc := map[string][]*thalwegv1.TaskID{}
	var incs []string
	for _, p := range e.Placement {
		if byInc[p.Incarnation] == nil {
			incs = append(incs, p.Incarnation)
		}
		byInc[p.Incarnation] = append(byInc[p.Incarnation], p.Task)
	}
	var covered []*thalwegv1.TaskID
	path := ""
	if p := j.pointer(e.Restored); p != nil {
		path = p.MetadataPath
		for _, id := range sortedTasks(j.rec.ended) {
			covered = append(covered, id.Proto())
		}
	}
	for i, inc := range incs {
		if i == 0 || i == len(incs)-1 {
			j.reached("deploy")
		}
		j.send(inc, &thalwegv1.ToTaskManager{Message: &thalwegv1.ToTaskManager_Deploy{Deploy: &thalwegv1.Deploy{
			Job: j.c.ID, GraphVersion: e.GraphVersion, Generation: e.Generation, Tasks: byInc[inc], Placement: e.Placement,
			Stored: j.rec.stored, Restored: e.Restored, MetadataPath: path, Ended: covered,
			CheckpointDir: j.rec.directory, Configuration: j.rec.configuration,
		}}})
	}
}

func (j *Job) pointer(id int64) *thalwegv1.CheckpointPointer {
	for _, p := range j.rec.pointers {
		if p.Id == id {
			return p
		}
	}
	return nil
}

func restorePoint(id int64) string {
	if id == 0 {
		return "the beginning: there is no checkpoint, state is empty"
	}
	return fmt.Sprintf("checkpoint %d", id)
}

// SlotUse counts the slots that the job uses, or is about to, by taskmanager incarnation.
func (j *Job) SlotUse() map[string]int {
	if j.rec.stored == nil || terminal(j.status) {
		return nil
	}
	use := SlotUse(j.graph(), j.rec.execution.GetPlacement())
	if o := j.write.outstanding; o != nil && o.kind == writeGeneration {
		for inc, n := range SlotUse(j.graph(), o.w.Execution.Placement) {
			use[inc] = max(use[inc], n)
		}
	}
	return use
}

// WantsSlots reports whether the job waits for slots.
func (j *Job) WantsSlots() bool {
	return j.status == created || j.status == restarting && j.at.Now >= j.restart.due
}
