// Package worker is a worker process's session with its taskmanager: it turns the taskmanager's messages into commands of a
// stream.Host and the host's reports into messages, refuses whatever a deposed leader has sent, keeps the process within its share of
// processors and memory, and ends it when the taskmanager is gone. It is linked into the user's binary, so it knows neither ZooKeeper nor the jobmanager, and it never runs
// an operator itself.
//
// The process inherits two sockets: descriptor 3 carries frames (ToWorker, FromWorker), descriptor 4 the data connections that
// the taskmanager has accepted for it.
package worker

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/queue"
	"github.com/thalweg-io/thalweg/internal/storage"
	"github.com/thalweg-io/thalweg/internal/storage/schemes"
	"github.com/thalweg-io/thalweg/internal/stream"
	"github.com/thalweg-io/thalweg/internal/worker/wire"
)

// errShutdown: the taskmanager has asked this process to end.
var errShutdown = errors.New("shut down")

// Main runs this process as a worker of the graph that its main has built, and never returns. The process ends when the
// taskmanager says so, and at once when it is gone: a worker without one would hold ports, memory and output for nobody.
func Main(g *stream.Graph) {
	w, err := start(g)
	if err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
	err = w.serve()
	if err != nil && !errors.Is(err, errShutdown) {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// worker is the state of the session. Its loop, serve, owns all of it but what is said otherwise.
type worker struct {
	job      string
	control  *net.UnixConn
	passing  *net.UnixConn
	out      *queue.Queue[*thalwegv1.FromWorker] // read by the writing goroutine
	in       *queue.Queue[*thalwegv1.ToWorker]
	host     *stream.Host
	files    *storage.Registry
	log      *slog.Logger
	start    *thalwegv1.WorkerStart
	memory   *watch
	epoch    uint64 // highest seen: what comes from a lower one is refused
	heard    time.Time
	ticked   time.Time
	silent   bool // the taskmanager is; tasks go on as if leaderless
	leader   bool // the taskmanager has a session with a leader, or is making one
	spoken   bool // by that leader
	without  time.Time
	canceled bool
}

func inherited(fd uintptr, name string) (*net.UnixConn, error) {
	f := os.NewFile(fd, name)
	if f == nil {
		return nil, fmt.Errorf("descriptor %d (%s) was not inherited: a worker is started by a taskmanager", fd, name)
	}
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("descriptor %d (%s): %w: a worker is started by a taskmanager", fd, name, err)
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		return nil, fmt.Errorf("descriptor %d (%s) is a %T, not a unix socket", fd, name, c)
	}
	return u, nil
}

// start answers the taskmanager's first message and brings the host up.
func start(g *stream.Graph) (*worker, error) {
	control, err := inherited(wire.ControlDescriptor, "control")
	if err != nil {
		return nil, err
	}
	passing, err := inherited(wire.PassingDescriptor, "passing")
	if err != nil {
		return nil, err
	}
	first := new(thalwegv1.ToWorker)
	if err := wire.ReadFrame(control, first, wire.MaxFrame); err != nil {
		return nil, fmt.Errorf("read the first message of the taskmanager: %w", err)
	}
	s := first.GetStart()
	if s == nil {
		return nil, fmt.Errorf("the first message of the taskmanager is a %T", first.Message)
	}
	w := &worker{job: s.Job, control: control, passing: passing, start: s, out: queue.New[*thalwegv1.FromWorker](),
		in: queue.New[*thalwegv1.ToWorker](), log: slog.New(slog.NewTextHandler(os.Stderr, nil)).With("job", s.Job)}
	if s.ProtocolVersion != wire.ProtocolVersion && s.ProtocolVersion != wire.ProtocolVersion-1 {
		return nil, w.refuse(fmt.Errorf("the taskmanager speaks worker protocol %d, this binary %d and %d: build it with a runtime of the cluster's version",
			s.ProtocolVersion, wire.ProtocolVersion-1, wire.ProtocolVersion))
	}
	if s.Fingerprint != g.Job.Fingerprint {
		return nil, w.refuse(fmt.Errorf("the job's main built another graph here (fingerprint %016x) than where it was submitted (%016x): "+
			"it must not depend on the machine, the time, the environment or files", g.Job.Fingerprint, s.Fingerprint))
	}
	if err := os.Chdir(s.TemporaryDirectory); err != nil {
		return nil, w.refuse(err)
	}
	w.memory = newWatch(s, g.Job)
	incarnation := job.RandomHex()
	dir, err := os.Getwd()
	if err != nil {
		return nil, w.refuse(err)
	}
	w.files = schemes.Open()
	w.host, err = NewHost(g, HostOptions{Job: s.Job, TaskManager: s.Taskmanager, TaskManagerIncarnation: s.Incarnation, Incarnation: incarnation,
		TempDir: dir, Configuration: s.Configuration, Storage: w.files, Log: w.log}, w)
	if err != nil {
		return nil, w.refuse(err)
	}
	w.send(&thalwegv1.FromWorker{Message: &thalwegv1.FromWorker_Ready{Ready: &thalwegv1.WorkerReady{
		ProtocolVersion: wire.ProtocolVersion, Incarnation: incarnation, Fingerprint: g.Job.Fingerprint}}})
	return w, nil
}

// refuse tells the taskmanager why this binary cannot be a worker.
func (w *worker) refuse(err error) error {
	wire.WriteFrame(w.control, &thalwegv1.FromWorker{Message: &thalwegv1.FromWorker_Failed{Failed: &thalwegv1.WorkerFailed{Error: err.Error()}}})
	return err
}

func (w *worker) send(m *thalwegv1.FromWorker) { w.out.Push(m) }

// read posts what the taskmanager sends. The end of the socket ends the process even if the loop is stuck.
func (w *worker) read() {
	for {
		m := new(thalwegv1.ToWorker)
		err := wire.ReadFrame(w.control, m, wire.MaxFrame)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				fmt.Fprintln(os.Stderr, "worker: the taskmanager's socket:", err)
			}
			os.Exit(1)
		}
		w.in.Push(m)
	}
}

