package scheduler

import (
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

// SessionID is the shell's name for one stream of a taskmanager; never used twice in a term.
type SessionID uint64

// Event is what happens to a Term.
type Event interface{ event() }

type (
	// Received is a message on a session. The first must be Register.
	Received struct {
		Session SessionID
		Message *thalwegv1.FromTaskManager
	}
	// Closed: the stream is over, by whichever side. It comes once for every session that received anything.
	Closed struct {
		Session SessionID
		Cause   string // "EOF", "connection reset by peer"
	}
	// JobFound: the store has a job with this id, found at the start of the term or just submitted. Found twice is found once.
	JobFound struct{ Job string }
	// JobsListed: all jobs that were in the store when the term began have been found. Taskmanagers are not heard before.
	JobsListed struct{}
	// JobForgotten: the job's result has expired and is gone from the store.
	JobForgotten struct{ Job string }
	// ForJob hands an event to one job: the answers to its effects, and clients' requests. An unknown job ignores it.
	ForJob struct {
		Job   string
		Event JobEvent
	}
	// Tick answers TermEffects.Wake.
	Tick struct{}
)

func (Received) event()     {}
func (Closed) event()       {}
func (JobFound) event()     {}
func (JobsListed) event()   {}
func (JobForgotten) event() {}
func (ForJob) event()       {}
func (Tick) event()         {}

// TermEffects is what must be done after one step of a Term, under the same rule as Effects.
type TermEffects struct {
	// EndTerm says why the term is over; the other fields are empty.
	EndTerm string
	// Messages go out on sessions, in order per session. A message whose Close is set is followed by the end of the stream.
	Messages []SessionMessage
	// Jobs are the jobs' effects, in order; their EndTerm, Send, Wake and Notices have been taken out.
	Jobs []JobEffects
	// Notices are for the log, in order.
	Notices []Notice
	// Wake is when the term wants a Tick, whatever happened before. There always is one: a late Tick shows the process's own pause.
	Wake time.Duration
}

// SessionMessage is one message down one session.
type SessionMessage struct {
	Session SessionID
	Message *thalwegv1.ToTaskManager // nil: just close
	Close   bool
}

// JobEffects are the effects of one job.
type JobEffects struct {
	Job     string
	Effects Effects
}

// TermConfig is what a term is for as long as it lasts.
type TermConfig struct {
	Epoch              uint64
	Incarnation        string // of the jobmanager
	ClusterIncarnation string
	Job                JobConfig // ID and Epoch are filled in
	HeartbeatInterval  time.Duration
	HeartbeatTimeout   time.Duration
}

// JobConfig is the cluster's defaults and limits for each job.
type JobConfig struct {
	ID    string
	Epoch uint64
	// Checkpoints and Restart are the cluster's; what the job's graph sets goes first.
	Checkpoints *thalwegv1.CheckpointOptions
	Restart     *thalwegv1.RestartOptions
	// Reconciliation is how long a taskmanager that has not registered in this term is waited for (10 s).
	Reconciliation time.Duration
}
