package core

import (
	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

// Event is what happens to a taskmanager.
type Event interface{ event() }

type (
	// LeaderChanged is what discovery says; the zero Leader means that none is known.
	LeaderChanged struct{ Leader Leader }
	// SessionWelcomed: the leader has accepted the registration of the session with this request number.
	SessionWelcomed struct {
		Request uint64
		Welcome *thalwegv1.Welcome
	}
	// SessionEnded: the session's stream is over, or could not be opened, or was refused. Later events of it do not come.
	SessionEnded struct {
		Request uint64
		Refused *thalwegv1.Refused // nil unless the leader said no
		Cause   string
	}
	// Command is a message of the leader on the session with this request number.
	Command struct {
		Request uint64
		Message *thalwegv1.ToTaskManager
	}
	// WorkerStarted: the job's worker process is ready for messages.
	WorkerStarted struct{ Job string }
	// FromWorker is a message of a job's worker.
	FromWorker struct {
		Job     string
		Message *thalwegv1.FromWorker
	}
	// WorkerExited: a job's worker is gone, or could not be started.
	WorkerExited struct {
		Job   string
		Cause string
	}
	// Tick comes every TickInterval; a late one shows that this process was paused.
	Tick struct{}
	// Stop: the process was asked to end.
	Stop struct{}
)

func (LeaderChanged) event()   {}
func (SessionWelcomed) event() {}
func (SessionEnded) event()    {}
func (Command) event()         {}
func (WorkerStarted) event()   {}
func (FromWorker) event()      {}
func (WorkerExited) event()    {}
func (Tick) event()            {}
func (Stop) event()            {}

// Effect is what the shell must do. Effects are carried out in the order given.
type Effect interface{ effect() }

type (
	// OpenSession dials the leader and sends Register as the first message. At most one session is open: an older one has been
	// closed by an earlier effect. Messages to the leader that follow go out behind Register.
	OpenSession struct {
		Request  uint64
		Leader   Leader
		Register *thalwegv1.Register
	}
	// CloseSession sends Goodbye, if there is a reason to give, and closes.
	CloseSession struct{ Goodbye *thalwegv1.Goodbye }
	// ToLeader sends on the present session.
	ToLeader struct{ Message *thalwegv1.FromTaskManager }
	// StartWorker starts the job's worker process; messages to it queue until it is ready.
	StartWorker struct {
		Job    string
		Deploy *thalwegv1.Deploy
	}
	// ToWorker sends to a job's worker, in order.
	ToWorker struct {
		Job     string
		Message *thalwegv1.ToWorker
	}
	// KillWorker ends a job's worker process at once. WorkerExited follows.
	KillWorker struct{ Job, Why string }
	// ForgetJob: nothing of the job is needed any more; its worker is told to end and its files are deleted.
	ForgetJob struct{ Job string }
	// Log is something that an operator of the cluster should know.
	Log struct {
		Level string // "info", "warn", "error"
		Text  string
		Job   string
	}
)

func (OpenSession) effect()  {}
func (CloseSession) effect() {}
func (ToLeader) effect()     {}
func (StartWorker) effect()  {}
func (ToWorker) effect()     {}
func (KillWorker) effect()   {}
func (ForgetJob) effect()    {}
func (Log) effect()          {}
