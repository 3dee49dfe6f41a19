package taskmanager

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/queue"
	"github.com/thalweg-io/thalweg/internal/taskmanager/core"
	"github.com/thalweg-io/thalweg/internal/worker/wire"
)

const (
	shutdownTimeout = 2 * time.Second
	tailLength      = 4 << 10 // of a worker's standard error, for the cause of its end
)

// process is one worker process: started once, and gone once. run owns it; out, kill and shutdown may be used by others.
type process struct {
	t       *TaskManager
	job     string
	out     *queue.Queue[*thalwegv1.ToWorker]
	ready   chan struct{} // closed when the worker takes messages and connections
	exited  chan struct{} // closed when the process is gone, or never came to be
	passing *net.UnixConn // set before ready is closed

	released atomic.Bool // the job has ended

	mu struct {
		sync.Mutex
		cmd    *exec.Cmd
		killed string                  // why
		group  *group                  // nil: none
		memory *thalwegv1.WorkerMemory // as the worker has said last; nil: not yet
	}
}

// newProcess counts as running until run returns.
func newProcess(t *TaskManager, job string) *process {
	t.running.Add(1)
	return &process{t: t, job: job, out: queue.New[*thalwegv1.ToWorker](), ready: make(chan struct{}), exited: make(chan struct{})}
}

func (p *process) ended() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// run fetches the binary, starts it and serves its session until it is gone. It posts WorkerExited as its last event.
func (p *process) run(d *thalwegv1.Deploy) {
	defer p.t.running.Done()
	err := p.serve(d)
	p.out.Close()
	close(p.exited)
	p.mu.Lock()
	cause := err.Error()
	if p.mu.killed != "" {
		cause = p.mu.killed
	}
	p.mu.Unlock()
	if p.released.Load() {
		p.t.log.Info("worker ended with its job", "job", p.job)
	} else {
		p.t.log.Warn("worker ended", "job", p.job, "cause", cause)
	}
	p.t.events.Push(core.WorkerExited{Job: p.job, Cause: cause})
}

func (p *process) serve(d *thalwegv1.Deploy) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	path, err := p.t.binaries.get(ctx, d.Stored.Binary)
	cancel()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(p.t.dir, "worker-"+p.job[:min(8, len(p.job))]+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	control, controlTheirs, err := socketPair(unix.SOCK_STREAM, "control")
	if err != nil {
		return err
	}
	defer control.Close()
	passing, passingTheirs, err := socketPair(unix.SOCK_SEQPACKET, "passing")
	if err != nil {
		controlTheirs.Close()
		return err
	}
	defer passing.Close()
	p.passing = passing

	logFile, err := os.OpenFile(filepath.Join(p.t.c.LogDir, "worker-"+p.job+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer logFile.Close()
	tail := new(tail)
	cmd := exec.Command(path, d.Stored.Arguments...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), p.t.c.Environment...)
	// The graph must come out as it was planned, so what it depends on is the client's.
	cmd.Env = append(cmd.Env, "THALWEG_MODE=worker", "THALWEG_PARALLELISM="+d.Stored.Configuration["parallelism.default"])
	cmd.ExtraFiles = []*os.File{controlTheirs, passingTheirs} // descriptors 3 and 4
	cmd.Stdout = logFile
	cmd.Stderr = io.MultiWriter(logFile, tail)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that a kill takes what the user's code started, too
	cmd.WaitDelay = time.Second

	p.mu.Lock()
	if p.mu.killed != "" {
		p.mu.Unlock()
		err = fmt.Errorf("not started")
	} else {
		err = cmd.Start()
		p.mu.cmd = cmd
		p.mu.Unlock()
	}
	controlTheirs.Close()
	passingTheirs.Close()
	if err != nil {
		return fmt.Errorf("start the job's binary: %w", err)
	}
	p.t.log.Info("worker started", "job", p.job, "pid", cmd.Process.Pid)
	defer p.hold(cmd.Process.Pid, p.t.limitOf(d))() // before the session: nothing but the start of the binary has happened yet
	reason := make(chan error, 1)
	go func() { reason <- p.session(control, d) }()
	waited := cmd.Wait()
	p.mu.Lock()
	p.mu.cmd = nil // its number may be another process's from now on
	p.mu.Unlock()
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what the worker started and left behind
	control.Close()
	said := <-reason
	if err := p.overMemory(); err != nil {
		return err
	}
	return exitCause(waited, said, tail.String())
}

// hold puts the worker into a control group with a limit of memory, where there are any, and returns what removes it.
func (p *process) hold(pid int, limit int64) (release func()) {
	if p.t.cgroups == nil || limit == 0 {
		return func() {}
	}
	g, err := p.t.cgroups.worker(p.job, limit+limit/grace)
	if err == nil {
		if err = g.add(pid); err != nil {
			g.close()
		}
	}
	if err != nil {
		p.t.log.Warn("no control group for a worker, which limits itself only", "job", p.job, "error", err)
		return func() {}
	}
	p.mu.Lock()
	p.mu.group = g
	p.mu.Unlock()
	return func() {
		p.mu.Lock()
		p.mu.group = nil
		p.mu.Unlock()
		g.close()
	}
}

// limit follows the worker's slots.
func (p *process) limit(limit int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if g := p.mu.group; g != nil && limit > 0 {
		if err := g.limit(limit + limit/grace); err != nil {
			p.t.log.Warn("the limit of a worker's control group cannot be set", "job", p.job, "error", err)
		}
	}
}

// overMemory is the cause of the end if the kernel has ended the worker for its memory.
func (p *process) overMemory() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.group == nil || !p.mu.group.killed() {
		return nil
	}
	return killedByKernel(p.mu.group.max, p.mu.memory)
}

