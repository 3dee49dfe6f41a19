package stream

import (
	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
	"github.com/thalweg-io/thalweg/internal/stream/align"
)

type mailKind uint8

const (
	mailTrigger mailKind = iota + 1
	mailLost
	mailAbort   // these checkpoints will never be complete, but for those that are
	mailAbandon // of these checkpoints, the leader waits for none that is not acknowledged
	mailComplete
	mailRequest
	mailSnapshot // the result of a snapshot's asynchronous part
	mailConfirm
	mailBroken // see sever
	mailWake
)

type mail struct {
	kind    mailKind
	barrier align.Barrier
	id      int64
	reader  int
	event   []byte
	ended   bool
	ack     *thalwegv1.Acknowledge
	files   []checkpoint.File
	err     error
}

func (t *task) mail(m mail) {
	t.mu.Lock()
	if !t.mu.over {
		t.mu.mail = append(t.mu.mail, m)
	}
	t.mu.Unlock()
	t.poke()
}

// sever tells the task that it cannot go on, also while it waits for room: a connection it sends on, perhaps that very one, is lost, or something
// beside it has failed.
func (t *task) sever(err error) {
	t.mu.Lock()
	first := t.mu.cut == nil
	if first {
		t.mu.cut = err
		close(t.severed)
	}
	t.mu.Unlock()
	if first {
		t.mail(mail{kind: mailBroken, err: err})
	}
}

func (t *task) poke() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// readMail carries out what others have asked for.
func (t *task) readMail() error {
	t.mu.Lock()
	ms := t.mu.mail
	t.mu.mail = nil
	t.mu.Unlock()
	for _, m := range ms {
		if err := t.open(m); err != nil {
			return err
		}
	}
	return nil
}

func (t *task) open(m mail) error {
	switch m.kind {
	case mailTrigger:
		return t.carry(t.aligner.Step(align.Event{Kind: align.Triggered, Barrier: m.barrier, Session: t.host.session.Load()}))
	case mailLost:
		return t.carry(t.aligner.Step(align.Event{Kind: align.Lost}))
	case mailAbort, mailAbandon:
		t.hear(m)
		return t.carry(t.aligner.Step(align.Event{Kind: align.Aborted, ID: m.id}))
	case mailComplete:
		return t.complete(m.id)
	case mailConfirm:
		if t.confirms[m.id]++; t.confirms[m.id] >= t.chain.Committers {
			t.confirm(m.id)
		}
	case mailWake:
		t.status = More
	case mailSnapshot:
		return t.snapshotDone(m)
	case mailBroken:
		if !t.over {
			return m.err
		}
	case mailRequest:
		if !m.ended {
			return t.chain.Coordinator.Request(m.reader, m.event)
		}
		t.chain.Coordinator.ReaderEnded(m.reader)
		if t.readersLeft--; t.readersLeft == 0 && !t.ended {
			for _, o := range t.outs {
				o.control(element{kind: end})
			}
			t.endNow()
		}
	}
	return nil
}
