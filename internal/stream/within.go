package stream

import (
	"fmt"
	"time"

	"github.com/thalweg-io/thalweg/internal/stream/align"
)

// An operator that makes much out of one record goes on emitting for as long as it likes, and meanwhile its task does nothing else: no mail is read
// and no barrier taken. What it emits is bounded by credit (waitForRoom). The rest of what cannot wait is done here, within the operator.

// within is what the task knows of the operator that it is inside of.
type within struct {
	operator string
	batches  int // full ones, out of what it has in hand
	looked   time.Time
	barrier  int64 // a checkpoint whose barrier waits; 0: none was seen
	seen     time.Time
}

// lookWithin is how often a task that is held up within an operator looks whether a barrier waits.
const lookWithin = 20 * time.Millisecond

// Within is called by an operator after each full batch that it has emitted and handed on while it goes on emitting; batches is how many it has made so
// out of the one record or timer in hand, 0 if it is not known to be one. The operator returns the error, or unwinds with it.
func (t *TaskContext) Within(operator string, batches int) error {
	return t.task.within(operator, batches)
}

func (t *task) within(operator string, batches int) error {
	if t.ctx.Err() != nil {
		return ErrCancelled
	}
	now := time.Now()
	if now.Sub(t.flushed) >= t.host.c.BufferTimeout { // what it emits to others than its favourite must not lie here
		t.flushed = now
		if err := t.flush(false); err != nil {
			return err
		}
	}
	switch {
	case batches > window: // more than a channel may have unconsumed
		t.inside.operator, t.inside.batches = operator, batches
		return t.overdue(now)
	case t.inside.operator == operator: // has another record in hand
		t.inside = within{}
	}
	return nil
}

// overdue declines a checkpoint whose barrier has waited for its alignment deadline while an operator emitted out of one record. The barrier cannot be
// taken in the middle of one, and whether there is an end nobody knows.
func (t *task) overdue(now time.Time) error {
	if t.inside.batches == 0 || now.Sub(t.inside.looked) < lookWithin {
		return nil
	}
	t.inside.looked = now
	b, waits := t.waitingBarrier()
	if !waits {
		return nil
	}
	if b.ID != t.inside.barrier {
		t.inside.barrier, t.inside.seen = b.ID, now
	}
	if now.Sub(t.inside.seen) < b.Deadline {
		return nil
	}
	e := t.aligner.Step(align.Event{Kind: align.Failed, ID: b.ID})
	e.Late = true
	e.Reason = fmt.Sprintf("operator %q is still emitting out of one record, about %d records so far, and no barrier can pass before it returns; "+
		"one waited for the alignment deadline of %v", t.inside.operator, t.inside.batches*BatchSize, b.Deadline)
	return t.carry(e)
}

// waitingBarrier is the oldest barrier of a checkpoint not given up yet that lies in a channel.
func (t *task) waitingBarrier() (first align.Barrier, some bool) {
	for _, c := range t.inputs {
		if b, ok := c.barrier(t.aligner); ok && (!some || b.ID < first.ID) {
			first, some = b, true
		}
	}
	return first, some
}

// barrier is the first one that waits in the channel and is not given up.
func (c *inChannel) barrier(a *align.Aligner) (align.Barrier, bool) {
	if c.size.Load() == 0 {
		return align.Barrier{}, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := c.mu.head; i < len(c.mu.q); i++ {
		if e := &c.mu.q[i]; e.kind == barrier && !a.Abandoned(e.barrier.ID) {
			return e.barrier, true
		}
	}
	return align.Barrier{}, false
}

// unwinding is what an operator's function is left with when nothing that it emits can go anywhere any more, however little it cares for that.
type unwinding struct{ err error }

// Unwind ends the operator in hand, and with it its task, with an error that has been returned to it before: the task has been cancelled, or failed. It
// is called on the task's goroutine and does not return. A function that recovers from it comes back to it with the next record that it emits.
func Unwind(err error) { panic(unwinding{err}) }
