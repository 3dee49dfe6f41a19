package stream

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/state"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
	"github.com/thalweg-io/thalweg/internal/storage"
)

// Operator is the untyped side of what is in a chain. All calls come from the task's goroutine.
type Operator interface {
	// Open prepares the operator and restores its state. It may block; c.Context ends with the task.
	Open(c *OpenContext) error
	// Snapshot hands the operator's state over, at a barrier. It must be quick; what takes long goes through s.Async.
	Snapshot(s *Snapshot) error
	// Complete says that the checkpoint is complete, and every one before it: what they prepared is to be committed. The
	// operator starts that and tells the end by TaskContext.Confirm.
	Complete(id int64) error
	// Close is called once, also after a failure or a cancel, and also if Open failed.
	Close() error
}

// Base has the methods of an Operator that needs none.
type Base struct{}

func (Base) Open(*OpenContext) error  { return nil }
func (Base) Snapshot(*Snapshot) error { return nil }
func (Base) Complete(int64) error     { return nil }
func (Base) Close() error             { return nil }

// NamedOperator is an operator of a chain under its uid.
type NamedOperator struct {
	UID      string
	Operator Operator
}

// OpenContext is what an operator opens with.
type OpenContext struct {
	*TaskContext
	uid    string
	own    *checkpoint.SubtaskState // of this subtask in the restored checkpoint; nil: none
	reader *checkpoint.Reader
}

// Restored reports whether the task starts from a checkpoint.
func (c *OpenContext) Restored() bool { return c.task.restored != 0 }

// CheckpointID is the restored checkpoint, which is complete; 0: none.
func (c *OpenContext) CheckpointID() int64 { return c.task.restored }

// Entries is the operator state of this subtask as it was given to Snapshot.Entries; nil if there is none.
func (c *OpenContext) Entries() [][]byte {
	if c.own == nil {
		return nil
	}
	for _, o := range c.own.Operators {
		if o.UID == c.uid {
			return o.Entries
		}
	}
	return nil
}

// Keyed reads the keyed state of the restored checkpoint; nil if there is none.
func (c *OpenContext) Keyed() *checkpoint.Reader { return c.reader }

// UID is the operator's own.
func (c *OpenContext) UID() string { return c.uid }

// Snapshot is what an operator hands its state to.
type Snapshot struct {
	ID    int64
	Base  int64 // completed checkpoint that files may be referred to of; 0: none
	Final bool
	uid   string
	set   *snapshotSet
}

// snapshotSet is one task's snapshot while it is made.
type snapshotSet struct {
	id        int64
	began     time.Time
	entries   map[string][][]byte
	files     *checkpoint.FileWriter
	async     []asyncPart
	base      int64             // the completed checkpoint that keyed state is written as a change of; 0: none
	baseFiles []checkpoint.File // of it
	keyed     []KeyedState      // not saved yet: the task goes on with it
	swept     chan struct{}     // closed when keyed state is saved, or lost
	lost      error             // why nothing comes of it; set before swept is closed
	all       []checkpoint.File // what the keyed state is made of, once it is durable
}

// KeyedState is saved beside the task's work. See state.Keyed.
type KeyedState interface {
	Begin(state.Plan) error
	Sweep(budget int) (done bool)
	Abort()
}

type asyncPart struct {
	uid string
	f   func(context.Context) ([][]byte, error)
}

// Entries gives small operator state. The bytes are the snapshot's from now on.
func (s *Snapshot) Entries(entries ...[]byte) {
	s.set.entries[s.uid] = append(s.set.entries[s.uid], entries...)
}

// State has keyed state saved as it is now, while the operator goes on. An operator has one.
func (s *Snapshot) State(k KeyedState) error {
	p := state.Plan{Checkpoint: s.ID, Base: s.set.base, Out: s.set.files, Operator: s.uid}
	if s.set.base != 0 {
		p.Rebase = checkpoint.Rebase(s.set.baseFiles, s.uid)
	}
	if err := k.Begin(p); err != nil {
		return err
	}
	s.set.keyed = append(s.set.keyed, k)
	return nil
}

// Async has f run beside the task; what it returns joins Entries, and the acknowledgement waits for it.
func (s *Snapshot) Async(f func(context.Context) ([][]byte, error)) {
	s.set.async = append(s.set.async, asyncPart{s.uid, f})
}

