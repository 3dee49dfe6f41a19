// Package local runs a whole job in one process: the same leader's core, the same host and tasks, the same checkpoints as a
// cluster, with a store in memory and files in a temporary directory. It is what a job's program does when nobody says
// otherwise. It survives nothing: what a killed process had not committed is done again by the next run.
package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"google.golang.org/protobuf/proto"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/leader"
	"github.com/thalweg-io/thalweg/internal/progress"
	"github.com/thalweg-io/thalweg/internal/scheduler"
	"github.com/thalweg-io/thalweg/internal/storage"
	"github.com/thalweg-io/thalweg/internal/storage/schemes"
	"github.com/thalweg-io/thalweg/internal/stream"
	"github.com/thalweg-io/thalweg/internal/worker"
)

// Options of one run.
type Options struct {
	Progress io.Writer // where the job's state is shown; nil: nowhere
	Log      *slog.Logger
	// Configuration overrides what the job sets, by configuration key.
	Configuration map[string]string
	// Restart is what to do after a failure; nil: the run fails. A person who waits wants to see a failure at once.
	Restart *thalwegv1.RestartOptions
}

func (o *Options) restart() *thalwegv1.RestartOptions {
	if o.Restart != nil {
		return o.Restart
	}
	return &thalwegv1.RestartOptions{Strategy: "none"}
}

// day is longer than any run: nothing here is judged by silence.
const day = 24 * time.Hour

