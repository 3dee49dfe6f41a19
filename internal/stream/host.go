package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
	"github.com/thalweg-io/thalweg/internal/state/offheap"
	"github.com/thalweg-io/thalweg/internal/storage"
	"github.com/thalweg-io/thalweg/internal/stream/align"
)

// Reporter is told what happens to tasks, from their goroutines. It must not block.
type Reporter interface {
	TaskState(*thalwegv1.TaskReport)
	Acknowledge(*thalwegv1.Acknowledge)
	Decline(*thalwegv1.Decline)
	Confirmed(*thalwegv1.Confirmed)
}

// HostConfig is what a process is for as long as it runs one job.
type HostConfig struct {
	Job                    string
	TaskManagerIncarnation string
	Incarnation            string // of this process
	TempDir                string
	Storage                *storage.Registry
	Log                    *slog.Logger
	BufferTimeout          time.Duration // default 100 ms
	CheckpointInterval     time.Duration // unless the job has its own; default 10 s
	InlineThreshold        int           // bytes; default checkpoint.DefaultInlineThreshold
	PlainState             bool          // files with state are not compressed
	CompressRecords        bool          // that this process sends to others, with s2; what it gets may be compressed in any case
	Pretouch               int64         // bytes for state that are touched ahead: offheap.Pretouch
	Clock                  *Clock        // of processing time; nil: the machine's
	Dial                   func(ctx context.Context, address string) (net.Conn, error)
}

// Host runs the tasks of one job in this process. Its methods return at once and may be called from any goroutine; a command of
// a generation that has been replaced does nothing.
type Host struct {
	graph   *Graph
	c       HostConfig
	report  Reporter
	session atomic.Uint64 // epoch of the present session with a leader; 0: none
	mu      struct {
		sync.Mutex
		gen     *generation   // the newest
		changed chan struct{} // closed and replaced when gen is
		closed  bool
	}
	wg sync.WaitGroup

	unpretouch func() // the last that Close does
}

// generation is one run of the job's tasks in this process.
type generation struct {
	id     job.Generation
	deploy *thalwegv1.Deploy
	ctx    context.Context
	cancel context.CancelFunc
	tasks  map[job.TaskID]*task
	built  chan struct{} // closed when tasks and channels are there, or the deploy has failed
	done   chan struct{} // closed when every task and connection is gone
	links  links

	meta     sync.Once
	metaData *checkpoint.Metadata
	metaErr  error

	mu struct {
		sync.Mutex
		reports map[job.TaskID]*thalwegv1.TaskReport
		over    bool // cancelled: what happens now is no failure
	}
}

// NewHost makes a Host for a graph.
func NewHost(g *Graph, c HostConfig, r Reporter) *Host {
	if c.BufferTimeout == 0 {
		c.BufferTimeout = 100 * time.Millisecond
	}
	if own := g.Job.Checkpoints.GetIntervalMs(); own > 0 {
		c.CheckpointInterval = time.Duration(own) * time.Millisecond
	}
	if c.CheckpointInterval == 0 {
		c.CheckpointInterval = 10 * time.Second
	}
	if c.InlineThreshold == 0 {
		c.InlineThreshold = checkpoint.DefaultInlineThreshold
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Dial == nil {
		c.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", address)
		}
	}
	h := &Host{graph: g, c: c, report: r, unpretouch: func() {}}
	h.mu.changed = make(chan struct{})
	if c.Pretouch > 0 {
		h.pretouch()
	}
	return h
}

// pretouch touches memory beside all else, until Close.
func (h *Host) pretouch() {
	ctx, stop := context.WithCancel(context.Background())
	touched := make(chan func(), 1)
	go func() {
		begin := time.Now()
		release, err := offheap.Pretouch(ctx, h.c.Pretouch)
		if err != nil {
			h.c.Log.Warn("no memory is touched ahead of state", "bytes", h.c.Pretouch, "error", err)
			release = func() {}
		} else {
			h.c.Log.Info("memory was touched ahead of state", "bytes", h.c.Pretouch, "took", time.Since(begin))
		}
		touched <- release
	}()
	h.unpretouch = sync.OnceFunc(func() {
		stop()
		(<-touched)()
	})
}

func (h *Host) vertex(id string) *thalwegv1.Vertex {
	for _, v := range h.graph.Job.Vertices {
		if v.Id == id {
			return v
		}
	}
	return nil
}

func (h *Host) current() *generation {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mu.gen
}

