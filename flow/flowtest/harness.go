package flowtest

import (
	"context"
	"errors"
	"testing"

	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/storage"
	"github.com/thalweg-io/thalweg/internal/storage/file"
	"github.com/thalweg-io/thalweg/internal/storage/storagetest"
	"github.com/thalweg-io/thalweg/internal/stream"
)

// Harness runs one job, in the place of a leader. Sources and sinks are made with it before the job is started. Its methods are called by the test's
// goroutine; they fail the test when a task fails. The job ends with the test.
type Harness struct {
	t       testing.TB
	sources []feed
	sinks   []collection
	news    *news
	files   *storage.Registry
	clock   *stream.Clock // of processing time
	build   func(*flow.Job) error
	id      string
	temp    string
	starts  uint64 // runs so far
	counter int64  // of checkpoints
	run     *run   // nil: before Start, and after the end
}

// scheme is that of the file system that the job's checkpoints are in; file, too, is known.
const scheme = "mem"

// everything is an inline threshold that no snapshot of a test is above: all of it travels with the acknowledgement.
const everything = 1 << 30

// New makes a Harness for a test.
func New(t testing.TB) *Harness {
	disk := storagetest.NewMem()
	h := &Harness{t: t, news: newNews(), clock: stream.NewClock(beginning.UnixNano()), id: string(job.NewID()), temp: t.TempDir()}
	h.files = storage.NewRegistry(map[string]storage.Opener{
		"file": file.Open,
		scheme: func(context.Context, string) (storage.FileSystem, error) { return disk.Client(), nil },
	})
	t.Cleanup(h.close)
	return h
}

// Start builds and starts the job, as flow.Main does. Sources that set no parallelism get the given one.
func (h *Harness) Start(parallelism int, build func(*flow.Job) error) {
	h.t.Helper()
	h.check(h.start(parallelism, build))
}

// Settle returns when all that was pushed has gone through the job, and what its sinks commit with checkpoints is committed: it takes one. A source
// that has ended has its end gone through as well, and timers have fired whose time has come (see Advance). What the job reads from sources of other packages is not waited for.
func (h *Harness) Settle() { h.t.Helper(); h.check(h.settle()) }

// Snapshot takes a snapshot of the job as it is, which may be in the midst of what was pushed: after Settle it is of all.
func (h *Harness) Snapshot() *Snapshot {
	h.t.Helper()
	s, err := h.snapshot()
	h.check(err)
	return s
}

// Restore ends the job as a failure would, and starts it again from a snapshot, at a parallelism as for Start. Sinks have what they had, and
// sources give again what was pushed since. The clock goes on: a timer of processing time whose time has come since fires at once.
func (h *Harness) Restore(from *Snapshot, parallelism int) {
	h.t.Helper()
	h.check(h.restore(from, parallelism))
}

// Finish ends all sources and returns when the job has finished.
func (h *Harness) Finish() { h.t.Helper(); h.check(h.finish()) }

// Failure returns when a task has failed, which it is expected to, and says why. Only a Restore can follow.
func (h *Harness) Failure() error {
	h.t.Helper()
	if h.run == nil {
		h.check(errNotStarted)
	}
	return h.news.wait("fail", func() bool { return false })
}

func (h *Harness) check(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

var (
	errNotStarted = errors.New("flowtest: the job is not started: call Start first")
	errStarted    = errors.New("flowtest: the job is started already: a Harness runs one job")
	errUnread     = errors.New("flowtest: a source of the Harness is not read by the job: give it to flow.From")
)

func (h *Harness) start(parallelism int, build func(*flow.Job) error) error {
	if h.build != nil {
		return errStarted
	}
	h.build = build
	return h.begin(parallelism, nil)
}

// begin runs the job from a snapshot, or from nothing.
func (h *Harness) begin(parallelism int, from *Snapshot) error {
	g, err := flow.Build("test", parallelism, h.build)
	if err != nil {
		return err
	}
	h.starts++
	h.run = &run{graph: g, id: h.id, generation: job.Generation{Epoch: epoch, N: h.starts}, files: h.files, news: h.news, counter: h.counter}
	c := stream.HostConfig{Job: h.id, TaskManagerIncarnation: "test", Incarnation: "test", TempDir: h.temp, Storage: h.files, InlineThreshold: everything,
		Clock: h.clock}
	if err := h.run.begin(c, from); err != nil {
		return err
	}
	for _, s := range h.sources {
		if uid, _ := s.operator(); uid == "" {
			return errUnread
		}
	}
	return nil
}

func (h *Harness) settle() error {
	if h.run == nil {
		return errNotStarted
	}
	for _, s := range h.sources {
		uid, over := s.operator()
		readers := h.run.readers(uid)
		if err := h.news.wait("read what was pushed", func() bool {
			if over {
				return h.run.all(readers, ended)
			}
			return s.drained()
		}); err != nil {
			return err
		}
	}
	if _, err := h.snapshot(); err != nil {
		return err
	}
	return h.ring()
}

func (h *Harness) snapshot() (*Snapshot, error) {
	if h.run == nil {
		return nil, errNotStarted
	}
	s, err := h.run.checkpoint()
	h.counter = h.run.counter
	if err != nil {
		return nil, err
	}
	for _, sink := range h.sinks {
		s.covered = append(s.covered, sink.covered())
	}
	return s, nil
}

func (h *Harness) restore(from *Snapshot, parallelism int) error {
	if h.run == nil {
		return errNotStarted
	}
	h.run.host.Close()
	h.news.forget()
	for _, s := range h.sources {
		s.rewind()
	}
	for i, sink := range h.sinks {
		sink.reset(from.covered[i])
	}
	return h.begin(parallelism, from)
}

func (h *Harness) finish() error {
	if h.run == nil {
		return errNotStarted
	}
	for _, s := range h.sources {
		s.End()
	}
	everyone := tasks(h.run.graph.Job)
	if err := h.news.wait("end", func() bool { return h.run.all(everyone, ended) }); err != nil {
		return err
	}
	_, err := h.snapshot() // which covers the end of all, so that they finish
	return err
}

// close ends the job, whatever it is doing.
func (h *Harness) close() {
	if h.run != nil && h.run.host != nil {
		h.run.host.Close()
		h.run = nil
	}
	h.files.Close()
}
