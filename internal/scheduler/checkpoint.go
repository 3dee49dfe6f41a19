package scheduler

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/planted"
)

// coordinator takes checkpoints, one at a time. The order has no exception: id from the fenced counter, triggers,
// acknowledgement of every required subtask for exactly this (generation, id) under this epoch, metadata durable, fenced
// pointer, "complete" to all. Everything before the pointer write can be aborted; nothing after it was sent can.
type coordinator struct {
	o   options
	cur *checkpoint

	requests  []ReplyID     // clients that want the next checkpoint
	now       bool          // one is wanted at once: this leader has just adopted the job
	due       time.Duration // of the next periodic one
	retry     time.Duration // none before: the last one failed
	alignment time.Duration // the present alignment deadline
	failures  int           // in a row, that count as tolerable or not
	exceeded  bool          // more than tolerable: the job is to restart
	sweep     bool          // leavings of aborted checkpoints, or of an earlier leader's, are to be deleted

	stats *thalwegv1.CheckpointStats
}

// options are the effective ones: the job's own, else the cluster's.
type options struct {
	enabled             bool // periodic checkpoints are on
	interval, timeout   time.Duration
	alignment, minPause time.Duration
	retained            int
	tolerable           int // -1: unlimited
}

// phase is how far a checkpoint has come.
type phase uint8

const (
	counting    phase = iota // its id is being taken
	collecting               // triggered: acknowledgements are awaited
	storing                  // all are there: its metadata is being written
	stored                   // its metadata is durable: the pointer may be written
	registering              // the pointer write has been sent: it can not be aborted any more
)

type checkpoint struct {
	phase     phase
	id        int64
	base      int64
	final     bool
	started   Instant
	deadline  time.Duration
	need      []job.TaskID
	acks      map[job.TaskID]*thalwegv1.Acknowledge
	replies   []ReplyID
	pointer   *thalwegv1.CheckpointPointer
	submitted bool // the counter write has been sent
}

// finalRetry is how long a failed checkpoint waits that is not a periodic one.
const finalRetry = time.Second

func (c *coordinator) configure(j *Job) {
	own, cluster := j.graph().GetCheckpoints(), j.c.Checkpoints
	interval := cmp.Or(own.GetIntervalMs(), cluster.GetIntervalMs())
	c.o = options{
		enabled:   interval > 0 && !own.GetDisabled() && !(cluster.GetDisabled() && own.GetIntervalMs() == 0),
		interval:  milliseconds(interval),
		timeout:   milliseconds(cmp.Or(own.GetTimeoutMs(), cluster.GetTimeoutMs(), 600_000)),
		alignment: milliseconds(cmp.Or(own.GetAlignedTimeoutMs(), cluster.GetAlignedTimeoutMs(), 1000)),
		minPause:  milliseconds(cmp.Or(own.GetMinPauseMs(), cluster.GetMinPauseMs())),
		retained:  int(cmp.Or(own.GetRetained(), cluster.GetRetained(), 1)),
		tolerable: int(cmp.Or(own.GetTolerableFailures(), cluster.GetTolerableFailures(), -1)),
	}
	c.alignment = min(c.o.alignment, c.o.timeout)
	if p := j.rec.newest(); p != nil {
		c.stats.LatestId, c.stats.LatestPath, c.stats.LatestSize, c.stats.LatestCompletedMs = p.Id, p.MetadataPath, p.Size, p.CompletedMs
	}
}

// restart begins a new generation's schedule.
func (c *coordinator) restart(j *Job) {
	c.due, c.now, c.retry, c.failures = j.at.Now+c.o.interval, false, 0, 0
}

func (c *coordinator) adopted(j *Job) {
	c.now = c.o.enabled
	c.retry = 0
	for _, inc := range j.registered() {
		j.cancelStale(inc)
	}
}

// advanceCheckpoint moves the checkpoint in progress on, or begins one that is wanted. whole: every subtask is there.
func (j *Job) advanceCheckpoint(whole bool) {
	if j.ck.cur == nil {
		if !whole || !j.checkpointWanted() {
			return
		}
		j.beginCheckpoint()
	}
	c := j.ck.cur
	if c.phase != registering {
		j.wake(c.deadline)
	}
	switch {
	case c.phase == counting && !c.submitted && j.mayWrite():
		c.submitted = true
		j.submit(writeCounter, Write{Counter: j.rec.counter + 1})
	case c.phase == stored && j.mayWrite():
		c.phase = registering
		j.submit(writePointer, Write{Pointer: c.pointer})
	}
}