// Deploy starts this process's tasks of a generation, after everything of a lower one has ended.
func (h *Host) Deploy(d *thalwegv1.Deploy) {
	id := job.GenerationOf(d.Generation)
	h.mu.Lock()
	old := h.mu.gen
	if h.mu.closed || old != nil && id.Compare(old.id) <= 0 {
		h.mu.Unlock()
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	g := &generation{id: id, deploy: d, ctx: ctx, cancel: cancel, tasks: map[job.TaskID]*task{}, built: make(chan struct{}), done: make(chan struct{})}
	g.mu.reports = map[job.TaskID]*thalwegv1.TaskReport{}
	for _, p := range d.Tasks {
		g.mu.reports[job.TaskIDOf(p)] = &thalwegv1.TaskReport{Job: h.c.Job, GraphVersion: d.GraphVersion, Task: p, Generation: d.Generation,
			State: thalwegv1.TaskState_TASK_STATE_DEPLOYING}
	}
	h.mu.gen = g
	close(h.mu.changed)
	h.mu.changed = make(chan struct{})
	h.wg.Add(1)
	h.mu.Unlock()
	if old != nil {
		h.end(old)
	}
	go func() {
		defer h.wg.Done()
		if old != nil {
			<-old.done
		}
		h.runGeneration(g)
	}()
}

// end cancels a generation's tasks.
func (h *Host) end(g *generation) {
	g.mu.Lock()
	first := !g.mu.over
	g.mu.over = true
	g.mu.Unlock()
	if first {
		for _, id := range g.order() {
			h.state(g, id, thalwegv1.TaskState_TASK_STATE_CANCELING, nil)
		}
	}
	g.cancel()
}

func (g *generation) order() []job.TaskID {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.SortedFunc(maps.Keys(g.mu.reports), job.TaskID.Compare)
}

// Cancel ends every task whose generation is at most upto.
func (h *Host) Cancel(upto job.Generation) {
	if g := h.current(); g != nil && g.id.Compare(upto) <= 0 {
		h.end(g)
	}
}

// defaultDeadline is the alignment deadline of a trigger that names none.
const defaultDeadline = time.Second

// Trigger has the coordinators of this process start a checkpoint.
func (h *Host) Trigger(epoch uint64, tr *thalwegv1.Trigger) {
	b := align.Barrier{Epoch: epoch, ID: tr.Checkpoint, Base: tr.Base, Deadline: time.Duration(tr.AlignmentDeadlineMs) * time.Millisecond, Final: tr.Final}
	if b.Deadline <= 0 {
		b.Deadline = defaultDeadline
	}
	h.each(job.GenerationOf(tr.Generation), func(t *task) {
		if t.chain != nil && t.chain.Coordinator != nil { // nil: the build has failed
			t.mail(mail{kind: mailTrigger, barrier: b})
		}
	})
}

// Complete says that a checkpoint of this generation, or one that it was restored from, is complete.
func (h *Host) Complete(gen job.Generation, id int64) {
	g := h.current()
	if g == nil || g.id != gen {
		return
	}
	h.each(gen, func(t *task) { t.mail(mail{kind: mailComplete, id: id}) })
}

// Abort gives up every checkpoint up to id that is not complete.
func (h *Host) Abort(id int64) {
	if g := h.current(); g != nil {
		h.each(g.id, func(t *task) { t.mail(mail{kind: mailAbort, id: id}) })
	}
}

// Position is what a leader says of the job when this process is registered with it. What is not acknowledged up to the counter is abandoned; the newest of
// these checkpoints may yet complete without it, as its pointer may be on its way.
func (h *Host) Position(p *thalwegv1.JobPosition) {
	if p.Completed > 0 {
		h.Complete(job.GenerationOf(p.CompletedGeneration), p.Completed)
	}
	if g := h.current(); g != nil && p.Counter > 0 {
		h.each(g.id, func(t *task) { t.mail(mail{kind: mailAbandon, id: p.Counter}) })
	}
}

// SessionEpoch says that there is a leader of this epoch. A session of another epoch ends with that.
func (h *Host) SessionEpoch(epoch uint64) {
	if old := h.session.Swap(epoch); old != 0 && old != epoch {
		h.lost()
	}
}

// SessionLost says that there is none: what has not been acknowledged is abandoned.
func (h *Host) SessionLost() {
	h.session.Store(0)
	h.lost()
}

func (h *Host) lost() {
	if g := h.current(); g != nil {
		h.each(g.id, func(t *task) { t.mail(mail{kind: mailLost}) })
	}
}

// each runs f for every task of the present generation, if it is the one named, once they are built.
func (h *Host) each(gen job.Generation, f func(*task)) {
	g := h.current()
	if g == nil || g.id != gen {
		return
	}
	select {
	case <-g.built:
		for _, t := range g.tasks {
			f(t)
		}
	default:
		// Not running yet: no checkpoint of this generation can have reached it, and none can be committed by it.
	}
}

// Reports is what runs or ran, of the newest generation.
func (h *Host) Reports() []*thalwegv1.TaskReport {
	g := h.current()
	if g == nil {
		return nil
	}
	var rs []*thalwegv1.TaskReport
	for _, id := range g.order() {
		rs = append(rs, g.reportOf(id))
	}
	return rs
}

func (g *generation) reportOf(id job.TaskID) *thalwegv1.TaskReport {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := proto.CloneOf(g.mu.reports[id])
	select {
	case <-g.built:
		if t := g.tasks[id]; t != nil {
			r.Counters = t.counters.proto(clock())
		}
	default:
	}
	return r
}

// Accept takes a data connection from another worker.
func (h *Host) Accept(conn net.Conn, hello *thalwegv1.DataHello) {
	h.mu.Lock()
	if h.mu.closed {
		h.mu.Unlock()
		conn.Close()
		return
	}
	h.wg.Add(1)
	h.mu.Unlock()
	go func() {
		defer h.wg.Done()
		h.accept(conn, hello)
	}()
}

// Close ends everything and waits for it.
func (h *Host) Close() {
	h.mu.Lock()
	h.mu.closed = true
	g := h.mu.gen
	close(h.mu.changed)
	h.mu.changed = make(chan struct{})
	h.mu.Unlock()
	if g != nil {
		h.end(g)
	}
	h.wg.Wait()
	h.unpretouch()
}

// state records a task's state and reports it. What is terminal stays.
func (h *Host) state(g *generation, id job.TaskID, s thalwegv1.TaskState, cause error) {
	g.mu.Lock()
	r := g.mu.reports[id]
	if r == nil || terminal(r.State) || r.State == s || r.State == thalwegv1.TaskState_TASK_STATE_CANCELING && !terminal(s) {
		g.mu.Unlock()
		return
	}
	if g.mu.over && s == thalwegv1.TaskState_TASK_STATE_FAILED {
		s, cause = thalwegv1.TaskState_TASK_STATE_CANCELED, nil // a consequence of the end of the others
	}
	r.State = s
	if cause != nil {
		r.Error = cause.Error()
	}
	g.mu.Unlock()
	h.report.TaskState(g.reportOf(id))
}

func terminal(s thalwegv1.TaskState) bool {
	switch s {
	case thalwegv1.TaskState_TASK_STATE_FINISHED, thalwegv1.TaskState_TASK_STATE_CANCELED, thalwegv1.TaskState_TASK_STATE_FAILED:
		return true
	}
	return false
}

func (h *Host) ended(t *task) {
	h.state(t.gen, t.id, thalwegv1.TaskState_TASK_STATE_ENDED, nil)
}

func (h *Host) acknowledged(t *task, a *thalwegv1.Acknowledge) {
	t.gen.mu.Lock()
	r := t.gen.mu.reports[t.id]
	r.Acknowledged = max(r.Acknowledged, a.Checkpoint)
	t.gen.mu.Unlock()
	t.counters.acknowledged(a)
	h.report.Acknowledge(a)
}

func (h *Host) declined(t *task, id int64, reason string, late bool) {
	if reason == "" {
		reason = "given up"
	}
	h.report.Decline(&thalwegv1.Decline{Job: h.c.Job, Generation: t.gen.id.Proto(), Checkpoint: id, Task: t.id.Proto(), Reason: reason, Alignment: late})
}

func (h *Host) confirmed(t *task, id int64) {
	t.gen.mu.Lock()
	r := t.gen.mu.reports[t.id]
	news := id > r.Confirmed
	r.Confirmed = max(r.Confirmed, id)
	t.gen.mu.Unlock()
	if news {
		h.report.Confirmed(&thalwegv1.Confirmed{Job: h.c.Job, Generation: t.gen.id.Proto(), Task: t.id.Proto(), Checkpoint: id})
	}
}

var errCancelledDeploy = errors.New("cancelled before it was built")

// runGeneration builds, runs and ends one generation.
func (h *Host) runGeneration(g *generation) {
	defer close(g.done)
	err := h.build(g)
	close(g.built)
	if err != nil {
		s := thalwegv1.TaskState_TASK_STATE_FAILED
		if g.ctx.Err() != nil {
			s, err = thalwegv1.TaskState_TASK_STATE_CANCELED, nil
		}
		for _, t := range g.tasks {
			t.close() // of what was built: chains hold memory
		}
		for _, id := range g.order() {
			h.state(g, id, s, err)
		}
		g.links.close(fmt.Errorf("the deploy failed"))
		return
	}
	var wg sync.WaitGroup
	for _, t := range g.tasks {
		wg.Go(func() {
			defer close(t.done)
			s, err := t.run(func() error { return h.openTask(g, t) })
			h.state(g, t.id, s, err)
		})
	}
	wg.Wait()
	g.links.finish(g.ctx)
	g.links.close(errors.New("the generation has ended"))
}
