// Package cluster runs real Thalweg processes for demonstrations, drills and end-to-end tests: it starts the built binaries with
// one configuration, kills, stops, pauses and continues exactly the processes it started, and asks the leader what a person
// would ask. Everything that it makes is below one directory.
package cluster

import (
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
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/bootstrap"
	"github.com/thalweg-io/thalweg/internal/client"
	"github.com/thalweg-io/thalweg/internal/config"
)

// Cluster is a set of processes with one configuration.
type Cluster struct {
	dir  string
	bin  string
	conf map[string]string
	env  []string

	mu struct {
		sync.Mutex
		processes []*Process
		client    *client.Client
	}
}

// New prepares a cluster whose files are below dir and whose binaries are in bin. conf is every process's configuration; env is
// added to their environment.
func New(dir, bin string, conf map[string]string, env ...string) (*Cluster, error) {
	for _, name := range []string{"jobmanager", "taskmanager", "thalweg"} {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			return nil, fmt.Errorf("%w; run make build first", err)
		}
	}
	for _, d := range []string{"conf", "log", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	conf = maps.Clone(conf)
	conf["io.tmp.dirs"] = filepath.Join(dir, "tmp")
	conf["env.log.dir"] = filepath.Join(dir, "log")
	var text strings.Builder
	for _, k := range slices.Sorted(maps.Keys(conf)) {
		fmt.Fprintf(&text, "%s: %q\n", k, conf[k])
	}
	if err := os.WriteFile(filepath.Join(dir, "conf", "config.yaml"), []byte(text.String()), 0o644); err != nil {
		return nil, err
	}
	return &Cluster{dir: dir, bin: bin, conf: conf, env: env}, nil
}

// ConfDir is what --config-dir takes.
func (c *Cluster) ConfDir() string { return filepath.Join(c.dir, "conf") }

// Process is one process that this cluster started.
type Process struct {
	Name    string
	Address string // of a jobmanager: host:port of its RPC server
	cmd     *exec.Cmd
	log     string
	done    chan struct{}
	err     error
}

// JobManager starts a jobmanager; env is added to its environment.
func (c *Cluster) JobManager(name string, env ...string) (*Process, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	p, err := c.start(name, "jobmanager", env, "-D", "high-availability.jobmanager.port="+strconv.Itoa(port), "-D", "jobmanager.rpc.address=127.0.0.1")
	if err == nil {
		p.Address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	}
	return p, err
}

// TaskManager starts a taskmanager under a stable id.
func (c *Cluster) TaskManager(name string, slots int) (*Process, error) {
	return c.start(name, "taskmanager", nil, "-D", "taskmanager.resource-id="+name, "-D", "taskmanager.host=127.0.0.1",
		"-D", "taskmanager.numberOfTaskSlots="+strconv.Itoa(slots))
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (c *Cluster) start(name, binary string, env []string, args ...string) (*Process, error) {
	p := &Process{Name: name, log: filepath.Join(c.dir, "log", name+".log"), done: make(chan struct{})}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p.cmd = exec.Command(filepath.Join(c.bin, binary), append([]string{"--config-dir", c.ConfDir()}, args...)...)
	p.cmd.Env = append(append(os.Environ(), c.env...), env...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C on the terminal is for this program, which ends them in order
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	c.mu.Lock()
	c.mu.processes = append(c.mu.processes, p)
	c.mu.Unlock()
	return p, nil
}

// Pid is the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Alive reports whether the process has not ended.
func (p *Process) Alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Kill is kill -9, and waits until the process is gone.
func (p *Process) Kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// Terminate sends SIGTERM and waits until the process has ended.
func (p *Process) Terminate() {
	p.signal(syscall.SIGTERM)
	<-p.done
}

// Pause is SIGSTOP.
func (p *Process) Pause() { p.signal(syscall.SIGSTOP) }

// Continue is SIGCONT.
func (p *Process) Continue() { p.signal(syscall.SIGCONT) }

func (p *Process) signal(s syscall.Signal) {
	if p.Alive() {
		p.cmd.Process.Signal(s)
	}
}

// Children are the ids of the process's live children: of a taskmanager, its workers.
func (p *Process) Children() []int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", p.Pid(), p.Pid()))
	pids := parsePids(string(b))
	if err == nil && len(pids) > 0 {
		return pids
	}
	// A child belongs to the thread that started it.
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.Pid()))
	for _, t := range threads {
		b, _ := os.ReadFile(t)
		pids = append(pids, parsePids(string(b))...)
	}
	slices.Sort(pids)
	return slices.Compact(pids)
}

func parsePids(s string) []int {
	var pids []int
	for _, f := range strings.Fields(s) {
		if n, err := strconv.Atoi(f); err == nil {
			pids = append(pids, n)
		}
	}
	return pids
}

// Log is everything that the process has written so far.
func (p *Process) Log() string {
	b, _ := os.ReadFile(p.log)
	return string(b)
}

// Client speaks to whoever leads this cluster.
func (c *Cluster) Client() (*client.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.client != nil {
		return c.mu.client, nil
	}
	conf, err := config.Load(c.ConfDir(), nil)
	if err != nil {
		return nil, err
	}
	services, err := bootstrap.HA(conf, bootstrap.Quiet())
	if err != nil {
		return nil, err
	}
	c.mu.client = client.New(bootstrap.Discovery(services), nil)
	return c.mu.client, nil
}