// expireCheckpoint gives up one that takes too long. A pointer write that has been sent is awaited, however long it takes.
func (j *Job) expireCheckpoint() {
	if c := j.ck.cur; c != nil && c.phase != registering && j.at.Now >= c.deadline {
		j.abortCheckpoint(fmt.Sprintf("checkpoint %d did not complete within %v", c.id, j.ck.o.timeout), true)
	}
}

// checkpointWanted decides whether a checkpoint begins now, and asks to be woken when one becomes due.
func (j *Job) checkpointWanted() bool {
	ended, covered := true, true
	for _, t := range j.tasks {
		switch t.state {
		case thalwegv1.TaskState_TASK_STATE_RUNNING:
			ended = ended && j.covered(t.id)
		case thalwegv1.TaskState_TASK_STATE_ENDED, thalwegv1.TaskState_TASK_STATE_FINISHED:
		default:
			if !j.covered(t.id) {
				return false // still starting: a barrier would wait for it
			}
		}
		covered = covered && (j.covered(t.id) || t.state == thalwegv1.TaskState_TASK_STATE_FINISHED)
	}
	if covered {
		return false // the final checkpoint has completed
	}
	wanted := len(j.ck.requests) > 0 || j.ck.now || ended
	if !wanted && j.ck.o.enabled {
		wanted = j.at.Now >= j.ck.due
		if !wanted {
			j.wake(j.ck.due)
		}
	}
	if wanted && j.at.Now < j.ck.retry {
		j.wake(j.ck.retry)
		return false
	}
	return wanted
}

func (j *Job) beginCheckpoint() {
	final := true
	for _, t := range j.tasks {
		if t.state == thalwegv1.TaskState_TASK_STATE_RUNNING {
			final = false
		}
	}
	j.ck.now = false
	j.ck.due = j.at.Now + j.ck.o.interval
	j.ck.cur = &checkpoint{
		final: final, started: j.at, deadline: j.at.Now + j.ck.o.timeout, acks: map[job.TaskID]*thalwegv1.Acknowledge{},
		replies: j.ck.requests,
	}
	j.ck.requests = nil
}

// counterApplied: the id is this checkpoint's, for ever. If the checkpoint was given up meanwhile, the id is simply unused.
func (j *Job) counterApplied(id int64) {
	c := j.ck.cur
	if c == nil || c.phase != counting || !c.submitted {
		return
	}
	c.id, c.phase = id, collecting
	c.started, c.deadline = j.at, j.at.Now+j.ck.o.timeout
	if f := j.assess(); j.status != running || f.verdict != whole {
		j.abortCheckpoint(fmt.Sprintf("checkpoint %d was not triggered: %s", id, orElse(f.cause, "the job is "+name(j.status))), false)
		return
	}
	if p := j.rec.newest(); p != nil {
		c.base = p.Id
	}
	j.ck.stats.InProgress = id
	j.out.Changed = true
	var roots []string
	for _, t := range j.tasks {
		if j.covered(t.id) {
			continue
		}
		c.need = append(c.need, t.id)
		if t.root {
			roots = append(roots, t.placement.Incarnation)
		}
	}
	slices.Sort(roots)
	for _, inc := range slices.Compact(roots) {
		j.send(inc, &thalwegv1.ToTaskManager{Message: &thalwegv1.ToTaskManager_Trigger{Trigger: &thalwegv1.Trigger{
			Job: j.c.ID, Generation: j.rec.execution.Generation, Checkpoint: id, Base: c.base,
			AlignmentDeadlineMs: j.ck.alignment.Milliseconds(), Final: c.final,
		}}})
	}
	j.reached("triggered")
}

func (j *Job) counterUnsent() {
	if c := j.ck.cur; c != nil && c.phase == counting {
		c.submitted = false
	}
}

