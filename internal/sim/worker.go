package sim

import (
	"fmt"
	"slices"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/stream/align"
	"github.com/thalweg-io/thalweg/internal/taskmanager/core"
)

// worker is one worker process: the session with its taskmanager, and the tasks of one generation. It behaves as
// internal/worker and stream.Host do: commands in order, an epoch below the highest seen refused, every command idempotent.
type worker struct {
	s      *Sim
	tm     *taskmanager
	p      *proc
	pipe   *conn // the taskmanager's end
	toTM   *conn // the own end
	ready  bool
	queued []*thalwegv1.ToWorker // of the taskmanager, until the worker is ready

	epoch      uint64
	session    uint64 // epoch of the leader that the taskmanager has a session with; 0: none
	generation job.Generation
	tasks      []*task // ordered
	heard      time.Duration
	ticked     time.Duration
	silent     bool
	leader     bool
	spoken     bool          // the leader of this session has said something
	without    time.Duration // since when no leader has
	canceled   bool
	contact    time.Duration // when its taskmanager, in a session with a leader, spoke last: for X4
	waiting    []*incoming   // data connections of a generation that is not here yet
}

// incoming is a data connection that has been accepted.
type incoming struct {
	generation job.Generation
	from, to   job.TaskID
	c          *conn
}

func newWorker(tm *taskmanager) *worker {
	w := &worker{s: tm.s, tm: tm}
	w.p = &proc{name: tm.s.name("worker"), host: tm.p.host}
	w.p.died = func() {
		for _, t := range w.tasks {
			t.dead = true
		}
		if tm.worker == w {
			tm.workerExited(w)
		}
	}
	tm.s.start(w.p)
	w.heard, w.ticked, w.without, w.contact = tm.s.now, tm.s.now, tm.s.now, tm.s.now
	return w
}

// open begins the session: what was queued follows.
func (w *worker) open() {
	mine, its := w.s.connect(w.p, w.tm.p)
	w.pipe = its
	mine.message = func(m any) { w.take(m.(*thalwegv1.ToWorker)) }
	mine.ended = func(string) { w.s.kill(w.p) }
	w.toTM = mine
	tm := w.tm
	its.message = func(m any) {
		if tm.worker == w {
			tm.step(core.FromWorker{Job: "job", Message: m.(*thalwegv1.FromWorker)})
		}
	}
	its.open()
	w.ready = true
	for _, m := range w.queued {
		its.send(m)
	}
	w.queued = nil
	w.beat()
}

func (w *worker) post(m *thalwegv1.ToWorker) {
	if !w.ready {
		w.queued = append(w.queued, m)
		return
	}
	w.pipe.send(m)
}

func (w *worker) send(m *thalwegv1.FromWorker) { w.toTM.send(m) }

// beat sends heartbeats and notices a silent taskmanager.
func (w *worker) beat() {
	late := w.s.now - w.ticked
	w.ticked = w.s.now
	if late > w.s.o.heartbeat {
		w.heard = w.s.now
	}
	if w.s.now-w.heard > w.s.o.timeout && !w.silent {
		w.silent = true
		if w.leader {
			w.without = w.s.now
		}
		w.lost()
	}
	if (!w.leader || w.silent) && !w.canceled && w.s.now-w.without > w.s.o.leaderless {
		w.canceled = true
		w.s.log("%s has had no leader for %v", w.p.name, w.s.now-w.without)
		w.s.truth.wound("a worker had no leader for too long")
		w.s.truth.leaderless++
		w.cancel(w.generation, false)
	}
	w.send(&thalwegv1.FromWorker{Message: &thalwegv1.FromWorker_Heartbeat{Heartbeat: &thalwegv1.Heartbeat{}}})
	w.s.after(w.s.o.heartbeat/2, w.p, w.beat)
}

