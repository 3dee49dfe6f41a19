// Package scheduler is the leader's side of the control protocol as pure state machines. It decides what runs where and when;
// it does no I/O, starts no goroutine, reads no clock and no randomness: an event and its time go in, effects come out.
//
//   - Job is one job within one term: recovery, adoption, life cycle, checkpoints, restarts, cancellation, end, clean-up.
//   - Sessions is the taskmanagers of one term: registration, heartbeats, and who is missing, silent or dead.
//   - Place is a pure function of slots: a plan, or the reason why there is none.
//   - Term joins them: it routes messages, hands every job its view of the cluster, and composes what taskmanagers are told.
//
// What it owns: the term's knowledge of jobs and taskmanagers. What it never does: it never sends a command that changes what
// runs in the step that asks for the record of it; the command leaves in the step that is told "applied". So a shell may carry
// out the fields of one Effects in any order, and a deposed leader, whose writes are refused, commands nothing.
//
// The shell owns the I/O: it performs Writes, Files and Sends, answers each of them with one event, and calls Step one event at
// a time. A value in an event or an effect belongs to the receiver from then on; protobuf messages are never changed after
// they have been handed over.
package scheduler

import "time"

// Instant is the time of an event, read once by the shell.
type Instant struct {
	Now  time.Duration // monotonic, any origin; all waiting is measured by it
	Wall int64         // milliseconds since 1970, for records and people; nothing is decided by it but reset-after across leaders
}

// Notice is something that an operator should know. Shells turn it into a log line; the text is complete without the fields.
type Notice struct {
	Level string // "info", "warn", "error"
	Text  string
	Job   string
	Task  string // "vertex/subtask", if it is of one
}