func (w *worker) write() {
	for range w.out.Ready() {
		items, _ := w.out.Drain()
		for _, m := range items {
			if err := wire.WriteFrame(w.control, m); err != nil {
				return // the reader sees the end, too
			}
		}
	}
}

// accept hands the data connections over that the taskmanager has accepted.
func (w *worker) accept() {
	for {
		conn, hello, err := wire.ReceiveConn(w.passing)
		if errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			w.log.Warn("a data connection was lost on its way", "error", err)
			if conn == nil && isClosed(err) {
				return
			}
			continue
		}
		w.host.Accept(conn, hello)
	}
}

func isClosed(err error) bool {
	var op *net.OpError
	return errors.As(err, &op)
}

// serve is the loop.
func (w *worker) serve() error {
	defer w.files.Close()
	defer w.host.Close()
	go w.read()
	go w.write()
	go w.accept()
	stop := make(chan struct{})
	defer close(stop)
	go w.memory.run(stop)
	interval := time.Duration(w.start.HeartbeatIntervalMs) * time.Millisecond
	tick := time.NewTicker(max(interval/6, 10*time.Millisecond))
	defer tick.Stop()
	counters := time.NewTicker(time.Second)
	defer counters.Stop()
	now := time.Now()
	w.heard, w.ticked, w.without = now, now, now
	beat := now
	for {
		select {
		case <-w.in.Ready():
			if err := w.drain(); err != nil {
				return err
			}
		case <-counters.C:
			w.send(&thalwegv1.FromWorker{Message: &thalwegv1.FromWorker_Counters{Counters: &thalwegv1.Counters{Tasks: w.host.Reports(), Memory: w.memory.usage()}}})
		case now := <-tick.C:
			// What has arrived goes first: this process may have been paused, and then silence says nothing.
			if err := w.drain(); err != nil {
				return err
			}
			w.judge(now, interval)
			if now.Sub(beat) >= interval {
				beat = now
				w.send(&thalwegv1.FromWorker{Message: &thalwegv1.FromWorker_Heartbeat{Heartbeat: &thalwegv1.Heartbeat{}}})
			}
		}
	}
}

func (w *worker) drain() error {
	items, _ := w.in.Drain()
	for _, m := range items {
		w.heard = time.Now()
		if err := w.take(m); err != nil {
			return err
		}
	}
	return nil
}

// judge notices a taskmanager that does not speak any more and a leader that has been away for too long.
func (w *worker) judge(now time.Time, interval time.Duration) {
	late := now.Sub(w.ticked)
	w.ticked = now
	if late > interval {
		w.heard = now
	}
	if quiet := now.Sub(w.heard) > time.Duration(w.start.HeartbeatTimeoutMs)*time.Millisecond; quiet && !w.silent {
		w.silent = true
		w.log.Warn("the taskmanager is silent; tasks go on")
		if w.leader {
			w.without = now
		}
		w.host.SessionLost()
	}
	if (!w.leader || w.silent) && !w.canceled && now.Sub(w.without) > time.Duration(w.start.LeaderlessTimeoutMs)*time.Millisecond {
		w.canceled = true
		w.log.Error("no leader for too long: cancelling the tasks")
		w.host.Cancel(job.Generation{Epoch: ^uint64(0), N: ^uint64(0)})
	}
}

// lost abandons whatever has not been acknowledged: no barrier waits for a leader.
func (w *worker) lost() {
	if w.leader && w.spoken {
		w.without = time.Now()
	}
	w.leader, w.spoken = false, false
	w.host.SessionLost()
}