func (w *worker) take(m *thalwegv1.ToWorker) {
	w.heard = w.s.now
	if w.tm.core.Connected() {
		w.contact = w.s.now
	}
	if w.silent {
		w.silent = false
		if w.leader {
			w.session = w.epoch
		}
	}
	if m.Epoch != 0 {
		if m.Epoch < w.epoch {
			w.s.log("%s refuses a command of epoch %d, has seen %d", w.p.name, m.Epoch, w.epoch)
			return
		}
		w.epoch = m.Epoch
		w.spoken = w.spoken || m.GetSession() == nil
	}
	switch c := m.Message.(type) {
	case *thalwegv1.ToWorker_Session:
		w.leader, w.canceled = true, false
		w.session = w.epoch
		w.send(&thalwegv1.FromWorker{Message: &thalwegv1.FromWorker_Report{Report: &thalwegv1.WorkerReport{Request: c.Session.Request, Tasks: w.reports()}}})
	case *thalwegv1.ToWorker_SessionLost:
		if w.leader && w.spoken {
			w.without = w.s.now
		}
		w.leader, w.spoken = false, false
		w.lost()
	case *thalwegv1.ToWorker_Position:
		w.abort(c.Position.Counter)
		w.complete(job.GenerationOf(c.Position.CompletedGeneration), c.Position.Completed)
	case *thalwegv1.ToWorker_Deploy:
		w.deploy(c.Deploy)
	case *thalwegv1.ToWorker_Cancel:
		w.cancel(job.GenerationOf(c.Cancel.Upto), !w.tm.own[m])
	case *thalwegv1.ToWorker_Trigger:
		for _, t := range w.tasks {
			if t.root() && t.generation == job.GenerationOf(c.Trigger.Generation) {
				b := align.Barrier{ID: c.Trigger.Checkpoint, Epoch: w.epoch, Base: c.Trigger.Base, Deadline: time.Duration(c.Trigger.AlignmentDeadlineMs) * time.Millisecond, Final: c.Trigger.Final}
				t.mail(func() { t.aligned(align.Event{Kind: align.Triggered, Barrier: b}) })
			}
		}
	case *thalwegv1.ToWorker_Complete:
		w.complete(job.GenerationOf(c.Complete.Generation), c.Complete.Checkpoint)
	case *thalwegv1.ToWorker_Abort:
		w.abort(c.Abort.Checkpoint)
	}
}

// lost: what has not been acknowledged is abandoned, and barriers count no more until there is a session again.
func (w *worker) lost() {
	w.session = 0
	for _, t := range w.tasks {
		t.mail(func() { t.aligned(align.Event{Kind: align.Lost}) })
	}
}

func (w *worker) abort(upto int64) {
	for _, t := range w.tasks {
		t.mail(func() { t.aligned(align.Event{Kind: align.Aborted, ID: upto}) })
	}
}

func (w *worker) complete(g job.Generation, id int64) {
	for _, t := range w.tasks {
		if t.generation == g && id > 0 {
			t.mail(func() { t.complete(id) })
		}
	}
}

func (w *worker) reports() (rs []*thalwegv1.TaskReport) {
	for _, t := range w.tasks {
		rs = append(rs, t.report())
	}
	return rs
}

// cancel ends every task up to a generation.
func (w *worker) cancel(upto job.Generation, commanded bool) {
	for _, t := range w.tasks {
		if t.generation.Compare(upto) <= 0 && !t.over() {
			if commanded && t.state != thalwegv1.TaskState_TASK_STATE_DEPLOYING {
				w.s.truth.cancelled(t.id, t.generation)
			}
			t.end(thalwegv1.TaskState_TASK_STATE_CANCELED, "")
		}
	}
}

// deploy replaces whatever runs of lower generations.
func (w *worker) deploy(d *thalwegv1.Deploy) {
	g := job.GenerationOf(d.Generation)
	if g.Compare(w.generation) <= 0 {
		w.s.log("%s refuses to deploy %v, has %v", w.p.name, g, w.generation)
		return
	}
	w.cancel(w.generation, false)
	w.generation, w.tasks = g, nil
	for _, id := range d.Tasks {
		t := newTask(w, job.TaskIDOf(id), g, d)
		w.tasks = append(w.tasks, t)
		w.s.truth.deployed(t.id, g)
	}
	slices.SortFunc(w.tasks, func(a, b *task) int { return a.id.Compare(b.id) })
	for _, t := range w.tasks {
		t.restore(d)
	}
	waiting := w.waiting
	w.waiting = nil
	for _, in := range waiting {
		w.accept(in)
	}
}

// accept hands a data connection to its task. A higher generation refuses; one that is not here yet is waited for.
func (w *worker) accept(in *incoming) {
	switch c := in.generation.Compare(w.generation); {
	case c < 0:
		in.c.close("another generation runs here")
		return
	case c > 0:
		w.waiting = append(w.waiting, in)
		w.s.after(10*time.Second, w.p, func() {
			if i := slices.Index(w.waiting, in); i >= 0 {
				w.waiting = slices.Delete(w.waiting, i, i+1)
				in.c.close("the generation did not come")
			}
		})
		return
	}
	for _, t := range w.tasks {
		if t.id == in.to {
			t.attach(in)
			return
		}
	}
	in.c.close(fmt.Sprintf("%v is not here", in.to))
}