// acknowledged takes one subtask's acknowledgement, if it is for exactly this checkpoint.
func (j *Job) acknowledged(inc string, a *thalwegv1.Acknowledge) {
	t := j.mine(inc, a.Task, a.Generation)
	if t == nil {
		return
	}
	if t.report != nil {
		t.report = clone(t.report)
		t.report.Acknowledged = max(t.report.Acknowledged, a.Checkpoint)
	}
	c := j.ck.cur
	exact := c != nil && a.Checkpoint == c.id && a.Epoch == j.c.Epoch
	if planted.On("late-acknowledgement-accepted") {
		exact = c != nil
	}
	if !exact || c.phase != collecting || c.acks[t.id] != nil || !slices.Contains(c.need, t.id) {
		return
	}
	c.acks[t.id] = a
	if len(c.acks) == 1 {
		j.reached("first-acknowledgement")
	}
	if len(c.acks) < len(c.need) {
		return
	}
	j.reached("last-acknowledgement")
	c.phase = storing
	states := map[job.TaskID][]byte{}
	for id, a := range c.acks {
		states[id] = a.State
	}
	for id, s := range j.rec.ended {
		if j.covered(id) {
			states[id] = s
		}
	}
	m := &WriteMetadata{Checkpoint: c.id, Generation: j.rec.generation(), GraphVersion: j.rec.execution.GraphVersion, Base: c.base}
	for _, id := range sortedTasks(states) {
		m.States = append(m.States, SubtaskState{id, states[id]})
	}
	j.out.Metadata = m
}

func (j *Job) declined(inc string, d *thalwegv1.Decline) {
	t, c := j.mine(inc, d.Task, d.Generation), j.ck.cur
	if t == nil || c == nil || c.id != d.Checkpoint || c.phase != collecting || c.acks[t.id] != nil {
		return
	}
	if d.Alignment {
		j.ck.alignment = min(2*j.ck.alignment, j.ck.o.timeout)
	}
	j.abortCheckpoint(fmt.Sprintf("%s declined checkpoint %d: %s", j.display(t.id), c.id, d.Reason), true)
}

// participantLost aborts the checkpoint in progress if a subtask on this taskmanager has not acknowledged it: its worker
// abandons at once whatever it has not acknowledged, or its acknowledgement was lost with the session.
func (j *Job) participantLost(inc, cause string) {
	c := j.ck.cur
	if c == nil || c.phase != collecting {
		return
	}
	for _, id := range c.need {
		if t := j.task(id); c.acks[id] == nil && t.placement.Incarnation == inc {
			j.abortCheckpoint(fmt.Sprintf("checkpoint %d lost taskmanager %s: %s", c.id, t.placement.Taskmanager, cause), false)
			return
		}
	}
}

func (j *Job) metadataWritten(ev MetadataWritten) {
	c := j.ck.cur
	if c == nil || c.id != ev.Checkpoint || c.phase != storing {
		return // aborted meanwhile: the file is garbage of this id
	}
	if ev.Error != "" {
		j.abortCheckpoint(fmt.Sprintf("checkpoint %d: cannot write its metadata: %s", c.id, ev.Error), true)
		return
	}
	j.reached("metadata-durable")
	c.phase = stored
	c.pointer = &thalwegv1.CheckpointPointer{
		Id: c.id, Generation: j.rec.execution.Generation, MetadataPath: ev.Path, MetadataCrc: ev.CRC, CompletedMs: j.at.Wall,
	}
	for _, a := range c.acks {
		c.pointer.Size += a.Bytes
	}
	if planted.On("complete-before-pointer") {
		for _, inc := range j.incarnations() {
			j.sendComplete(inc, c.pointer)
		}
	}
}

// pointerUnsent: the pointer was certainly not written, so the checkpoint is as if its write had never been sent.
func (j *Job) pointerUnsent() {
	c := j.ck.cur
	if c == nil {
		return
	}
	c.phase = stored
	if j.status != running {
		j.abortCheckpoint(fmt.Sprintf("checkpoint %d: the job is %s", c.id, name(j.status)), false)
	}
}

// pointerApplied: the checkpoint exists. Everybody is told, and sinks commit.
func (j *Job) pointerApplied(p *thalwegv1.CheckpointPointer) {
	c := j.ck.cur
	if c == nil {
		return
	}
	j.rec.pointers = append(j.rec.pointers, p)
	ended := map[job.TaskID][]byte{}
	for id, s := range j.rec.ended {
		if !slices.Contains(c.need, id) { // covered before
			ended[id] = s
		}
	}
	for id, a := range c.acks {
		if a.Ended {
			ended[id] = a.State
		}
	}
	j.rec.ended, j.rec.endedUnknown = ended, ""
	for i, inc := range j.incarnations() {
		if i == 0 {
			j.reached("complete")
		}
		j.sendComplete(inc, p)
	}
	j.ck.cur = nil
	j.ck.failures, j.ck.retry = 0, 0
	j.ck.alignment = min(j.ck.o.alignment, j.ck.o.timeout)
	j.ck.due = max(c.started.Now+j.ck.o.interval, j.at.Now+j.ck.o.minPause)
	s := j.ck.stats
	s.Completed++
	s.InProgress = 0
	s.LatestId, s.LatestPath, s.LatestSize, s.LatestCompletedMs = p.Id, p.MetadataPath, p.Size, p.CompletedMs
	s.LatestDurationMs = (j.at.Now - c.started.Now).Milliseconds()
	for _, id := range c.replies {
		j.reply(Reply{ID: id, Checkpoint: p.Id, Path: p.MetadataPath})
	}
	j.out.Changed = true
	if j.ck.sweep {
		j.ck.sweep = false
		j.out.Delete = append(j.out.Delete, DeleteFiles{Token: j.nextToken(), Below: p.Id, Retained: slices.Clone(j.rec.pointers)})
	}
}

