package scheduler

import thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"

// Job is the master of one job within one term. Its owner calls Step with one event at a time. It begins by asking for what
// the store holds; until that is answered its status is INITIALIZING, and it only remembers who has registered.
type Job struct {
	c   JobConfig
	at  Instant
	out Effects

	status thalwegv1.JobStatus
}

// NewJob makes the master of a job; its first effects ask for what the store holds.
func NewJob(c JobConfig, at Instant) (*Job, Effects) {
	j := &Job{c: c, at: at, status: thalwegv1.JobStatus_JOB_STATUS_INITIALIZING}
	return j, Effects{Load: true, Changed: true}
}

// ID is the job's id.
func (j *Job) ID() string { return j.c.ID }

// Status is the job's state.
func (j *Job) Status() thalwegv1.JobStatus { return j.status }