// Graph is what flow built: the job graph and, in the same order, how to make each vertex's chains.
type Graph struct {
	Job      *thalwegv1.JobGraph
	Vertices []*Vertex
}

// Vertex makes the chain of one subtask. A Build that fails has closed what it had made.
type Vertex struct {
	Build func(t *TaskContext) (*Chain, error)
}

// Chain is one subtask's operators.
type Chain struct {
	Operators   []NamedOperator // upstream first
	Gates       []Gate          // one for each incoming edge, in order of edge id; none for sources and coordinators
	Head        Control         // what all gates together feed: watermarks and ends come here; nil: the first gate's input
	Alarms      []Alarm         // operators that are to be woken by the clock
	Source      Source          // of a reader vertex
	Coordinator Coordinator     // of a coordinator vertex
	Committers  int             // operators that confirm: the subtask is not finished before each has confirmed
}

// Close closes the operators, upstream first, each of them whatever became of the others, and gives the first error. User code that panics costs
// its own operator's end, not that of the rest.
func (c *Chain) Close() (first error) {
	for _, o := range c.Operators {
		if err := o.close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

func (o NamedOperator) close() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic in Close of %s: %v", o.UID, r)
		}
	}()
	return o.Operator.Close()
}

// Alarm is an operator that acts at times of the Clock, though no record comes.
type Alarm interface {
	// Next is the earliest time that it wants to be woken at, in ns since 1970, if there is one. It is asked after each slice of work.
	Next() (at int64, ok bool)
	// Ring acts on the time. It is not called after the end of the input, nor while there is no room downstream.
	Ring(now int64) error
}

// Source reads splits and pushes their records into the chain. Its operator half is in Chain.Operators.
type Source interface {
	// Assign adds a split. NoMoreSplits says that none follows.
	Assign(split []byte) error
	NoMoreSplits() error
	// Slowest says how far the slowest reader of its group has come; only the newest counts. Poll follows.
	Slowest(at int64)
	// Poll pushes one slice of records downstream: at most about a millisecond's work, and a batch. Before it returns Ended it
	// has given MaxWatermark and End downstream.
	Poll(*PollContext) (Status, error)
}

// PollContext is what a source polls with. It is empty so far.
type PollContext struct{}

// Status is what a source says of its future.
type Status struct {
	kind  statusKind
	until time.Time
}

type statusKind uint8

const (
	pollAgain statusKind = iota
	pollEnded
	pollWake
	pollUntil
)

// The Status values: poll again at once; everything was read; not before Wake was called.
var (
	More     = Status{}
	Ended    = Status{kind: pollEnded}
	WaitWake = Status{kind: pollWake}
)

// WaitUntil is a Status: not before t, or Wake.
func WaitUntil(t time.Time) Status { return Status{kind: pollUntil, until: t} }

// Coordinator enumerates a source's splits. Its operator half is in Chain.Operators. It ends after its last reader.
type Coordinator interface {
	// Start is called after Open: it may assign splits at once.
	Start(c *CoordinatorContext) error
	// Request is an event of a reader: "split done", "want another".
	Request(reader int, event []byte) error
	// ReaderEnded says that a reader has nothing left to read. It comes once for each, behind its last request; after a restore that had covered the
	// end of all of them, without Start.
	ReaderEnded(reader int)
}

// CoordinatorContext is how a coordinator reaches its readers: in-band, on the channel that carries barriers.
type CoordinatorContext struct {
	Readers int // numbered from 0, those of one vertex behind those of another
	first   int // in the task's outs
	t       *task
}

// Of is the context of the readers that one outgoing edge leads to, in order of edge id: they are numbered from 0 there, and behind first here.
func (c *CoordinatorContext) Of(edge int) (of *CoordinatorContext, first int) {
	for _, e := range c.t.host.graph.Job.Edges {
		if e.From != c.t.id.Vertex {
			continue
		}
		n := len(c.t.edges[int(e.Id)])
		if edge == 0 {
			return &CoordinatorContext{Readers: n, first: first, t: c.t}, first
		}
		first += n
		edge--
	}
	panic(fmt.Sprintf("vertex %s has %d outgoing edges too few", c.t.id.Vertex, edge+1))
}

// maxPayload is the most bytes of a split, or of an event of a reader: what a frame has room for. It holds within a process as well, so that what
// runs there runs anywhere.
const maxPayload = maxFrame - (frameHeader - 8) - 1

