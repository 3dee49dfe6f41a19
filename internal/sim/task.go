package sim

import (
	"fmt"
	"slices"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/stream/align"
)

// task is one subtask in one generation. It takes one element at a time, in the order of its channels, and starts only with
// room on every output.
type task struct {
	s          *Sim
	w          *worker
	id         job.TaskID
	generation job.Generation
	placement  []*thalwegv1.Placement
	state      thalwegv1.TaskState
	err        string
	dead       bool
	align      *align.Aligner
	mailed     time.Duration // arrival of the newest mail
	in         []*inChannel
	out        []*outChannel
	scheduled  bool
	restored   bool

	// what it computes
	position int32
	counts   [sources][keys]int32
	open     []int32
	pending  []txnID
	ended    bool // the end of its input has been passed on and what it had is flushed

	acked, confirmed int64
	endCovered       int64 // the first checkpoint whose snapshot covers the end
	told             int64
}

type inChannel struct {
	from     job.TaskID
	c        *conn
	queue    []element
	ended    bool
	finished bool
}

type outChannel struct {
	to     job.TaskID
	c      *conn
	credit int
	unsent []element // until it is connected
}

// element is what travels through a channel.
type element struct {
	kind    elementKind
	record  int32
	barrier align.Barrier
	id      int64 // of a cancel marker
}

type elementKind uint8

const (
	elementRecord elementKind = iota
	elementBarrier
	elementCancel
	elementEnd
	elementFinished
)

// credit goes back for each record that was consumed.
type credit struct{}

const capacity = 5

// snapshot is the state of a subtask at a barrier, as it is on storage.
type snapshot struct {
	task       job.TaskID
	generation job.Generation
	checkpoint int64
	position   int32
	counts     [sources][keys]int32
	pending    []txnID
	ended      bool
}

func newTask(w *worker, id job.TaskID, g job.Generation, d *thalwegv1.Deploy) *task {
	t := &task{s: w.s, w: w, id: id, generation: g, placement: d.Placement, state: thalwegv1.TaskState_TASK_STATE_DEPLOYING}
	for _, up := range upstream(id) {
		t.in = append(t.in, &inChannel{from: up})
	}
	for _, down := range downstream(id) {
		t.out = append(t.out, &outChannel{to: down, credit: capacity})
	}
	t.align = align.New(len(t.in), d.Restored)
	return t
}

func (t *task) root() bool { return len(t.in) == 0 }

// over: nothing follows any more.
func (t *task) over() bool {
	switch t.state {
	case thalwegv1.TaskState_TASK_STATE_FINISHED, thalwegv1.TaskState_TASK_STATE_CANCELED, thalwegv1.TaskState_TASK_STATE_FAILED:
		return true
	}
	return t.dead
}

func (t *task) report() *thalwegv1.TaskReport {
	return &thalwegv1.TaskReport{Job: "job", GraphVersion: 1, Task: t.id.Proto(), Generation: t.generation.Proto(), State: t.state,
		Acknowledged: t.acked, Confirmed: t.confirmed, Error: t.err}
}

func (t *task) become(state thalwegv1.TaskState) {
	t.state = state
	t.w.send(&thalwegv1.FromWorker{Message: &thalwegv1.FromWorker_TaskState{TaskState: &thalwegv1.TaskStateChanged{Report: t.report()}}})
}

// end is a terminal state; the channels break unless the task is FINISHED, which says so in-band.
func (t *task) end(state thalwegv1.TaskState, err string) {
	if t.over() {
		return
	}
	t.err = err
	t.become(state)
	why := fmt.Sprintf("%v is %v", t.id, state)
	if state == thalwegv1.TaskState_TASK_STATE_FINISHED {
		why = "finished" // a downstream task may be so before those above it
		t.broadcast(element{kind: elementFinished})
	}
	for _, o := range t.out {
		if o.c != nil {
			o.c.close(why)
		}
	}
	for _, in := range t.in {
		if in.c != nil {
			in.c.close(why)
		}
	}
	t.dead = true
}

func (t *task) fail(err string) { t.end(thalwegv1.TaskState_TASK_STATE_FAILED, err) }

