package stream

import (
	"fmt"
	"maps"
)

// hear notes what mail says of the fate of checkpoints. It reports whether that is news.
func (t *task) hear(m mail) (news bool) {
	switch {
	case m.kind == mailComplete && m.id > t.completed:
		t.completed = m.id
	case m.kind == mailAbort && m.id > t.aborted:
		t.aborted = m.id
	default:
		return false
	}
	return true
}

// hopeless reports that what was prepared at the barrier of a checkpoint is in no completed checkpoint, and in none that may yet complete. The leader's
// word comes in order: what it aborts without having told of its completion before is not complete.
func (t *task) hopeless(checkpoint int64) bool {
	acked := t.aligner.Acknowledged()
	return checkpoint > t.completed && (acked < checkpoint || acked <= t.aborted)
}

// complete: the checkpoint exists. Everything up to it is committed, and a subtask whose end it covers is finished.
func (t *task) complete(id int64) error {
	if !t.hear(mail{kind: mailComplete, id: id}) {
		return nil
	}
	for _, o := range t.chain.Operators {
		if err := o.Operator.Complete(id); err != nil {
			return fmt.Errorf("complete checkpoint %d in %s: %w", id, o.UID, err)
		}
	}
	if t.chain.Committers == 0 {
		t.confirm(id)
	}
	return nil
}

// confirm reports what every committer has confirmed, and finishes.
func (t *task) confirm(id int64) {
	t.confirmed = max(t.confirmed, id)
	maps.DeleteFunc(t.confirms, func(k int64, _ int) bool { return k <= t.confirmed })
	t.host.confirmed(t, t.confirmed)
	if t.ended && t.endedBy != 0 && t.confirmed >= t.endedBy {
		t.over = true
	}
}