// session speaks with a worker that has started, until its end of the socket is closed.
func (p *process) session(control *net.UnixConn, d *thalwegv1.Deploy) error {
	conf := maps.Clone(d.Configuration)
	if err := wire.WriteFrame(control, &thalwegv1.ToWorker{Message: &thalwegv1.ToWorker_Start{Start: &thalwegv1.WorkerStart{
		ProtocolVersion: wire.ProtocolVersion, Job: p.job, Taskmanager: p.t.c.ID, Incarnation: p.t.incarnation,
		Fingerprint: d.Stored.Graph.Fingerprint, Configuration: conf, Slots: int32(p.t.c.Slots),
		HeartbeatIntervalMs: p.t.c.HeartbeatInterval.Milliseconds(), HeartbeatTimeoutMs: p.t.c.HeartbeatTimeout.Milliseconds(),
		LeaderlessTimeoutMs: p.t.c.LeaderlessTimeout.Milliseconds(), TemporaryDirectory: ".",
		MemoryBytes: p.t.resources.memory, Cpus: int32(p.t.resources.cpus),
	}}}); err != nil {
		return nil // it ended at once: its wait status says why
	}
	control.SetReadDeadline(time.Now().Add(p.t.c.WorkerStartTimeout))
	first := new(thalwegv1.FromWorker)
	if err := wire.ReadFrame(control, first, 1<<20); err != nil {
		if os.IsTimeout(err) {
			p.kill(fmt.Sprintf("the job's binary did not call flow.Main within %v", p.t.c.WorkerStartTimeout))
		}
		return nil
	}
	if f := first.GetFailed(); f != nil {
		p.kill(f.Error)
		return nil
	}
	if v := first.GetReady().GetProtocolVersion(); v != wire.ProtocolVersion && v != wire.ProtocolVersion-1 {
		err := fmt.Errorf("the job's binary speaks worker protocol %d, this taskmanager %d and %d: build it with a runtime of this version", v, wire.ProtocolVersion-1, wire.ProtocolVersion)
		p.kill(err.Error())
		return err
	}
	control.SetReadDeadline(time.Time{})
	p.t.events.Push(core.WorkerStarted{Job: p.job})
	close(p.ready)
	go p.write(control)
	for {
		m := new(thalwegv1.FromWorker)
		if err := wire.ReadFrame(control, m, 64<<20); err != nil {
			return nil
		}
		if f := m.GetFailed(); f != nil {
			return fmt.Errorf("%s", f.Error)
		}
		if memory := m.GetCounters().GetMemory(); memory != nil {
			p.mu.Lock()
			p.mu.memory = memory
			p.mu.Unlock()
		}
		p.t.events.Push(core.FromWorker{Job: p.job, Message: m})
	}
}

// write is the only writer once the worker is ready.
func (p *process) write(control *net.UnixConn) {
	for range p.out.Ready() {
		items, ok := p.out.Drain()
		for _, m := range items {
			if wire.WriteFrame(control, m) != nil {
				return
			}
		}
		if !ok {
			return
		}
	}
}

// kill ends the process group at once; why becomes the cause of the end. Only the first reason counts.
func (p *process) kill(why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.killed == "" {
		p.mu.killed = why
	}
	if p.mu.cmd != nil && p.mu.cmd.Process != nil {
		syscall.Kill(-p.mu.cmd.Process.Pid, syscall.SIGKILL)
	}
}

// shutdown asks the worker to end, and makes it.
func (p *process) shutdown() {
	p.released.Store(true)
	p.out.Push(&thalwegv1.ToWorker{Message: &thalwegv1.ToWorker_Shutdown{Shutdown: &thalwegv1.Release{Job: p.job}}})
	select {
	case <-p.exited:
	case <-time.After(shutdownTimeout):
		p.kill("it did not end when the job was released")
	}
}

// socketPair makes two connected unix sockets: ours as a connection, theirs as a file to inherit.
func socketPair(kind int, name string) (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	ours := os.NewFile(uintptr(fds[0]), name)
	theirs := os.NewFile(uintptr(fds[1]), name)
	defer ours.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	return conn.(*net.UnixConn), theirs, nil
}

// exitCause says in one line why a worker is gone: what it said itself, else its last words, with its wait status.
func exitCause(waited, said error, stderr string) error {
	status := "exit status 0"
	if waited != nil {
		status = waited.Error()
	}
	if said != nil {
		return said
	}
	var exit *exec.ExitError
	if errors.As(waited, &exit) && exit.ExitCode() == wire.ExitOverMemory {
		return errors.New(lastLine(stderr))
	}
	if words := lastWords(stderr); words != "" {
		return fmt.Errorf("the worker ended (%s): %s", status, words)
	}
	return fmt.Errorf("the worker ended (%s)", status)
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// lastWords finds the panic or fatal error in the end of a worker's standard error, else its last lines.
func lastWords(stderr string) string {
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "panic: ") || strings.HasPrefix(l, "fatal error: ") {
			return strings.Join(lines[i:min(len(lines), i+12)], "\n")
		}
	}
	return strings.Join(slices.DeleteFunc(lines[max(0, len(lines)-3):], func(l string) bool { return l == "" }), "\n")
}

// tail keeps the last bytes written to it.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(b)
	if n := t.buf.Len(); n > 2*tailLength {
		t.buf.Next(n - tailLength)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}
