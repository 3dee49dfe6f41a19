package stream

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
	"github.com/thalweg-io/thalweg/internal/stream/align"
)

// task is one subtask. run is its goroutine and owns everything but what is behind mu, wake and the channels' own locks.
type task struct {
	id       job.TaskID
	gen      *generation
	host     *Host
	vertex   *thalwegv1.Vertex
	log      *slog.Logger
	counters Counters
	ctx      context.Context
	cancel   context.CancelFunc
	wake     chan struct{} // something for the loop to look at
	credit   chan struct{} // some output has more room
	severed  chan struct{} // closed when a connection that this task sends on is lost, or something beside it has failed
	done     chan struct{}
	mu       struct {
		sync.Mutex
		mail []mail
		over bool  // nobody reads it any more
		cut  error // why severed is closed
	}

	chain   *Chain
	head    Control // of the gates
	inputs  []*inChannel
	outs    []*outChannel // of all edges, in order; a coordinator's are its readers
	edges   map[int][]*outChannel
	routers []flusher
	aligner *align.Aligner

	inside     within // of an operator that goes on emitting
	turn       int    // input to look at first
	low        int64
	allIdle    bool
	noMore     bool   // the source has nothing left
	status     Status // of the source, when it was polled last
	flushed    time.Time
	waker      alarmClock // of rest
	deadlineID int64
	deadline   time.Time
	beganAlign time.Time
	alignTime  time.Duration

	ended       bool
	endedBy     int64 // first checkpoint whose snapshot covers the end; 0: none yet
	readersLeft int
	completed   int64
	aborted     int64         // the leader has given up every checkpoint up to it but those that are complete
	confirms    map[int64]int // by checkpoint, of the chain's committers
	confirmed   int64
	restored    int64
	over        bool // FINISHED
	snapshots   sync.WaitGroup
	taking      *snapshotSet                // whose keyed state is being saved; nil: none
	taken       map[int64][]checkpoint.File // keyed state of what was acknowledged, as far as it may be a base
	sweepDue    time.Duration               // of the sweep, for work done since
	sweepTook   time.Duration               // a part of it, the last time
}

func (t *task) openEdge(edge int) []*outChannel { return t.edges[edge] }

func (t *task) edgeMaxParallelism(edge int) int {
	e := t.host.graph.Job.Edges[edge]
	return int(t.host.vertex(e.To).MaxParallelism)
}

// run is the task's life. The state that it ends in is reported by the host.
func (t *task) run(open func() error) (state thalwegv1.TaskState, err error) {
	defer func() {
		if r := recover(); r != nil {
			if u, ok := r.(unwinding); ok {
				state, err = t.outcome(u.err)
			} else {
				state, err = thalwegv1.TaskState_TASK_STATE_FAILED, fmt.Errorf("panic: %v\n%s", r, debug.Stack())
			}
		}
		if e := t.close(); e != nil && err == nil && state == thalwegv1.TaskState_TASK_STATE_FINISHED {
			state, err = thalwegv1.TaskState_TASK_STATE_FAILED, e
		}
	}()
	if err := open(); err != nil {
		return t.outcome(err)
	}
	if err := t.loop(); err != nil {
		return t.outcome(err)
	}
	return thalwegv1.TaskState_TASK_STATE_FINISHED, nil
}

// outcome: an error of a task that was told to end is its end.
func (t *task) outcome(err error) (thalwegv1.TaskState, error) {
	if t.ctx.Err() != nil {
		return thalwegv1.TaskState_TASK_STATE_CANCELED, nil
	}
	return thalwegv1.TaskState_TASK_STATE_FAILED, err
}

func (t *task) close() error {
	t.mu.Lock()
	unread := t.mu.mail
	t.mu.mail, t.mu.over = nil, true
	t.mu.Unlock()
	for _, m := range unread { // a cancel overtakes mail: what becomes of checkpoints is heard nevertheless
		t.hear(m)
	}
	t.cancel()
	t.waker.close()
	t.host.c.Clock.forget(t)
	t.stopTaking()
	t.snapshots.Wait()
	if t.chain == nil {
		return nil
	}
	return t.chain.Close()
}

// openChain restores and opens the operators, downstream first, so that what one emits while it opens finds the next one ready.
func (t *task) openChain(own *checkpoint.SubtaskState, reader *checkpoint.Reader, restoredEnded bool) error {
	ops := t.chain.Operators
	t.confirms = map[int64]int{}
	t.taken = map[int64][]checkpoint.File{}
	t.confirmed = t.restored
	for i := len(ops) - 1; i >= 0; i-- {
		o := ops[i]
		c := &OpenContext{TaskContext: &TaskContext{t}, uid: o.UID, own: own, reader: reader}
		if err := o.Operator.Open(c); err != nil {
			return fmt.Errorf("open %s: %w", o.UID, err)
		}
	}
	if restoredEnded {
		return t.restoreEnded()
	}
	if c := t.chain.Coordinator; c != nil {
		t.readersLeft = len(t.outs)
		return c.Start(&CoordinatorContext{Readers: len(t.outs), t: t})
	}
	return nil
}

// restoreEnded: the restored state covers the end, so that the operators have emitted everything; only the channels must hear it.
func (t *task) restoreEnded() error {
	t.noMore = true
	for _, o := range t.outs {
		if t.chain.Coordinator == nil {
			o.control(element{kind: watermark, at: MaxWatermark})
		}
		o.control(element{kind: end})
	}
	t.endNow()
	return nil
}
