package sim

import (
	"time"

	"github.com/thalweg-io/thalweg/internal/stream/align"
)

// aligned feeds the real alignment core and carries out what it says, in the order that align.Effects states.
func (t *task) aligned(ev align.Event) {
	if t.over() {
		return
	}
	ev.Session = t.w.session
	e := t.align.Step(ev)
	if e.Cancel != 0 {
		t.broadcast(element{kind: elementCancel, id: e.Cancel})
	}
	if t.w.session != 0 {
		for _, id := range e.Earlier {
			t.decline(id, "a later checkpoint was given up", false)
		}
		if e.Decline != 0 {
			t.decline(e.Decline, e.Reason, e.Late)
		}
	}
	if e.Deadline != 0 {
		t.watch(e.Deadline, t.align.Deadline())
	}
	if e.Snapshot != nil {
		t.snapshot(*e.Snapshot)
		t.broadcast(element{kind: elementBarrier, barrier: *e.Snapshot})
	}
	t.kick()
}

// watch has Expired come when the deadline has passed, and checks that the barrier has released its channels then (C11).
func (t *task) watch(id int64, deadline time.Duration) {
	t.s.after(deadline, t.w.p, func() {
		t.aligned(align.Event{Kind: align.Expired, ID: id})
		if !t.over() && t.align.Aligning() == id {
			t.s.fail("C11: %v of %v is still blocked for checkpoint %d after its deadline of %v", t.id, t.generation, id, deadline)
		}
	})
}

// mail hands something to the task's mailbox: in order, a little later.
func (t *task) mail(run func()) {
	at := max(t.s.now+t.s.between(0, 400*time.Microsecond), t.mailed)
	t.mailed = at
	t.s.after(at-t.s.now, t.w.p, func() {
		if !t.over() {
			run()
		}
	})
}
