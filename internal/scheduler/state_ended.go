package scheduler

import (
	"time"

	"google.golang.org/protobuf/proto"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

// FINISHED, CANCELED and FAILED: the result is recorded. What is left is clean-up, in steps that can each be repeated: the
// records that files hang on, then the files, then the graph, then the note in the result that nothing is left. A leader that
// finds a result without that note begins again with the first.

type cleanStep uint8

const (
	cleanRelease cleanStep = iota // taskmanagers forget the job
	cleanRun                      // execution, pointers, counter
	cleanFiles
	cleanGraph
	cleanNote
)

type cleaning struct {
	step  cleanStep
	token uint64        // of the deletion under way
	again time.Duration // not before, after an error
}

const cleanAgain = 5 * time.Second

func (j *Job) advanceEnded() {
	if j.clean.step == cleanRelease {
		for _, inc := range j.registered() {
			j.release(inc)
		}
		j.clean.step = cleanRun
		if j.rec.result.Cleaned {
			j.finish()
			return
		}
	}
	if j.at.Now < j.clean.again {
		j.wake(j.clean.again)
		return
	}
	switch j.clean.step {
	case cleanRun:
		if j.mayWrite() {
			j.submit(writeRunRemoval, Write{RemoveRun: true})
		}
	case cleanFiles:
		if j.clean.token == 0 {
			j.clean.token = j.nextToken()
			d := DeleteFiles{Token: j.clean.token, Job: true}
			if id := j.rec.result.LastCheckpoint; j.status == failed && id != 0 {
				// So that a person can start from it. Its pointer is gone; an earlier leader may have removed it.
				d.Retained = append(d.Retained, &thalwegv1.CheckpointPointer{Id: id})
			}
			j.out.Delete = append(j.out.Delete, d)
		}
	case cleanGraph:
		if j.mayWrite() {
			j.submit(writeGraphRemoval, Write{RemoveGraph: true})
		}
	case cleanNote:
		if j.mayWrite() {
			r := proto.CloneOf(j.rec.result)
			r.Cleaned = true
			j.submit(writeCleaned, Write{Result: r})
		}
	}
}

// filesDeleted moves clean-up on. Deletions beside it (old checkpoints) are best effort: what is left goes with the next sweep.
func (j *Job) filesDeleted(ev FilesDeleted) {
	if ev.Error != "" {
		j.notice("warn", "cannot delete files: "+ev.Error)
	} else {
		j.reached("files-deleted")
	}
	if ev.Token != j.clean.token || j.clean.token == 0 {
		return
	}
	j.clean.token = 0
	if ev.Error != "" {
		j.clean.again = j.at.Now + cleanAgain
		return
	}
	j.clean.step = cleanGraph
}

func (j *Job) release(incarnation string) {
	j.send(incarnation, &thalwegv1.ToTaskManager{Message: &thalwegv1.ToTaskManager_Release{Release: &thalwegv1.Release{Job: j.c.ID}}})
}

// finish: the result alone is left.
func (j *Job) finish() {
	j.done = true
	j.out.Done = true
	j.out.Wake = 0
	j.reached("cleaned")
}
