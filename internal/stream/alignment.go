package stream

import (
	"time"

	"github.com/thalweg-io/thalweg/internal/stream/align"
)

// expire gives an alignment up whose deadline has passed.
func (t *task) expire() error {
	if t.deadlineID == 0 || time.Now().Before(t.deadline) {
		return nil
	}
	id := t.deadlineID
	t.deadlineID = 0
	return t.carry(t.aligner.Step(align.Event{Kind: align.Expired, ID: id}))
}

// carry does what the alignment wants, in its order.
func (t *task) carry(e align.Effects) error {
	if e.Cancel != 0 {
		for _, o := range t.outs {
			o.control(element{kind: cancelMarker, id: e.Cancel})
		}
		if t.deadlineID <= e.Cancel {
			t.deadlineID = 0
		}
	}
	for _, id := range e.Earlier {
		t.host.declined(t, id, "a later checkpoint was given up before it was acknowledged", false)
	}
	if e.Decline != 0 {
		t.host.declined(t, e.Decline, e.Reason, e.Late)
	}
	if e.Deadline != 0 {
		t.deadlineID, t.beganAlign = e.Deadline, time.Now()
		t.deadline = t.beganAlign.Add(t.aligner.Deadline())
	}
	if e.Snapshot != nil {
		t.host.c.Clock.note(t) // before the acknowledgement
		return t.snapshot(*e.Snapshot)
	}
	return nil
}
