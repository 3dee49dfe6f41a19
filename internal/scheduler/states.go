package scheduler

import (
	"fmt"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

// Short names of the states; docs/job-states.md draws them.
const (
	initializing = thalwegv1.JobStatus_JOB_STATUS_INITIALIZING
	created      = thalwegv1.JobStatus_JOB_STATUS_CREATED
	reconciling  = thalwegv1.JobStatus_JOB_STATUS_RECONCILING
	running      = thalwegv1.JobStatus_JOB_STATUS_RUNNING
	restarting   = thalwegv1.JobStatus_JOB_STATUS_RESTARTING
	failing      = thalwegv1.JobStatus_JOB_STATUS_FAILING
	failed       = thalwegv1.JobStatus_JOB_STATUS_FAILED
	cancelling   = thalwegv1.JobStatus_JOB_STATUS_CANCELLING
	canceled     = thalwegv1.JobStatus_JOB_STATUS_CANCELED
	finished     = thalwegv1.JobStatus_JOB_STATUS_FINISHED
)

// state is what a job does while it has one status. advance is called after every event, and again whenever it has changed the
// status; it must be repeatable: asked twice without news in between, it does nothing the second time.
type state struct {
	advance func(*Job)
}

var states map[thalwegv1.JobStatus]state

func init() { // the functions refer to the table through become
	states = map[thalwegv1.JobStatus]state{
		initializing: {(*Job).advanceInitializing},
		created:      {(*Job).advanceCreated},
		reconciling:  {(*Job).advanceReconciling},
		running:      {(*Job).advanceRunning},
		restarting:   {(*Job).advanceRestarting},
		failing:      {(*Job).advanceFailing},
		cancelling:   {(*Job).advanceCancelling},
		failed:       {(*Job).advanceEnded},
		canceled:     {(*Job).advanceEnded},
		finished:     {(*Job).advanceEnded},
	}
}

// transition is one line of the table, and one arrow of docs/job-states.md.
type transition struct {
	from, to thalwegv1.JobStatus
	why      string
}

var transitions = []transition{
	{initializing, created, "no generation is recorded"},
	{initializing, reconciling, "a generation is recorded"},
	{initializing, cancelling, "the intent to cancel is recorded"},
	{initializing, failing, "the intent to fail is recorded"},
	{initializing, finished, "the result says so"},
	{initializing, canceled, "the result says so"},
	{initializing, failed, "the result says so"},
	{created, running, "the first generation is recorded"},
	{created, cancelling, "the intent to cancel is recorded"},
	{reconciling, running, "every subtask is reported as recorded: adopted"},
	{reconciling, restarting, "a subtask is not as recorded"},
	{reconciling, cancelling, "the intent to cancel is recorded"},
	{running, restarting, "a subtask failed or is lost"},
	{running, cancelling, "the intent to cancel is recorded"},
	{running, finished, "every subtask is FINISHED and the result is recorded"},
	{restarting, running, "the next generation is recorded, or the lost subtasks came back"},
	{restarting, failing, "the restart strategy gives up and the intent to fail is recorded"},
	{restarting, cancelling, "the intent to cancel is recorded"},
	{cancelling, canceled, "no subtask is left and the result is recorded"},
	{failing, failed, "no subtask is left and the result is recorded"},
}

// become changes the status. A change that is not in the table is a broken invariant of this package.
func (j *Job) become(to thalwegv1.JobStatus) {
	for _, t := range transitions {
		if t.from == j.status && t.to == to {
			j.status, j.since, j.waiting = to, j.at, ""
			j.out.Changed = true
			j.notice("info", fmt.Sprintf("job is %s: %s", name(to), t.why))
			return
		}
	}
	panic(fmt.Sprintf("scheduler: job %s: no transition from %s to %s", j.c.ID, name(j.status), name(to)))
}

// name is a status as people read it.
func name(s thalwegv1.JobStatus) string { return s.String()[len("JOB_STATUS_"):] }

// terminal: nothing follows but clean-up.
func terminal(s thalwegv1.JobStatus) bool { return s == finished || s == canceled || s == failed }