// Run runs the job to its end and returns nil if it has FINISHED. When ctx ends the job is cancelled: what its sinks had not
// committed is discarded, and the context's cause is returned.
func Run(ctx context.Context, g *stream.Graph, o Options) error {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	dir, err := os.MkdirTemp("", "thalweg-local-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	files := schemes.Open()
	defer files.Close()
	r := &run{graph: g, o: o, dir: dir, files: files, id: job.NewID()}
	return r.run(ctx)
}

type run struct {
	graph *stream.Graph
	o     Options
	dir   string
	files *storage.Registry
	id    job.ID
}

func (r *run) run(ctx context.Context) error {
	store := newMemory()
	if err := r.submit(ctx, store); err != nil {
		return err
	}
	term, end := context.WithCancel(context.Background())
	defer end()
	l := leader.New(leader.Config{
		Term: scheduler.TermConfig{
			Epoch: 1, Incarnation: job.RandomHex(), ClusterIncarnation: "local", HeartbeatInterval: day, HeartbeatTimeout: 2 * day,
			Job: scheduler.JobConfig{
				Epoch:          1,
				Checkpoints:    &thalwegv1.CheckpointOptions{IntervalMs: 10_000, TimeoutMs: 600_000, AlignedTimeoutMs: 1000, Retained: 1, TolerableFailures: -1},
				Restart:        r.o.restart(),
				Reconciliation: time.Second,
			},
		},
		Store: store, Storage: r.files, StorageDir: r.dir, CheckpointDir: filepath.Join(r.dir, "checkpoints"),
		Log: r.o.Log, EndTerm: func(string) { end() },
	})
	done := make(chan struct{})
	go func() { defer close(done); l.Run(term) }()
	t := newTaskManager(r, l)
	go t.serve(term)
	err := r.watch(ctx, l)
	end()
	<-done
	<-t.done
	return err
}

// submit does what a leader does with a submission, without a binary.
func (r *run) submit(ctx context.Context, store *memory) error {
	b, err := proto.Marshal(&thalwegv1.StoredJob{Id: string(r.id), Graph: r.graph.Job, Configuration: r.o.Configuration, Binary: &thalwegv1.BinaryRef{}, Digest: "local"})
	if err != nil {
		return err
	}
	path := filepath.Join(r.dir, "jobs", string(r.id), "graph")
	fs, err := r.files.Resolve(ctx, path)
	if err != nil {
		return err
	}
	if err := storage.WriteFile(ctx, fs, path, b); err != nil {
		return err
	}
	sum := sha256.Sum256(b)
	return leader.CreateJob(ctx, store, r.id, &thalwegv1.GraphRecord{GraphPath: path, GraphSha256: hex.EncodeToString(sum[:]),
		Binary: &thalwegv1.BinaryRef{}, Digest: "local", SubmittedMs: time.Now().UnixMilli(), GraphVersion: 1})
}

// watch shows the job until it has ended, and cancels it when ctx ends first.
func (r *run) watch(ctx context.Context, l *leader.Leader) error {
	var p *progress.Progress
	if r.o.Progress != nil {
		p = progress.New(r.o.Progress)
		defer p.End()
	}
	changed, stop := l.Watch(r.id)
	defer stop()
	every := time.NewTicker(250 * time.Millisecond)
	defer every.Stop()
	cancelled := ctx.Done()
	for {
		select {
		case <-changed:
		case <-every.C:
		case <-l.Ended():
			return errors.New("the job's coordination has ended")
		case <-cancelled:
			cancelled = nil
			if _, err := l.Cancel(context.Background(), r.id, "interrupt"); err != nil {
				return context.Cause(ctx)
			}
		}
		i, err := l.Info(context.Background(), r.id)
		if err != nil {
			return err
		}
		if i == nil {
			return errors.New("the job is not known to its own coordination")
		}
		if p != nil {
			p.Show(i)
		}
		switch i.Summary.Status {
		case thalwegv1.JobStatus_JOB_STATUS_FINISHED:
			return nil
		case thalwegv1.JobStatus_JOB_STATUS_CANCELED:
			return context.Cause(ctx)
		case thalwegv1.JobStatus_JOB_STATUS_FAILED:
			return failure(i)
		}
	}
}

func failure(i *thalwegv1.JobInfo) error {
	if len(i.Exceptions) == 0 {
		return errors.New("the job has failed")
	}
	e := i.Exceptions[0]
	if e.Task != "" {
		return fmt.Errorf("%s: %s", e.Task, e.Message)
	}
	return errors.New(e.Message)
}

// taskManager stands between the leader and the host: a session without a network. Its goroutine owns the host's commands.
type taskManager struct {
	r       *run
	session *leader.Session
	host    *stream.Host
	done    chan struct{}
}

func newTaskManager(r *run, l *leader.Leader) *taskManager {
	return &taskManager{r: r, session: l.Open(), done: make(chan struct{})}
}

func (t *taskManager) serve(ctx context.Context) {
	defer close(t.done)
	incarnation := job.RandomHex()
	host, err := worker.NewHost(t.r.graph, worker.HostOptions{
		Job: string(t.r.id), TaskManager: "local", TaskManagerIncarnation: incarnation, Incarnation: incarnation,
		TempDir: t.r.dir, Storage: t.r.files, Log: t.r.o.Log,
	}, t)
	if err != nil {
		t.session.Closed(err.Error())
		return
	}
	t.host = host
	defer host.Close()
	slots := int32(0)
	for _, v := range t.r.graph.Job.Vertices {
		slots += v.Parallelism // enough for any slot sharing
	}
	host.SessionEpoch(1)
	t.session.Receive(&thalwegv1.FromTaskManager{Message: &thalwegv1.FromTaskManager_Register{Register: &thalwegv1.Register{
		ProtocolVersion: 1, Taskmanager: "local", Incarnation: incarnation, Epoch: 1, Slots: slots, OsArch: runtime.GOOS + "/" + runtime.GOARCH,
	}}})
	counters := time.NewTicker(200 * time.Millisecond)
	defer counters.Stop()
	out := t.session.Outgoing()
	for {
		select {
		case <-ctx.Done():
			return
		case <-counters.C:
			t.session.Receive(&thalwegv1.FromTaskManager{Message: &thalwegv1.FromTaskManager_Counters{Counters: &thalwegv1.Counters{Tasks: host.Reports()}}})
		case <-out.Ready():
			items, ok := out.Drain()
			for _, m := range items {
				t.take(m)
			}
			if !ok {
				return
			}
		}
	}
}

func (t *taskManager) take(m *thalwegv1.ToTaskManager) {
	switch c := m.Message.(type) {
	case *thalwegv1.ToTaskManager_Deploy:
		t.host.Deploy(c.Deploy)
	case *thalwegv1.ToTaskManager_Cancel:
		t.host.Cancel(job.GenerationOf(c.Cancel.Upto))
	case *thalwegv1.ToTaskManager_Trigger:
		t.host.Trigger(m.Epoch, c.Trigger)
	case *thalwegv1.ToTaskManager_Complete:
		t.host.Complete(job.GenerationOf(c.Complete.Generation), c.Complete.Checkpoint)
	case *thalwegv1.ToTaskManager_Abort:
		t.host.Abort(c.Abort.Checkpoint)
	}
}

// TaskState implements stream.Reporter.
func (t *taskManager) TaskState(r *thalwegv1.TaskReport) {
	t.session.Receive(&thalwegv1.FromTaskManager{Message: &thalwegv1.FromTaskManager_TaskState{TaskState: &thalwegv1.TaskStateChanged{Report: r}}})
}

// Acknowledge implements stream.Reporter.
func (t *taskManager) Acknowledge(a *thalwegv1.Acknowledge) {
	t.session.Receive(&thalwegv1.FromTaskManager{Message: &thalwegv1.FromTaskManager_Acknowledge{Acknowledge: a}})
}

// Decline implements stream.Reporter.
func (t *taskManager) Decline(d *thalwegv1.Decline) {
	t.session.Receive(&thalwegv1.FromTaskManager{Message: &thalwegv1.FromTaskManager_Decline{Decline: d}})
}

// Confirmed implements stream.Reporter.
func (t *taskManager) Confirmed(c *thalwegv1.Confirmed) {
	t.session.Receive(&thalwegv1.FromTaskManager{Message: &thalwegv1.FromTaskManager_Confirmed{Confirmed: c}})
}