// Leader waits until some jobmanager leads and answers, and says which.
func (c *Cluster) Leader(ctx context.Context) (*thalwegv1.LeaderIdentity, error) {
	cl, err := c.Client()
	if err != nil {
		return nil, err
	}
	r, err := cl.Cluster(ctx)
	if err != nil {
		return nil, err
	}
	return r.Leader, nil
}

// Run submits a job by the command line, as a person does, detached, and returns its id.
func (c *Cluster) Run(ctx context.Context, flags []string, binary string, args ...string) (string, error) {
	a := append([]string{"run", "-d", "--config-dir", c.ConfDir()}, flags...)
	a = append(append(a, binary, "--"), args...)
	out, err := c.Thalweg(ctx, a...)
	if err != nil {
		return "", err
	}
	_, id, ok := strings.Cut(out, "JobID ")
	if !ok {
		return "", fmt.Errorf("thalweg run said: %s", out)
	}
	return strings.TrimSpace(strings.SplitN(id, "\n", 2)[0]), nil
}

// Thalweg runs the command line and returns what it printed.
func (c *Cluster) Thalweg(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, "thalweg"), args...)
	cmd.Env = append(os.Environ(), c.env...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("thalweg %s: %w\n%s%s", strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}

// WaitRunning waits until a job is RUNNING, all its subtasks too, in a generation above the given one ("" of any), and returns its state.
func (c *Cluster) WaitRunning(ctx context.Context, id string, restartsAbove int32) (*thalwegv1.JobInfo, error) {
	return c.WaitFor(ctx, id, func(i *thalwegv1.JobInfo) bool {
		return i.Summary.Status == thalwegv1.JobStatus_JOB_STATUS_RUNNING && i.Summary.TasksRunning == i.Summary.TasksTotal && i.Restarts > restartsAbove
	})
}

// WaitFor waits until a job's state satisfies ok. A job that has ended otherwise is an error with its cause.
func (c *Cluster) WaitFor(ctx context.Context, id string, ok func(*thalwegv1.JobInfo) bool) (*thalwegv1.JobInfo, error) {
	cl, err := c.Client()
	if err != nil {
		return nil, err
	}
	var last *thalwegv1.JobInfo
	for {
		i, err := cl.Info(ctx, id)
		if err != nil {
			if last != nil {
				return last, fmt.Errorf("job %s is %s, waiting for %q: %w", id, last.Summary.Status, last.WaitingFor, err)
			}
			return nil, err
		}
		if ok(i) {
			return i, nil
		}
		last = i
		if client.Ended(i.Summary.Status) {
			cause := ""
			if len(i.Exceptions) > 0 {
				cause = i.Exceptions[0].Message
			}
			return i, fmt.Errorf("job %s has ended as %s: %s", id, i.Summary.Status, cause)
		}
		select {
		case <-ctx.Done():
			return i, fmt.Errorf("job %s is %s (waiting for %q): %w", id, i.Summary.Status, i.WaitingFor, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Close ends every process that is left, taskmanagers first, so that nothing restarts what is being taken down.
func (c *Cluster) Close() {
	c.mu.Lock()
	processes, cl := slices.Clone(c.mu.processes), c.mu.client
	c.mu.client = nil
	c.mu.Unlock()
	if cl != nil {
		cl.Close()
	}
	var wg sync.WaitGroup
	for _, p := range processes {
		wg.Go(func() {
			p.Continue()
			p.signal(syscall.SIGTERM)
			select {
			case <-p.done:
			case <-time.After(5 * time.Second):
				p.Kill()
			}
		})
	}
	wg.Wait()
}

// KillAll is kill -9 of everything that this cluster started, workers included.
func (c *Cluster) KillAll() {
	c.mu.Lock()
	processes, cl := slices.Clone(c.mu.processes), c.mu.client
	c.mu.processes, c.mu.client = nil, nil
	c.mu.Unlock()
	if cl != nil {
		cl.Close()
	}
	for _, p := range processes {
		for _, pid := range p.Children() {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		p.Kill()
	}
}

// Tail writes the last lines of every process's log, for a person who looks for the cause of a failure.
func (c *Cluster) Tail(w io.Writer, lines int) {
	logs, _ := filepath.Glob(filepath.Join(c.dir, "log", "*.log"))
	for _, name := range logs {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		all := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
		fmt.Fprintf(w, "--- %s\n%s\n", name, strings.Join(all[max(0, len(all)-lines):], "\n"))
	}
}

// ErrNoLeader: none of the given jobmanagers leads.
var ErrNoLeader = errors.New("none of these jobmanagers leads")

// Which is the one of the given jobmanagers that has this address.
func Which(l *thalwegv1.LeaderIdentity, jobmanagers ...*Process) (*Process, error) {
	for _, p := range jobmanagers {
		if p.Address == l.Address {
			return p, nil
		}
	}
	return nil, fmt.Errorf("%w: the leader is at %s", ErrNoLeader, l.Address)
}
