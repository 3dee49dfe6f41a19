package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/storage"
	"github.com/thalweg-io/thalweg/internal/storage/schemes"
	"github.com/thalweg-io/thalweg/internal/stream"
)

// engine runs the job on one host and takes its checkpoints, in a leader's place.
type engine struct {
	keys   uint64
	source *source
	sink   *sink
	host   *stream.Host
	files  *storage.Registry
	graph  *stream.Graph
	id     string
	dir    string
	last   int64 // completed
	next   int64
	acks   chan *thalwegv1.Acknowledge
	failed chan error
}

var generation = job.Generation{Epoch: 1, N: 1}

func start(keys uint64, dir string) (*engine, error) {
	src := &source{ready: make(chan struct{})}
	e := &engine{keys: keys, source: src, sink: &sink{source: src}, files: schemes.Open(), id: string(job.NewID()), dir: dir,
		acks: make(chan *thalwegv1.Acknowledge, 16), failed: make(chan error, 16)}
	var err error
	if e.graph, err = graph(e.source, e.sink); err != nil {
		return nil, err
	}
	d := &thalwegv1.Deploy{Job: e.id, GraphVersion: 1, Generation: generation.Proto(), CheckpointDir: "file://" + dir + "/" + e.id}
	for _, v := range e.graph.Job.Vertices {
		id := job.TaskID{Vertex: v.Id}.Proto()
		d.Tasks = append(d.Tasks, id)
		d.Placement = append(d.Placement, &thalwegv1.Placement{Task: id, Taskmanager: "t", Incarnation: "t"})
	}
	e.host = stream.NewHost(e.graph, stream.HostConfig{Job: e.id, TaskManagerIncarnation: "t", Incarnation: "t", TempDir: dir, Storage: e.files, InlineThreshold: 20 << 10}, e)
	e.host.SessionEpoch(1)
	e.host.Deploy(d)
	select {
	case <-src.ready:
		return e, nil
	case err := <-e.failed:
		return nil, err
	}
}

func (e *engine) close() {
	e.host.Close()
	e.files.Close()
}

// result is what happened in a window.
type result struct {
	records int64
	lasted  time.Duration
	pause   histogram // of records
	stall   histogram // of a thread that only sleeps
	took    time.Duration
	bytes   int64
}

func (r *result) rate() float64 { return float64(r.records) / r.lasted.Seconds() }

func (r *result) add(o *result) {
	r.pause.merge(&o.pause)
	r.stall.merge(&o.stall)
}

// grow gives every key once.
func (e *engine) grow() (*result, error) {
	r, end := e.measure()
	e.source.order(orders{keys: e.keys, inTurn: true, limit: int64(e.keys)})
	err := e.through(int64(e.keys))
	end()
	return r, err
}

// through waits until the source has given so many.
func (e *engine) through(n int64) error {
	for e.source.given.Load() < n {
		select {
		case err := <-e.failed:
			return err
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

// measure begins a window; end ends it.
func (e *engine) measure() (r *result, end func()) {
	r = &result{}
	over, done := make(chan struct{}), make(chan struct{})
	go sleeper(&r.stall, over, done)
	began := time.Now()
	e.sink.window.Store(r)
	return r, func() {
		e.sink.window.Store(nil)
		r.lasted = time.Since(began)
		close(over)
		<-done
		time.Sleep(5 * time.Millisecond) // the sink may be in the middle of a batch
	}
}

// sleeper measures what the machine does to a thread that wants nothing but to wake after a millisecond.
func sleeper(h *histogram, over, done chan struct{}) {
	runtime.LockOSThread()
	defer close(done)
	for {
		select {
		case <-over:
			return
		default:
		}
		began := time.Now()
		ts := syscall.NsecToTimespec(int64(time.Millisecond))
		if err := syscall.Nanosleep(&ts, nil); err != nil {
			continue // interrupted
		}
		h.add(max(0, time.Since(began)-time.Millisecond), 1)
	}
}

// pair is a window without a checkpoint and one with, of the same length.
func (e *engine) pair(rate float64) (without, with *result, err error) {
	if with, err = e.window(rate); err != nil {
		return nil, nil, err
	}
	without, end := e.measure()
	time.Sleep(with.lasted)
	end()
	return without, with, nil
}

// window lasts as long as a checkpoint.
func (e *engine) window(rate float64) (*result, error) {
	e.source.order(orders{keys: e.keys, rate: rate})
	time.Sleep(300 * time.Millisecond)
	r, end := e.measure()
	err := e.checkpoint(r)
	end()
	return r, err
}

// checkpoint takes one.
func (e *engine) checkpoint(r *result) error {
	began := time.Now()
	e.next++
	e.host.Trigger(1, &thalwegv1.Trigger{Job: e.id, Generation: generation.Proto(), Checkpoint: e.next, Base: e.last, AlignmentDeadlineMs: 60_000})
	for range e.graph.Job.Vertices {
		select {
		case a := <-e.acks:
			r.bytes += a.Bytes
		case err := <-e.failed:
			return err
		case <-time.After(5 * time.Minute):
			return fmt.Errorf("checkpoint %d is not acknowledged", e.next)
		}
	}
	r.took = time.Since(began)
	e.last = e.next
	e.host.Complete(generation, e.last)
	return nil
}

// few takes a checkpoint after another one, between which n keys change.
func (e *engine) few(n int) (*result, error) {
	stop := orders{keys: e.keys, inTurn: true, limit: 1}
	e.source.order(stop)
	time.Sleep(200 * time.Millisecond)
	// Groups whose deltas had grown are written anew first, some with each checkpoint.
	for range 64 {
		r := &result{}
		if err := e.checkpoint(r); err != nil {
			return nil, err
		}
		if r.bytes < int64(n) {
			break
		}
	}
	e.source.order(orders{keys: e.keys, inTurn: true, limit: int64(n)})
	if err := e.through(int64(n)); err != nil {
		return nil, err
	}
	r := &result{}
	return r, e.checkpoint(r)
}

// TaskState implements stream.Reporter.
func (e *engine) TaskState(r *thalwegv1.TaskReport) {
	if r.State == thalwegv1.TaskState_TASK_STATE_FAILED {
		e.failed <- fmt.Errorf("task %s: %s", r.Task.Vertex, r.Error)
	}
}

// Acknowledge implements stream.Reporter.
func (e *engine) Acknowledge(a *thalwegv1.Acknowledge) { e.acks <- a }

// Decline implements stream.Reporter.
func (e *engine) Decline(d *thalwegv1.Decline) {
	e.failed <- fmt.Errorf("checkpoint %d declined: %s", d.Checkpoint, d.Reason)
}

// Confirmed implements stream.Reporter.
func (e *engine) Confirmed(*thalwegv1.Confirmed) {}

// rss is the resident memory of the process, which is measured on Linux only.
func rss() int64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, _ := strconv.ParseInt(strings.Fields(v)[0], 10, 64)
			return n << 10
		}
	}
	return 0
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}