// restore reads the state of the restored checkpoint, if there is one, and connects.
func (t *task) restore(d *thalwegv1.Deploy) {
	t.become(thalwegv1.TaskState_TASK_STATE_INITIALIZING)
	t.s.after(15*time.Second, t.w.p, func() {
		if !t.over() && t.state == thalwegv1.TaskState_TASK_STATE_INITIALIZING {
			t.fail("its channels were not connected in time")
		}
	})
	t.dial(0)
	if d.Restored == 0 {
		t.discardOthers()
		t.restored = true
		t.ready()
		return
	}
	var attempt func(n int)
	attempt = func(n int) {
		t.s.storage.read(t.w.p, d.MetadataPath, func(content any, err error) {
			if t.over() {
				return
			}
			if err == nil {
				t.take(d, content.(*metadata))
				return
			}
			if n == 5 {
				t.fail("cannot restore: " + err.Error())
				return
			}
			t.s.after(200*time.Millisecond, t.w.p, func() { attempt(n + 1) })
		})
	}
	attempt(0)
}

func (t *task) take(d *thalwegv1.Deploy, m *metadata) {
	for _, e := range m.entries {
		if e.task != t.id {
			continue
		}
		x, ok := t.s.storage.files[e.path].(*snapshot)
		if !ok {
			if t.generation == job.GenerationOf(t.s.truth.exec.GetGeneration()) {
				t.s.fail("C5: checkpoint %d is restored and %s is gone", d.Restored, e.path)
			}
			t.fail("cannot restore: " + e.path + " is gone") // a zombie's
			return
		}
		t.position, t.counts, t.ended = x.position, x.counts, x.ended
		t.pending = slices.Clone(x.pending)
	}
	t.discardOthers()
	t.restored = true
	t.commit(d.Restored) // what the restored state names is committed by the restore
	t.ready()
}

// discardOthers ends transactions of lower generations that the restored state does not name.
func (t *task) discardOthers() {
	if t.id.Vertex != "sink" {
		return
	}
	named := map[txnID]bool{}
	for _, id := range t.pending {
		named[id] = true
	}
	t.s.ext.discard(t.id.Subtask, t.generation, named)
}

// dial connects the outgoing channels; the taskmanager at the other end holds a connection until its worker is there.
func (t *task) dial(tries int) {
	if t.over() {
		return
	}
	again := false
	for _, o := range t.out {
		if o.c != nil {
			continue
		}
		tm := t.s.taskmanager(t.where(o.to))
		switch {
		case tm == nil:
			t.fail(fmt.Sprintf("cannot connect to %v: its taskmanager is gone", o.to))
			return
		case t.s.cut(t.w.p.host, tm.p.host) || t.s.cut(tm.p.host, t.w.p.host) || tm.worker == nil || !tm.worker.ready || !tm.worker.p.alive:
			again = true
			continue
		}
		t.connect(o, tm.worker)
	}
	if again {
		if tries > 200 {
			t.fail("cannot connect to its downstream tasks")
			return
		}
		t.s.after(50*time.Millisecond, t.w.p, func() { t.dial(tries + 1) })
		return
	}
	t.ready()
}

func (t *task) where(id job.TaskID) string {
	for _, p := range t.placement {
		if job.TaskIDOf(p.Task) == id {
			return p.Incarnation
		}
	}
	return ""
}

func (t *task) connect(o *outChannel, to *worker) {
	mine, its := t.s.connect(t.w.p, to.p)
	o.c = mine
	mine.message = func(any) {
		o.credit++
		t.kick()
	}
	mine.ended = func(cause string) {
		if t.over() || cause == "finished" && t.ended {
			return
		}
		t.fail(fmt.Sprintf("channel to %v is broken: %s", o.to, cause))
	}
	life := to.p.life
	in := &incoming{generation: t.generation, from: t.id, to: o.to, c: its}
	t.s.after(t.s.delay(t.w.p, to.p), nil, func() { t.s.deliver(to.p, life, func() { to.accept(in) }) })
	for _, e := range o.unsent {
		mine.send(e)
	}
	o.unsent = nil
}

