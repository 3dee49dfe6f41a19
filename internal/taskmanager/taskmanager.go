// Package taskmanager is the shell around the taskmanager's pure core (taskmanager/core): it watches the leader, holds the one
// session with it, starts and supervises a worker process per job out of the job's own binary, and accepts the data connections
// of all of them on one port. One goroutine, Run, owns the core; everything else posts events to it. It never runs user code and
// never decides what should run: the leader does.
package taskmanager

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/progress"
	"github.com/thalweg-io/thalweg/internal/queue"
	"github.com/thalweg-io/thalweg/internal/storage"
	"github.com/thalweg-io/thalweg/internal/taskmanager/core"
)

// Config is what a taskmanager process is given.
type Config struct {
	ID          string // taskmanager.resource-id; empty: host:port-<6 random digits>
	Host        string // name under which others reach the data port
	BindHost    string
	DataPort    int // 0: any free one
	Slots       int
	CPUs        int    // of all workers together; 0: what the machine or its container has
	Memory      int64  // bytes, of all workers and this process together; 0: nine tenths of what the machine or its container has
	TempDir     string // io.tmp.dirs
	LogDir      string // where the workers' output goes; empty: below TempDir
	Environment []string

	HeartbeatInterval  time.Duration
	HeartbeatTimeout   time.Duration
	LeaderlessTimeout  time.Duration
	UnreachableTimeout time.Duration
	CancelTimeout      time.Duration
	WorkerStartTimeout time.Duration

	Leaders <-chan core.Leader // discovery: the newest known leader; the zero Leader when none is
	Storage *storage.Registry  // where job binaries are fetched from
	Log     *slog.Logger
}

// TaskManager is one taskmanager process's state.
type TaskManager struct {
	c           Config
	incarnation string
	resources   resources
	cgroups     *cgroups // nil: workers limit themselves only
	dir         string   // of this process; removed at the end
	lock        *os.File
	started     time.Time
	core        *core.Core
	events      *queue.Queue[core.Event]
	data        *dataListener
	session     *session
	workers     map[string]*process
	running     sync.WaitGroup // worker processes
	binaries    *binaryCache
	log         *slog.Logger
}

