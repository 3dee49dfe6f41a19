package stream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime/debug"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
	"github.com/thalweg-io/thalweg/internal/stream/align"
)

// snapshot takes the operators' states, upstream first, forwards the barrier, and has the rest done beside the task.
func (t *task) snapshot(b align.Barrier) (err error) {
	began := time.Now()
	t.alignTime = 0
	if t.deadlineID == b.ID {
		t.alignTime, t.deadlineID = began.Sub(t.beganAlign), 0
	}
	files, err := t.stateFile(b.ID)
	if err != nil {
		return t.carry(t.refuse(b.ID, err))
	}
	set := &snapshotSet{id: b.ID, began: began, entries: map[string][][]byte{}, files: files, swept: make(chan struct{})}
	defer func() {
		if err != nil { // the task ends, and nobody finishes the file, which may have been begun
			t.snapshots.Go(files.Abort)
		}
	}()
	t.stopTaking()
	if b.Base != 0 {
		maps.DeleteFunc(t.taken, func(id int64, _ []checkpoint.File) bool { return id < b.Base })
		if base := t.taken[b.Base]; sizeOf(base) > t.worthADelta() {
			set.base, set.baseFiles = b.Base, base
		}
	}
	for _, o := range t.chain.Operators {
		s := &Snapshot{ID: b.ID, Base: b.Base, Final: b.Final, uid: o.UID, set: set}
		if err := o.Operator.Snapshot(s); err != nil {
			set.giveUp()
			return fmt.Errorf("snapshot %d of %s: %w", b.ID, o.UID, err)
		}
	}
	t.taking = set
	t.sweep(sweptAtOnce)
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
		m.err = t.finishSnapshot(t.ctx, a, set)
		m.files = set.all
	}()
	return nil
}

// How much of the state is looked at without a pause: at the barrier, so that small state is done with it, and at a time afterwards. The latter is a
// pause for records, of about 10 ns a slot.
const (
	sweptAtOnce  = 16 << 10
	sweptAtATime = 4 << 10
)

// sweepShare is the part of a busy task's time that a sweep takes that began so long ago: with what records take longer whose entries they save first, less
// than a tenth. So that checkpoints of large state still come at their interval, it doubles with each tenth of that after six. A task that rests gives the
// sweep all that is left.
func sweepShare(since, interval time.Duration) float64 {
	late := max(0, float64(since)/float64(interval)-0.6)
	return min(leastSwept*math.Exp2(10*late), mostSwept)
}

const (
	leastSwept = 1. / 56
	mostSwept  = 1. / 4
)

// What waits to be written: beyond the first the sweep rests; beyond the second, as changes go on, the snapshot is given up.
const (
	fullBacklog = 32 << 20
	lostBacklog = 256 << 20
)

// sweepBeside goes on with the snapshot that is being taken, beside work that took the task from began until now.
func (t *task) sweepBeside(began, now time.Time) {
	t.sweepDue += time.Duration(float64(now.Sub(began)) * sweepShare(now.Sub(t.taking.began), t.host.c.CheckpointInterval))
	if t.sweepDue < t.sweepTook {
		return
	}
	t.sweep(sweptAtATime)
	t.sweepTook = time.Since(now)
	t.sweepDue = min(t.sweepDue, 2*t.sweepTook) - t.sweepTook
}

// sweep looks at more of the state for the snapshot that is being taken. It reports false if it has to wait for the storage.
func (t *task) sweep(budget int) bool {
	set := t.taking
	switch waiting := set.files.Backlog(); {
	case t.aligner.Abandoned(set.id):
		t.stopTaking()
		return true
	case waiting > lostBacklog:
		set.lost = fmt.Errorf("%d MiB of changed state wait for the storage, which is too slow", waiting>>20)
		t.stopTaking()
		return true
	case waiting > fullBacklog:
		return false
	}
	for len(set.keyed) > 0 {
		if !set.keyed[0].Sweep(budget) {
			return true
		}
		set.keyed = set.keyed[1:]
	}
	t.taking = nil
	close(set.swept)
	return true
}

// stopTaking gives the snapshot up that is being taken, if there is one.
func (t *task) stopTaking() {
	if t.taking == nil {
		return
	}
	for _, k := range t.taking.keyed {
		k.Abort()
	}
	t.taking.giveUp()
	t.taking = nil
}

// giveUp has nothing come of the snapshot.
func (s *snapshotSet) giveUp() {
	if s.lost == nil {
		s.lost = errGivenUp
	}
	close(s.swept)
}

var errGivenUp = errors.New("the snapshot was given up")

// worthADelta is how large state is before deltas of it are written: below, a base costs as little, and is one file to read.
func (t *task) worthADelta() int64 { return max(int64(t.host.c.InlineThreshold), 64<<10) }

func sizeOf(files []checkpoint.File) (n int64) {
	for i := range files {
		n += files[i].Size
	}
	return n
}

// finishSnapshot runs what takes long and makes every byte durable. Only then may the snapshot be acknowledged.
func (t *task) finishSnapshot(ctx context.Context, a *thalwegv1.Acknowledge, set *snapshotSet) error {
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
	<-set.swept // by the task, at the latest when it ends
	if set.lost != nil {
		set.files.Abort()
		return set.lost
	}
	f, err := set.files.Finish(ctx)
	if err != nil {
		return err
	}
	a.Bytes = s.Bytes()
	if f != nil {
		a.Bytes += f.Size
	}
	set.all = set.files.Chain(set.baseFiles, f)
	s.Files = set.all
	a.State = s.Append(nil)
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
	return checkpoint.NewFileWriter(t.ctx, checkpoint.FileConfig{FS: fs, Dir: dir, Checkpoint: id, Task: t.id, Generation: t.gen.id,
		InlineThreshold: t.host.c.InlineThreshold, Compress: !t.host.c.PlainState}), nil
}

var errNoStorage = errors.New("no checkpoint directory is configured")

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
	t.taken[m.id] = m.files
	t.aligner.Step(align.Event{Kind: align.Acknowledged, ID: m.id})
	t.host.acknowledged(t, m.ack)
	return nil
}
