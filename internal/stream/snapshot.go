package stream

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
	"github.com/thalweg-io/thalweg/internal/stream/align"
)

// snapshot takes the operators' states, upstream first, forwards the barrier, and has the rest done beside the task.
func (t *task) snapshot(b align.Barrier) error {
	began := time.Now()
	t.alignTime = 0
	if t.deadlineID == b.ID {
		t.alignTime, t.deadlineID = began.Sub(t.beganAlign), 0
	}
	files, err := t.stateFile(b.ID)
	if err != nil {
		return t.carry(t.refuse(b.ID, err))
	}
	set := &snapshotSet{entries: map[string][][]byte{}, files: files}
	for _, o := range t.chain.Operators {
		s := &Snapshot{ID: b.ID, Base: b.Base, Final: b.Final, uid: o.UID, set: set}
		if err := o.Operator.Snapshot(s); err != nil {
			return fmt.Errorf("snapshot %d of %s: %w", b.ID, o.UID, err)
		}
	}
	if err := t.flush(true); err != nil {
		return fmt.Errorf("snapshot %d: %w", b.ID, err)
	}
	for _, o := range t.outs {
		o.control(element{kind: barrier, barrier: b})
	}
	if t.ended && t.endedBy == 0 {
		t.endedBy = b.ID
	}
	a := &thalwegv1.Acknowledge{
		Job: t.host.c.Job, Generation: t.gen.id.Proto(), Checkpoint: b.ID, Epoch: b.Epoch, Task: t.id.Proto(),
		Ended: t.ended, AlignmentNs: int64(t.alignTime), SyncNs: int64(time.Since(began)),
	}
	t.snapshots.Add(1)
	go func() {
		defer t.snapshots.Done()
		began := time.Now()
		m := mail{kind: mailSnapshot, id: b.ID, ack: a}
		defer func() {
			if r := recover(); r != nil { // user code: it costs the task, not the process
				m = mail{kind: mailBroken, err: fmt.Errorf("panic in the snapshot of checkpoint %d: %v\n%s", b.ID, r, debug.Stack())}
			}
			a.AsyncNs = int64(time.Since(began))
			t.mail(m)
		}()
		m.err = t.finishSnapshot(t.ctx, b, a, set)
	}()
	return nil
}

// finishSnapshot runs what takes long and makes every byte durable. Only then may the snapshot be acknowledged.
func (t *task) finishSnapshot(ctx context.Context, b align.Barrier, a *thalwegv1.Acknowledge, set *snapshotSet) error {
	for _, p := range set.async {
		entries, err := p.f(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", p.uid, err)
		}
		set.entries[p.uid] = append(set.entries[p.uid], entries...)
	}
	s := &checkpoint.SubtaskState{Vertex: t.id.Vertex, Subtask: t.id.Subtask, Generation: t.gen.id, Ended: a.Ended}
	for _, o := range t.chain.Operators {
		if e := set.entries[o.UID]; len(e) > 0 {
			s.Operators = append(s.Operators, checkpoint.OperatorState{UID: o.UID, Entries: e})
		}
	}
	f, err := set.files.Finish(ctx)
	if err != nil {
		return err
	}
	if f != nil {
		s.Files = append(s.Files, *f)
	}
	a.State = s.Append(nil)
	a.Bytes = s.Bytes()
	return nil
}

// stateFile is where the snapshot's keyed state goes; nothing is created before its Finish.
func (t *task) stateFile(id int64) (*checkpoint.FileWriter, error) {
	dir := t.gen.deploy.CheckpointDir
	if dir == "" {
		return nil, errNoStorage
	}
	fs, err := t.host.c.Storage.Resolve(t.ctx, dir)
	if err != nil {
		return nil, err
	}
	return checkpoint.NewFileWriter(checkpoint.FileConfig{FS: fs, Dir: dir, Checkpoint: id, Task: t.id, Generation: t.gen.id,
		InlineThreshold: t.host.c.InlineThreshold}), nil
}

// refuse gives up a checkpoint that this task cannot take: the job runs on.
func (t *task) refuse(id int64, err error) align.Effects {
	e := t.aligner.Step(align.Event{Kind: align.Failed, ID: id})
	e.Reason = err.Error()
	return e
}

// snapshotDone acknowledges, or declines. The result of one that was given up meanwhile is dropped: its files are never referred to.
func (t *task) snapshotDone(m mail) error {
	if t.aligner.Abandoned(m.id) {
		return nil
	}
	if m.err != nil {
		if t.ended && t.endedBy == m.id {
			t.endedBy = 0
		}
		return t.carry(t.refuse(m.id, m.err))
	}
	t.aligner.Step(align.Event{Kind: align.Acknowledged, ID: m.id})
	t.host.acknowledged(t, m.ack)
	return nil
}