// attach takes an accepted connection as one of the inputs.
func (t *task) attach(in *incoming) {
	if t.over() {
		in.c.close("the task is over")
		return
	}
	for i, ch := range t.in {
		if ch.from != in.from {
			continue
		}
		if ch.c != nil {
			t.s.fail("X3: channel %v -> %v of %v is connected twice", ch.from, t.id, t.generation)
		}
		ch.c = in.c
		in.c.message = func(m any) {
			ch.queue = append(ch.queue, m.(element))
			t.kick()
		}
		in.c.ended = func(cause string) {
			if ch.finished || t.over() || slices.ContainsFunc(ch.queue, func(e element) bool { return e.kind == elementFinished }) {
				return
			}
			t.fail(fmt.Sprintf("channel %d from %v is broken: %s", i, ch.from, cause))
		}
		in.c.open()
	}
	t.ready()
}

// ready: restored and connected, so it runs.
func (t *task) ready() {
	if t.over() || !t.restored || t.state != thalwegv1.TaskState_TASK_STATE_INITIALIZING {
		return
	}
	for _, o := range t.out {
		if o.c == nil {
			return
		}
	}
	for _, ch := range t.in {
		if ch.c == nil {
			return
		}
	}
	t.become(thalwegv1.TaskState_TASK_STATE_RUNNING)
	if t.ended { // restored as ended: it says so at once and takes part in barriers
		t.ended = false
		t.finishInput()
	}
	t.kick()
	if t.root() {
		t.emit()
	}
}

func (t *task) put(o *outChannel, e element) {
	if o.c == nil {
		o.unsent = append(o.unsent, e)
		return
	}
	o.c.send(e)
}

// broadcast sends a control element down every channel.
func (t *task) broadcast(e element) {
	for _, o := range t.out {
		t.put(o, e)
	}
}

// emit is a source's loop.
func (t *task) emit() {
	if t.over() || t.ended {
		return
	}
	t.s.after(t.s.between(t.s.o.pace/2, t.s.o.pace*3/2), t.w.p, func() {
		if t.over() || t.ended {
			return
		}
		if t.position >= t.s.recordsOf(sourceOf(t.id)) {
			t.finishInput()
			return
		}
		if o := t.out[t.position%keys%counts]; o.credit > 0 {
			o.credit--
			t.put(o, element{kind: elementRecord, record: recordID(sourceOf(t.id), t.position)})
			t.position++
		}
		t.emit()
	})
}

func (t *task) finishInput() {
	if t.ended {
		return
	}
	t.ended = true
	t.broadcast(element{kind: elementEnd})
	t.become(thalwegv1.TaskState_TASK_STATE_ENDED)
}

// kick lets the task run soon, if it does not already.
func (t *task) kick() {
	if t.scheduled || t.over() || t.root() {
		return
	}
	t.scheduled = true
	t.s.after(t.s.between(20*time.Microsecond, t.s.o.work), t.w.p, t.run)
}

func (t *task) run() {
	t.scheduled = false
	if t.over() || !t.restored || t.state == thalwegv1.TaskState_TASK_STATE_INITIALIZING {
		return
	}
	for _, o := range t.out {
		if o.credit <= 0 {
			return // a credit kicks
		}
	}
	var ready []int
	for i, ch := range t.in {
		if len(ch.queue) > 0 && !t.align.Blocked(i) {
			ready = append(ready, i)
		}
	}
	if len(ready) == 0 {
		return
	}
	i := ready[t.s.rng.IntN(len(ready))]
	ch := t.in[i]
	e := ch.queue[0]
	ch.queue = ch.queue[1:]
	t.consume(i, ch, e)
	t.kick()
}

func (t *task) consume(i int, ch *inChannel, e element) {
	switch e.kind {
	case elementRecord:
		ch.c.send(credit{})
		t.process(e.record)
	case elementBarrier:
		t.aligned(align.Event{Kind: align.Arrived, Channel: i, Barrier: e.barrier})
	case elementCancel:
		t.aligned(align.Event{Kind: align.CancelMarker, Channel: i, ID: e.id})
	case elementEnd:
		ch.ended = true
		if !slices.ContainsFunc(t.in, func(c *inChannel) bool { return !c.ended }) {
			t.finishInput()
		}
	case elementFinished:
		ch.finished = true
		t.aligned(align.Event{Kind: align.Finished, Channel: i})
	}
}

