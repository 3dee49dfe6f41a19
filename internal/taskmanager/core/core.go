// Package core is the pure core of a taskmanager: which leader it follows, when it may register and with what, what it passes
// on to which worker, and whom it gives up. It owns the taskmanager's view of its tasks. It does no I/O, starts no goroutine and
// reads no clock: every event carries the time, every consequence is an Effect, and the shell carries effects out in order.
//
// Registration is a barrier (docs/design.md): a new epoch first goes down every worker session, and the registration is built
// from the workers' in-order answers, so that no command of an older epoch can still be carried out behind it.
package core

import (
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
)

// ProtocolVersion of the session with the leader.
const ProtocolVersion = 1

// Config is what a taskmanager is for as long as its process lives.
type Config struct {
	ID          string // resource id
	Incarnation string
	Host        string
	DataAddress string
	Slots       int
	OSArch      string

	HeartbeatInterval time.Duration // of messages to the workers, and to the leader until its welcome says otherwise
	HeartbeatTimeout  time.Duration
	// LeaderlessTimeout ends the tasks of a taskmanager without any leader; UnreachableTimeout those of one that knows a newer
	// leader and cannot reach it.
	LeaderlessTimeout  time.Duration
	UnreachableTimeout time.Duration
	// ReportTimeout is how long a registration waits for the workers' answers.
	ReportTimeout time.Duration
	// CancelTimeout is how long a worker's tasks may take to end before the worker is killed.
	CancelTimeout time.Duration
}

// Leader is a leader as discovery shows it. The zero Leader is none.
type Leader struct {
	Epoch       uint64
	Incarnation string
	Address     string // of its gRPC server
}

type phase uint8

const (
	idle       phase = iota // no leader, or waiting to redial
	collecting              // the workers have been told of the epoch
	opening                 // Register is on its way
	open                    // welcomed
)

// Core is the state machine. Its owner calls Step with one event at a time.
type Core struct {
	c       Config
	now     time.Duration
	ticked  time.Duration
	epoch   uint64 // highest seen from anybody
	cluster string // incarnation of the cluster first joined

	leader  Leader // newest known from discovery
	phase   phase
	target  Leader // of the session being made or open
	request uint64 // of the epoch sent down last
	due     time.Duration
	retry   time.Duration // redial not before
	backoff time.Duration

	heard      time.Duration // from the leader
	beat       time.Duration // heartbeat sent
	interval   time.Duration
	timeout    time.Duration
	without    time.Duration // since when there is no session
	complained Leader        // that could not be reached, and was said so
	served     uint64        // epoch of the leader that welcomed last
	cancelled  bool          // leaderless tasks have been cancelled
	sequence   uint64

	jobs map[string]*jobState
	out  []Effect
}

type jobState struct {
	id         string
	generation job.Generation
	tasks      map[job.TaskID]*thalwegv1.TaskReport

	running  bool // a worker process exists
	ready    bool // it has said so
	heard    time.Duration
	answered bool          // to the newest epoch sent down
	endBy    time.Duration // tasks that are to end must have by then; 0: none
	// handed is a deploy that a worker already running was given and has not spoken of yet: if it turns out to have been dying,
	// the next one gets it.
	handed *thalwegv1.Deploy
}

// New makes the core of a taskmanager that knows of no leader at time now (monotonic, any origin).
func New(c Config, now time.Duration) *Core {
	return &Core{c: c, now: now, ticked: now, without: now, interval: c.HeartbeatInterval, timeout: c.HeartbeatTimeout,
		jobs: map[string]*jobState{}}
}

// Epoch is the highest epoch seen.
func (c *Core) Epoch() uint64 { return c.epoch }

// Connected reports whether a leader has welcomed this taskmanager.
func (c *Core) Connected() bool { return c.phase == open }

// TickInterval is how often the shell must send a Tick: a fraction of the heartbeat, so that the core notices its own pauses.
func (c *Core) TickInterval() time.Duration {
	return max(min(c.c.HeartbeatInterval/6, 250*time.Millisecond), 10*time.Millisecond)
}

// Step takes one event that happened at time now and returns what must be done, in order.
func (c *Core) Step(now time.Duration, ev Event) []Effect {
	c.now = now
	c.out = nil
	switch ev := ev.(type) {
	case LeaderChanged:
		c.leaderChanged(ev.Leader)
	case SessionWelcomed:
		c.welcomed(ev)
	case SessionEnded:
		c.sessionEnded(ev)
	case Command:
		c.command(ev)
	case WorkerStarted:
		c.workerStarted(ev)
	case FromWorker:
		c.fromWorker(ev)
	case WorkerExited:
		c.workerExited(ev)
	case Tick:
		c.tick()
	case Stop:
		c.stop()
	}
	return c.out
}

func (c *Core) emit(e Effect) { c.out = append(c.out, e) }

// sorted gives the jobs in a fixed order: effects must not depend on the order of a map.
func (c *Core) sorted() []*jobState {
	js := make([]*jobState, 0, len(c.jobs))
	for _, j := range c.jobs {
		js = append(js, j)
	}
	slices.SortFunc(js, func(a, b *jobState) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
	return js
}

func (j *jobState) reports() []*thalwegv1.TaskReport {
	ids := make([]job.TaskID, 0, len(j.tasks))
	for id := range j.tasks {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, job.TaskID.Compare)
	rs := make([]*thalwegv1.TaskReport, len(ids))
	for i, id := range ids {
		rs[i] = proto.CloneOf(j.tasks[id]) // what leaves the core is the receiver's
	}
	return rs
}

// Terminal reports whether a task state is one that nothing follows.
func Terminal(s thalwegv1.TaskState) bool {
	switch s {
	case thalwegv1.TaskState_TASK_STATE_FINISHED, thalwegv1.TaskState_TASK_STATE_CANCELED, thalwegv1.TaskState_TASK_STATE_FAILED:
		return true
	}
	return false
}
