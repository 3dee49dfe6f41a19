package scheduler

import (
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
)

// Job is the master of one job within one term. Its owner calls Step with one event at a time. It begins by asking for what
// the store holds; until that is answered its status is INITIALIZING, and events wait.
//
// A step first notes what happened, then asks the present state what follows from all that is known (states.go). So nothing
// depends on the order in which two independent things become known, and a timer is only ever a reason to look again.
type Job struct {
	c   JobConfig
	at  Instant
	out Effects

	status thalwegv1.JobStatus
	since  Instant // of the status
	early  []JobEvent
	loadAt time.Duration // when to ask for the records again
	done   bool          // all that is left to do is to tell taskmanagers that still have something of it

	rec   records
	write writer

	cluster Cluster
	peers   map[string]*peer // by incarnation
	tasks   []*task          // of the recorded placement, ordered
	missing time.Duration    // until when a taskmanager that never registered in this term is waited for

	ck      coordinator
	restart restart
	// undelivered are taskmanagers of the present placement that were lost before their deploy was sent.
	undelivered map[string]bool
	cancel      *cancellation
	fail        string // why the job is to end as FAILED
	waiting     string // why it does not run
	clean       cleaning

	exceptions []*thalwegv1.ExceptionInfo // newest first
}

// records is what the metadata store holds about the job, as this term has read and written it.
type records struct {
	graph     *thalwegv1.GraphRecord
	stored    *thalwegv1.StoredJob
	execution *thalwegv1.Execution // never nil once loaded
	pointers  []*thalwegv1.CheckpointPointer
	counter   int64
	result    *thalwegv1.JobResult

	// ended holds the states of the subtasks whose end the newest pointer covers.
	ended        map[job.TaskID][]byte
	endedUnknown string // why that is not known

	configuration map[string]string
	directory     string
}

// newest is the newest completed checkpoint; nil if there is none.
func (r *records) newest() *thalwegv1.CheckpointPointer {
	if len(r.pointers) == 0 {
		return nil
	}
	return r.pointers[len(r.pointers)-1]
}

func (r *records) generation() job.Generation { return job.GenerationOf(r.execution.GetGeneration()) }

// NewJob makes the master of a job; its first effects ask for what the store holds.
func NewJob(c JobConfig, at Instant) (*Job, Effects) {
	j := &Job{c: c, at: at, since: at, status: thalwegv1.JobStatus_JOB_STATUS_INITIALIZING, peers: map[string]*peer{}}
	j.ck.stats = &thalwegv1.CheckpointStats{}
	j.missing = at.Now + c.Reconciliation
	return j, Effects{Load: true, Changed: true}
}

// ID is the job's id.
func (j *Job) ID() string { return j.c.ID }

// Status is the job's state.
func (j *Job) Status() thalwegv1.JobStatus { return j.status }

// Step takes one event and returns what must be done.
func (j *Job) Step(at Instant, ev JobEvent) Effects {
	j.at, j.out = at, Effects{}
	j.take(ev)
	if !j.done {
		j.advance()
	}
	if j.out.EndTerm != "" {
		return Effects{EndTerm: j.out.EndTerm}
	}
	return j.out
}

// take notes what happened.
func (j *Job) take(ev JobEvent) {
	if _, ok := ev.(Resumed); ok {
		j.resumed()
		return
	}
	if j.status == thalwegv1.JobStatus_JOB_STATUS_INITIALIZING {
		switch ev := ev.(type) {
		case Loaded:
			j.loaded(ev)
		case LoadFailed:
			j.loadFailed(ev.Error)
		case ClusterChanged:
			j.cluster = ev.Cluster
		case Wakeup:
		default:
			j.early = append(j.early, ev)
		}
		return
	}
	switch ev := ev.(type) {
	case TaskManagerUp:
		j.taskManagerUp(ev)
	case TaskManagerDown:
		j.taskManagerDown(ev)
	case FromTaskManager:
		j.fromTaskManager(ev)
	case ClusterChanged:
		j.cluster = ev.Cluster
	case Written:
		j.written(ev)
	case MetadataWritten:
		j.metadataWritten(ev)
	case FilesDeleted:
		j.filesDeleted(ev)
	case CancelRequested:
		j.cancelRequested(ev)
	case CheckpointRequested:
		j.checkpointRequested(ev)
	}
}

// advance lets the present state act on all that is known, until it does not change any more. Each round says anew when the
// job wants to be woken.
func (j *Job) advance() {
	used, wanted := fingerprint(j.SlotUse()), j.WantsSlots()
	for j.out.EndTerm == "" {
		j.out.Wake = 0
		before := j.status
		states[before].advance(j)
		if j.status == before {
			break
		}
	}
	if j.write.outstanding != nil {
		j.resettle()
	}
	if j.WantsSlots() != wanted || fingerprint(j.SlotUse()) != used {
		j.out.SlotsChanged = true
	}
}

// wake asks for a Wakeup at the given time at the latest.
func (j *Job) wake(at time.Duration) {
	if j.out.Wake == 0 || at < j.out.Wake {
		j.out.Wake = max(at, 1)
	}
}

func (j *Job) notice(level, text string) {
	j.out.Notices = append(j.out.Notices, Notice{Level: level, Text: text, Job: j.c.ID})
}

func (j *Job) reached(point string) { j.out.Reached = append(j.out.Reached, point) }

// send queues a command for a taskmanager that has a session; for another it would be lost anyhow.
func (j *Job) send(incarnation string, m *thalwegv1.ToTaskManager) {
	if p := j.peers[incarnation]; p == nil || p.down != 0 {
		return
	}
	m.Epoch = j.c.Epoch
	j.out.Send = append(j.out.Send, Send{incarnation, m})
}