// abandonCheckpoint gives up what is in progress, because something else is to be recorded; if the pointer write has been
// sent its answer is awaited instead.
func (j *Job) abandonCheckpoint(why string) {
	if c := j.ck.cur; c != nil && c.phase != registering {
		j.abortCheckpoint(fmt.Sprintf("checkpoint %d: %s", c.id, why), false)
	}
}

// abortCheckpoint: the pointer was never sent. counts: the checkpoint itself failed, which is tolerated so many times.
func (j *Job) abortCheckpoint(why string, counts bool) {
	c := j.ck.cur
	j.ck.cur = nil
	j.ck.sweep = true
	if c.id != 0 { // else it never began
		s := j.ck.stats
		s.Failed++
		s.InProgress = 0
		s.LastFailure = why
		j.notice("warn", why)
		j.out.Changed = true
		for _, inc := range j.incarnations() {
			j.sendAbort(inc, c.id)
		}
	}
	for _, id := range c.replies {
		j.reply(Reply{ID: id, Error: why, Checkpoint: c.id})
	}
	j.ck.due = max(c.started.Now+j.ck.o.interval, j.at.Now+j.ck.o.minPause)
	j.ck.retry = j.at.Now + finalRetry
	if j.ck.o.enabled {
		j.ck.retry = j.at.Now + min(finalRetry, j.ck.o.interval)
	}
	if counts && c.id != 0 && j.ck.o.tolerable >= 0 { // without an id it is the metadata store that failed
		j.ck.failures++
		j.ck.exceeded = j.ck.failures > j.ck.o.tolerable
	}
}

func (j *Job) checkpointRequested(ev CheckpointRequested) {
	if j.status != running {
		j.reply(Reply{ID: ev.Reply, Error: fmt.Sprintf("no checkpoint can be taken: the job is %s", name(j.status))})
		return
	}
	j.ck.requests = append(j.ck.requests, ev.Reply)
}

// failRequests answers clients whose checkpoint will not begin.
func (j *Job) failRequests(why string) {
	for _, id := range j.ck.requests {
		j.reply(Reply{ID: id, Error: why})
	}
	j.ck.requests = nil
}

func (j *Job) sendComplete(inc string, p *thalwegv1.CheckpointPointer) {
	j.send(inc, &thalwegv1.ToTaskManager{Message: &thalwegv1.ToTaskManager_Complete{Complete: &thalwegv1.Complete{
		Job: j.c.ID, Generation: p.Generation, Checkpoint: p.Id}}})
}

func (j *Job) sendAbort(inc string, upto int64) {
	j.send(inc, &thalwegv1.ToTaskManager{Message: &thalwegv1.ToTaskManager_Abort{Abort: &thalwegv1.Abort{Job: j.c.ID, Checkpoint: upto}}})
}

// removeOldPointers keeps the newest so many. The pointer goes first, by a fenced write; its files follow when that is known.
func (j *Job) removeOldPointers() {
	if len(j.rec.pointers) <= j.ck.o.retained || j.write.outstanding != nil {
		return
	}
	if j.mayWrite() {
		j.submit(writePointerRemoval, Write{RemovePointer: j.rec.pointers[0].Id})
	}
}

func (j *Job) pointerRemoved(id int64) {
	for i, p := range j.rec.pointers {
		if p.Id == id {
			j.rec.pointers = slices.Delete(slices.Clone(j.rec.pointers), i, i+1)
			j.out.Delete = append(j.out.Delete, DeleteFiles{Token: j.nextToken(), Removed: p, Retained: slices.Clone(j.rec.pointers)})
			return
		}
	}
}

func sortedTasks[V any](m map[job.TaskID]V) []job.TaskID {
	ids := make([]job.TaskID, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, job.TaskID.Compare)
	return ids
}
