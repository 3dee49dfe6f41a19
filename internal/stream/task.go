package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
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
	clock      alarmClock // rest's
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
	t.clock.close()
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

// loop works until the task is finished.
func (t *task) loop() error {
	t.low = NoTime
	t.flushed = time.Now()
	t.counters.meter.begin(clock())
	defer func() { t.counters.meter.end(clock()) }()
	for !t.over {
		if err := t.readMail(); err != nil {
			return err
		}
		if t.ctx.Err() != nil {
			return ErrCancelled
		}
		if t.over {
			break
		}
		if err := t.expire(); err != nil { // also of a task that never rests
			return err
		}
		worked, err := t.sliceAndSweep()
		if err != nil {
			return err
		}
		if !worked {
			if err := t.rest(); err != nil {
				return err
			}
		}
	}
	for _, o := range t.outs {
		o.control(element{kind: finished})
	}
	return nil
}

// sliceAndSweep is slice while no snapshot is being taken. Else its sweep gets a share of the time of work, and all of it when there is none.
func (t *task) sliceAndSweep() (worked bool, err error) {
	if t.taking == nil {
		return t.slice()
	}
	began := time.Now()
	if worked, err = t.slice(); err != nil || t.taking == nil {
		return worked, err
	}
	if worked {
		t.sweepBeside(time.Since(began))
		return true, nil
	}
	if err := t.flush(false); err != nil { // as when it rests: what is buffered does not wait for the sweep
		return false, err
	}
	return t.sweep(sweptAtATime), nil
}

// slice does a bounded piece of work, and only with room on every output.
func (t *task) slice() (worked bool, err error) {
	if t.inside.batches > 0 {
		t.inside = within{}
	}
	if !t.room() {
		return false, nil
	}
	if now := time.Now(); now.Sub(t.flushed) >= t.host.c.BufferTimeout {
		t.flushed = now
		if err := t.flush(false); err != nil {
			return false, err
		}
	}
	if worked, err = t.ring(); err != nil {
		return worked, err
	}
	for range t.inputs {
		i := t.turn
		t.turn++
		if t.turn == len(t.inputs) {
			t.turn = 0
		}
		c := t.inputs[i]
		if c.size.Load() == 0 {
			continue
		}
		if t.aligner.Blocked(i) {
			if err := c.failure(); err != nil {
				return false, err // nothing will release it but the end of the alignment
			}
			continue
		}
		e, ok, err := c.take()
		if err != nil {
			return false, err
		}
		if !ok {
			continue
		}
		return true, t.element(i, c, &e)
	}
	if s := t.chain.Source; s != nil && !t.noMore && t.pollable() {
		return true, t.poll(s)
	}
	return worked, nil
}

// ring wakes the operators whose time has come.
func (t *task) ring() (rang bool, err error) {
	if len(t.chain.Alarms) == 0 || t.ended {
		return false, nil
	}
	now := t.host.c.Clock.Now()
	for _, a := range t.chain.Alarms {
		if at, ok := a.Next(); ok && at <= now {
			rang = true
			if err := a.Ring(now); err != nil {
				return rang, err
			}
		}
	}
	return rang, nil
}

// nextAlarm is the earliest time that an operator wants to be woken at, if there is one.
func (t *task) nextAlarm() (next int64, some bool) {
	if t.ended {
		return 0, false
	}
	for _, a := range t.chain.Alarms {
		if at, ok := a.Next(); ok && (!some || at < next) {
			next, some = at, true
		}
	}
	return next, some
}

// alarm is how long the task may rest until the first operator wants to be woken; negative: none does.
func (t *task) alarm() time.Duration {
	next, some := t.nextAlarm()
	if !some {
		return -1
	}
	return t.host.c.Clock.until(next)
}

func (t *task) pollable() bool {
	return t.status.kind == pollAgain || t.status.kind == pollUntil && !time.Now().Before(t.status.until)
}

func (t *task) poll(s Source) (err error) {
	if t.status, err = s.Poll(&PollContext{}); err != nil {
		return err
	}
	if t.status.kind == pollEnded {
		t.noMore = true
		if err := t.flush(true); err != nil {
			return err
		}
		t.endNow()
	}
	return nil
}

func (t *task) room() bool {
	for _, o := range t.outs {
		if !o.room() {
			return false
		}
	}
	return true
}

func (t *task) flush(force bool) error {
	for _, r := range t.routers {
		if err := r.flush(force); err != nil {
			return err
		}
	}
	return nil
}

// waitForRoom blocks inside an operator until some channel has been given credit, or the task is cancelled.
func (t *task) waitForRoom() error {
	t.counters.meter.turn(backpressured, clock())
	defer func() { t.counters.meter.turn(busy, clock()) }()
	var look <-chan time.Time
	if t.inside.batches > 0 {
		tm := time.NewTimer(lookWithin)
		defer tm.Stop()
		look = tm.C
	}
	select {
	case <-t.credit:
		return nil
	case now := <-look:
		return t.overdue(now)
	case <-t.severed:
		t.mu.Lock()
		defer t.mu.Unlock()
		return t.mu.cut
	case <-t.ctx.Done():
		return ErrCancelled
	}
}