// Assign gives a split to a reader. One that no channel could carry is an error, before anything is sent.
func (c *CoordinatorContext) Assign(reader int, split []byte) error {
	if len(split) > maxPayload {
		return fmt.Errorf("a split of %d bytes for reader %d: at most %d can be handed to a reader; let splits say what is to be read, "+
			"such as a file's name and a range, and not hold it", len(split), reader, maxPayload)
	}
	c.t.outs[c.first+reader].control(element{kind: assignment, payload: split})
	return nil
}

// NoMoreSplits tells a reader that it has all it will get.
func (c *CoordinatorContext) NoMoreSplits(reader int) {
	c.t.outs[c.first+reader].control(element{kind: noMoreSplits})
}

// Slowest tells a reader how far the slowest of its group has come.
func (c *CoordinatorContext) Slowest(reader int, at int64) {
	c.t.outs[c.first+reader].control(element{kind: slowest, at: at})
}

// TaskContext is what a chain is built with. Its methods may be called from any goroutine.
type TaskContext struct{ task *task }

// Context ends when the task is cancelled or has ended.
func (t *TaskContext) Context() context.Context { return t.task.ctx }

// JobID is the job's.
func (t *TaskContext) JobID() job.ID { return job.ID(t.task.host.c.Job) }

// JobName is the job's.
func (t *TaskContext) JobName() string { return t.task.host.graph.Job.Name }

// Generation is the run that the task belongs to.
func (t *TaskContext) Generation() job.Generation { return t.task.gen.id }

// Vertex is the id of the task's vertex.
func (t *TaskContext) Vertex() string { return t.task.id.Vertex }

// Subtask is the task's number, from 0.
func (t *TaskContext) Subtask() int { return t.task.id.Subtask }

// Parallelism is how many subtasks the vertex has.
func (t *TaskContext) Parallelism() int { return int(t.task.vertex.Parallelism) }

// MaxParallelism is how many key groups the vertex has.
func (t *TaskContext) MaxParallelism() int { return int(t.task.vertex.MaxParallelism) }

// Groups is the range of key groups [from, to) that this subtask owns.
func (t *TaskContext) Groups() (from, to int) {
	return job.Groups(t.Subtask(), t.MaxParallelism(), t.Parallelism())
}

// Logger carries the task's name.
func (t *TaskContext) Logger() *slog.Logger { return t.task.log }

// Counters are the task's own.
func (t *TaskContext) Counters() *Counters { return &t.task.counters }

// Config is the effective configuration; empty if the key is not set.
func (t *TaskContext) Config(key string) string { return t.task.gen.deploy.Configuration[key] }

// Now is the processing time, in ns since 1970: what Alarms go by.
func (t *TaskContext) Now() int64 { return t.task.host.c.Clock.Now() }

// TempDir is a local directory for what need not outlive the process.
func (t *TaskContext) TempDir() string { return t.task.host.c.TempDir }

// FileSystem is the one that a name belongs to. It is shared: do not close it.
func (t *TaskContext) FileSystem(name string) (storage.FileSystem, error) {
	return t.task.host.c.Storage.Resolve(t.task.ctx, name)
}

// Wake has the source polled soon.
func (t *TaskContext) Wake() { t.task.mail(mail{kind: mailWake}) }

// Request sends an event to the reader's coordinator. One that no channel could carry is an error, and nothing is sent.
func (t *TaskContext) Request(event []byte) error {
	if len(event) > maxPayload {
		return fmt.Errorf("an event of %d bytes for the enumerator: at most %d can be sent; let it say less, or send several", len(event), maxPayload)
	}
	t.task.inputs[0].request(event, false)
	return nil
}

// Confirm says that every transaction of one committer up to a completed checkpoint is committed. Each of the chain's committers
// confirms a checkpoint at most once, and the newest completed one at last.
func (t *TaskContext) Confirm(id int64) { t.task.mail(mail{kind: mailConfirm, id: id}) }

// Hopeless reports, when the task is over and its operators are closed, that what they prepared at the barrier of a checkpoint will never be committed by
// anybody: the checkpoint is not complete, and every one that this task has acknowledged from there on, if any, has been given up by the leader.
func (t *TaskContext) Hopeless(checkpoint int64) bool { return t.task.hopeless(checkpoint) }

// Fail has the task fail with what went wrong beside it, also while it waits for room.
func (t *TaskContext) Fail(err error) { t.task.sever(err) }