// New binds the data port and makes the process's directory. Run must follow, or Close.
func New(c Config) (*TaskManager, error) {
	if c.Slots < 1 {
		return nil, fmt.Errorf("taskmanager.numberOfTaskSlots: %d: a taskmanager needs at least 1 slot", c.Slots)
	}
	resources, err := resourcesOf(c)
	if err != nil {
		return nil, err
	}
	t := &TaskManager{
		c: c, resources: resources, incarnation: job.RandomHex(), started: time.Now(), events: queue.New[core.Event](),
		workers: map[string]*process{}, log: c.Log,
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(c.BindHost, fmt.Sprint(c.DataPort)))
	if err != nil {
		return nil, fmt.Errorf("taskmanager.data.port: listen on %s port %d: %w", c.BindHost, c.DataPort, err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if t.c.ID == "" {
		t.c.ID = fmt.Sprintf("%s:%d-%s", c.Host, port, t.incarnation[:6])
	}
	if err := t.makeDir(); err != nil {
		listener.Close()
		return nil, err
	}
	t.binaries = newBinaryCache(filepath.Join(t.dir, "binaries"), c.Storage)
	t.core = core.New(core.Config{
		ID: t.c.ID, Incarnation: t.incarnation, Host: c.Host, DataAddress: net.JoinHostPort(c.Host, fmt.Sprint(port)),
		Slots: c.Slots, OSArch: runtime.GOOS + "/" + runtime.GOARCH,
		HeartbeatInterval: c.HeartbeatInterval, HeartbeatTimeout: c.HeartbeatTimeout,
		LeaderlessTimeout: c.LeaderlessTimeout, UnreachableTimeout: c.UnreachableTimeout,
		ReportTimeout: time.Second, CancelTimeout: c.CancelTimeout,
	}, t.now())
	t.data = newDataListener(listener, t.incarnation, t.log)
	t.log = t.log.With("taskmanager", t.c.ID)
	return t, nil
}

// ID is the resource id under which the leader knows this taskmanager.
func (t *TaskManager) ID() string { return t.c.ID }

// DataAddress is host:port of the data port.
func (t *TaskManager) DataAddress() string { return t.data.listener.Addr().String() }

// now is monotonic time since the process's start.
func (t *TaskManager) now() time.Duration { return time.Since(t.started) }

// Run serves until ctx ends, then says goodbye, ends the workers and removes what the process kept on disk.
func (t *TaskManager) Run(ctx context.Context) (err error) {
	defer t.remove()
	defer t.data.close()
	go t.data.serve()
	tick := time.NewTicker(t.core.TickInterval())
	defer tick.Stop()
	enforced := "by the workers themselves"
	if t.cgroups, err = openCgroups(t.incarnation); err == nil {
		enforced = "by control groups in " + t.cgroups.dir
		defer t.cgroups.close(os.Getpid())
	} else {
		t.log.Debug("no control groups for the workers", "cause", err)
	}
	t.log.Info("taskmanager started", "incarnation", t.incarnation, "slots", t.c.Slots, "data", t.DataAddress(), "cpus", t.resources.cpus,
		"memory", progress.Bytes(t.resources.memory), "enforced", enforced)
	leaders := t.c.Leaders
	for {
		select {
		case <-ctx.Done():
			t.step(core.Stop{})
			t.endWorkers()
			return nil
		case l, ok := <-leaders:
			if !ok {
				leaders = nil // discovery has ended, as ctx is about to
				continue
			}
			t.step(core.LeaderChanged{Leader: l})
		case <-t.events.Ready():
			items, _ := t.events.Drain()
			for _, ev := range items {
				t.step(ev)
			}
		case <-tick.C:
			// Input that waits is taken before the tick judges anyone by its silence.
			items, _ := t.events.Drain()
			for _, ev := range items {
				t.step(ev)
			}
			t.step(core.Tick{})
		}
	}
}

func (t *TaskManager) step(ev core.Event) {
	if x, ok := ev.(core.WorkerExited); ok {
		if p := t.workers[x.Job]; p != nil && p.ended() {
			t.data.remove(x.Job, p)
			delete(t.workers, x.Job)
		}
	}
	for _, e := range t.core.Step(t.now(), ev) {
		t.carryOut(e)
	}
}

func (t *TaskManager) carryOut(e core.Effect) {
	switch e := e.(type) {
	case core.OpenSession:
		t.session = openSession(e, t.events)
	case core.CloseSession:
		if t.session != nil {
			t.session.close(e.Goodbye)
			t.session = nil
		}
	case core.ToLeader:
		if t.session != nil {
			t.session.out.Push(e.Message)
		}
	case core.StartWorker:
		p := newProcess(t, e.Job)
		t.workers[e.Job] = p
		t.data.add(e.Job, p)
		go p.run(e.Deploy)
	case core.ToWorker:
		if p := t.workers[e.Job]; p != nil {
			if d := e.Message.GetDeploy(); d != nil {
				p.limit(t.limitOf(d))
			}
			p.out.Push(e.Message)
		}
	case core.KillWorker:
		t.log.Warn("killing a worker", "job", e.Job, "why", e.Why)
		if p := t.workers[e.Job]; p != nil {
			p.kill(e.Why)
		}
	case core.ForgetJob:
		if p := t.workers[e.Job]; p != nil {
			t.data.remove(e.Job, p)
			delete(t.workers, e.Job)
			go p.shutdown()
		}
	case core.Log:
		level := map[string]slog.Level{"warn": slog.LevelWarn, "error": slog.LevelError}[e.Level]
		if e.Job != "" {
			t.log.Log(context.Background(), level, e.Text, "job", e.Job)
		} else {
			t.log.Log(context.Background(), level, e.Text)
		}
	}
}

// endWorkers waits until every worker process is gone; Stop has asked them to go.
func (t *TaskManager) endWorkers() {
	if t.session != nil {
		t.session.close(&thalwegv1.Goodbye{Reason: thalwegv1.Goodbye_REASON_SHUTDOWN})
	}
	t.running.Wait()
}

// makeDir makes this process's directory below TempDir, locked for as long as the process lives, and removes those that other
// taskmanagers left behind when they were killed.
func (t *TaskManager) makeDir() error {
	base := filepath.Join(t.c.TempDir, "thalweg-taskmanager")
	if err := os.MkdirAll(base, 0o755); err != nil {
		return fmt.Errorf("io.tmp.dirs: %w", err)
	}
	entries, err := os.ReadDir(base)
	if err != nil {
		return fmt.Errorf("io.tmp.dirs: %w", err)
	}
	for _, e := range entries {
		removeIfUnlocked(filepath.Join(base, e.Name()))
	}
	t.dir = filepath.Join(base, t.incarnation)
	if err := os.MkdirAll(t.dir, 0o700); err != nil { // another one that ends may just have removed the folder above
		return fmt.Errorf("io.tmp.dirs: %w", err)
	}
	lock, err := os.Create(filepath.Join(t.dir, "lock"))
	if err != nil {
		return fmt.Errorf("io.tmp.dirs: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("io.tmp.dirs: lock %s: %w", lock.Name(), err)
	}
	t.lock = lock
	if t.c.LogDir == "" {
		t.c.LogDir = filepath.Join(t.dir, "log")
	}
	return os.MkdirAll(t.c.LogDir, 0o755)
}

func removeIfUnlocked(dir string) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR, 0)
	if err != nil {
		if info, e := os.Stat(dir); errors.Is(err, os.ErrNotExist) && e == nil && time.Since(info.ModTime()) > time.Minute {
			os.RemoveAll(dir) // its owner died between making it and locking it
		}
		return
	}
	defer f.Close()
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
		os.RemoveAll(dir)
	}
}

func (t *TaskManager) remove() {
	os.RemoveAll(t.dir)
	os.Remove(filepath.Dir(t.dir)) // unless another taskmanager of this machine has a directory there
	if t.lock != nil {
		t.lock.Close()
	}
}

// Close releases what New took, for a TaskManager that Run is not called on.
func (t *TaskManager) Close() {
	t.data.close()
	t.remove()
}