// process is the user's function.
func (t *task) process(r int32) {
	source, offset := recordOf(r)
	k := offset % keys
	if t.id.Vertex == "sink" {
		t.open = append(t.open, r)
		return
	}
	if want := t.counts[source][k]; offset/keys != want {
		t.s.fail("E1: %v of %v: source %d key %d: record number %d follows %d", t.id, t.generation, source, k, offset/keys, want-1)
	}
	t.counts[source][k]++
	o := t.out[k/counts%sinks]
	o.credit--
	t.put(o, element{kind: elementRecord, record: r})
}

// snapshot is taken at the barrier; the acknowledgement follows when it is durable.
func (t *task) snapshot(b align.Barrier) {
	if t.id.Vertex == "sink" && len(t.open) > 0 {
		id := txnID{t.generation, b.ID, t.id.Subtask}
		t.s.ext.prepare(id, t.open)
		t.pending = append(t.pending, id)
		t.open = nil
	}
	x := &snapshot{task: t.id, generation: t.generation, checkpoint: b.ID, position: t.position, counts: t.counts, pending: slices.Clone(t.pending), ended: t.ended}
	path := fmt.Sprintf("chk-%d/%v-%v-%s", b.ID, t.id, t.generation, t.s.name("f"))
	epoch := b.Epoch
	t.s.storage.write(t.w.p, path, x, func(err error) {
		if t.over() {
			return
		}
		switch {
		case err != nil:
			t.aligned(align.Event{Kind: align.Failed, ID: b.ID})
			t.decline(b.ID, err.Error(), false)
			return
		case t.align.Abandoned(b.ID):
			return
		}
		t.aligned(align.Event{Kind: align.Acknowledged, ID: b.ID})
		t.acked = b.ID
		if x.ended && t.endCovered == 0 {
			t.endCovered = b.ID
		}
		t.w.send(&thalwegv1.FromWorker{Message: &thalwegv1.FromWorker_Acknowledge{Acknowledge: &thalwegv1.Acknowledge{
			Job: "job", Generation: t.generation.Proto(), Checkpoint: b.ID, Epoch: epoch, Task: t.id.Proto(), State: []byte(path), Ended: x.ended, Bytes: 1,
		}}})
	})
}

func (t *task) decline(id int64, why string, alignment bool) {
	if t.over() {
		return
	}
	t.w.send(&thalwegv1.FromWorker{Message: &thalwegv1.FromWorker_Decline{Decline: &thalwegv1.Decline{
		Job: "job", Generation: t.generation.Proto(), Checkpoint: id, Task: t.id.Proto(), Reason: why, Alignment: alignment}}})
}

// complete: the checkpoint and all before it are final.
func (t *task) complete(id int64) {
	if t.over() || id < t.told {
		return
	}
	t.told = id
	if t.id.Vertex == "sink" {
		t.s.truth.completedTold(id, t.generation)
		t.commit(id)
		return
	}
	t.covered(id)
}

// commit is retried until the external system has answered.
func (t *task) commit(upto int64) {
	if t.id.Vertex != "sink" {
		return
	}
	var next func()
	next = func() {
		if t.over() {
			return
		}
		i := slices.IndexFunc(t.pending, func(x txnID) bool { return x.checkpoint <= upto })
		if i < 0 {
			if upto > t.confirmed {
				t.confirmed = upto
				t.w.send(&thalwegv1.FromWorker{Message: &thalwegv1.FromWorker_Confirmed{Confirmed: &thalwegv1.Confirmed{
					Job: "job", Generation: t.generation.Proto(), Task: t.id.Proto(), Checkpoint: upto}}})
			}
			t.covered(upto)
			return
		}
		id := t.pending[i]
		t.s.after(t.s.between(100*time.Microsecond, 3*time.Millisecond), t.w.p, func() {
			if t.over() {
				return
			}
			if t.s.ext.failing {
				t.s.after(50*time.Millisecond, t.w.p, next)
				return
			}
			t.w.commits(id)
			t.s.ext.commit(id)
			if i := slices.Index(t.pending, id); i >= 0 {
				t.pending = slices.Delete(slices.Clone(t.pending), i, i+1)
			}
			next()
		})
	}
	next()
}

// covered: a subtask finishes with the completed checkpoint that covers its end.
func (t *task) covered(id int64) {
	if t.endCovered != 0 && t.endCovered <= id {
		t.end(thalwegv1.TaskState_TASK_STATE_FINISHED, "")
	}
}