// backlogLook is how often a sweep that waits for the storage looks whether there is room.
const backlogLook = 2 * time.Millisecond

// rest waits until there may be something to do. What is buffered goes out first: an idle edge adds no delay.
func (t *task) rest() error {
	if err := t.flush(false); err != nil {
		return err
	}
	var timer <-chan time.Time
	until := time.Duration(-1)
	if t.chain.Source != nil && !t.noMore && t.status.kind == pollUntil && t.room() {
		until = max(time.Until(t.status.until), 0)
	}
	if len(t.chain.Alarms) > 0 && t.room() {
		if d := t.alarm(); d >= 0 && (until < 0 || d < until) {
			until = d
		}
	}
	if t.deadlineID != 0 {
		if d := max(time.Until(t.deadline), 0); until < 0 || d < until {
			until = d
		}
	}
	if t.taking != nil && (until < 0 || until > backlogLook) { // its sweep waits for the storage
		until = backlogLook
	}
	if until == 0 {
		return t.expire()
	}
	var rings <-chan struct{}
	if until > 0 {
		tm := time.NewTimer(until)
		defer tm.Stop()
		timer = tm.C
		rings = t.clock.in(until)
	}
	rests := waiting
	if !t.room() {
		rests = backpressured
	}
	t.counters.meter.turn(rests, clock())
	select {
	case <-t.wake:
	case <-timer:
	case <-rings:
	case <-t.ctx.Done():
		return ErrCancelled
	}
	t.counters.meter.turn(busy, clock())
	return t.expire()
}

// expire gives an alignment up whose deadline has passed.
func (t *task) expire() error {
	if t.deadlineID == 0 || time.Now().Before(t.deadline) {
		return nil
	}
	id := t.deadlineID
	t.deadlineID = 0
	return t.carry(t.aligner.Step(align.Event{Kind: align.Expired, ID: id}))
}

// element takes one element of channel i.
func (t *task) element(i int, c *inChannel, e *element) error {
	switch e.kind {
	case records:
		size := len(e.frame)
		n, err := t.chain.Gates[c.gate].push(*e)
		t.counters.received(n, size)
		c.consumed()
		c.idle, t.allIdle = false, false // whoever is next takes the records as a sign of life
		return err
	case watermark:
		c.idle = false
		if e.at == MaxWatermark {
			c.last = true
			return t.advance()
		}
		if e.at > c.wm { // never backwards
			c.wm = e.at
			return t.advance()
		}
	case idle:
		c.idle = true
		return t.advance()
	case barrier:
		return t.carry(t.aligner.Step(align.Event{Kind: align.Arrived, Channel: i, Barrier: e.barrier, Session: t.host.session.Load()}))
	case cancelMarker:
		return t.carry(t.aligner.Step(align.Event{Kind: align.CancelMarker, Channel: i, ID: e.id}))
	case end:
		c.ended = true
		if t.chain.Source != nil {
			return nil // the coordinator's end: the reader ends when its splits do
		}
		for _, o := range t.inputs {
			if !o.ended {
				return t.advance()
			}
		}
		return t.end()
	case finished:
		c.finished = true
		return t.carry(t.aligner.Step(align.Event{Kind: align.Finished, Channel: i}))
	case assignment:
		t.status = More
		return t.chain.Source.Assign(e.payload)
	case noMoreSplits:
		t.status = More
		return t.chain.Source.NoMoreSplits()
	case slowest:
		t.status = More
		t.chain.Source.Slowest(e.at)
	}
	return nil
}

// advance hands on the least watermark of the channels that are neither idle nor at their end. While there is none, it is the highest that any has
// brought, whichever fell silent first; the last of all watermarks comes when every channel is at its end, as one that is idle may go on.
func (t *task) advance() error {
	if t.head == nil || t.ended {
		return nil
	}
	low, highest, active, idle := MaxWatermark, NoTime, false, false
	for _, c := range t.inputs {
		highest = max(highest, c.wm)
		switch {
		case c.ended || c.last:
		case c.idle:
			idle = true
		default:
			low, active = min(low, c.wm), true
		}
	}
	if !active && idle {
		low = highest
	}
	if low > t.low {
		t.low = low
		t.counters.inMark.set(low)
		if err := t.head.Watermark(low); err != nil {
			return err
		}
	}
	was := t.allIdle
	if t.allIdle = !active && idle; t.allIdle && !was {
		return t.head.Idle()
	}
	return nil
}

// end: the input is over. Operators emit what they hold; the subtask then waits for the checkpoint that covers this.
func (t *task) end() error {
	if t.ended {
		return nil
	}
	if t.head != nil {
		if t.low < MaxWatermark { // the channels may have brought it already
			t.low = MaxWatermark
			t.counters.inMark.set(MaxWatermark)
			if err := t.head.Watermark(MaxWatermark); err != nil {
				return err
			}
		}
		if err := t.head.End(); err != nil {
			return err
		}
	}
	if err := t.flush(true); err != nil {
		return err
	}
	t.endNow()
	return nil
}

func (t *task) endNow() {
	t.ended = true
	if t.chain.Source != nil {
		t.inputs[0].request(nil, true)
	}
	t.host.ended(t)
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

var errNoStorage = errors.New("no checkpoint directory is configured")
