package harness

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/thalweg-io/thalweg/bench/meter"
	"github.com/thalweg-io/thalweg/test/services"
)

// Cluster is a JobManager, which is also the client of its jobs, and its TaskManagers. It belongs to one goroutine. When a context ends
// before the driver has answered, all that is left to do is Close.
type Cluster struct {
	settings     Settings
	dir          string
	ports        *services.Ports
	driver       *exec.Cmd
	commands     io.WriteCloser
	answers      <-chan string // closed when the driver has ended
	taskManagers []*exec.Cmd
	jobs         int
}

// ErrFailed marks an error that the Java side answered with, rather than one of the processes themselves.
var ErrFailed = errors.New("flink: failed")

// Start starts a cluster in a folder that is empty or not there, and returns when it takes jobs.
//
// The calling goroutine has to be locked to its thread (runtime.LockOSThread), and the thread has to live as long as the cluster: the kernel
// ends the processes when that thread ends, so that none outlives this program, however it ends.
func Start(ctx context.Context, s Settings, dir string) (*Cluster, error) {
	if there, err := os.ReadDir(dir); err == nil && len(there) > 0 {
		return nil, fmt.Errorf("flink: start in %s: the folder is not empty; name another one", dir)
	}
	path, err := classPath(ctx)
	if err != nil {
		return nil, err
	}
	ports, err := services.ReservePorts(2)
	if err != nil {
		return nil, err
	}
	c := &Cluster{settings: s, dir: dir, ports: ports}
	if err := c.start(ctx, path); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context, path string) error {
	if err := os.MkdirAll(filepath.Join(c.dir, "tmp"), 0o755); err != nil {
		return err
	}
	for name, content := range map[string]string{
		"config.yaml":      c.settings.yaml(c.dir, c.ports.Port(0), c.ports.Port(1)),
		"log4j.properties": log4j,
	} {
		if err := os.WriteFile(filepath.Join(c.dir, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	if err := c.startDriver(path); err != nil {
		return err
	}
	for i := range c.settings.TaskManagers {
		cmd := c.java(path, c.settings.taskManagerFlags(), "org.apache.flink.runtime.taskexecutor.TaskManagerRunner", "--configDir", c.dir)
		if err := c.launch(cmd, fmt.Sprintf("taskmanager-%d", i)); err != nil {
			return err
		}
		c.taskManagers = append(c.taskManagers, cmd)
	}
	return c.expect(ctx, "ready")
}

func (c *Cluster) startDriver(path string) error {
	cmd := c.java(path, c.settings.driverFlags(), "thalweg.Driver", c.dir)
	commands, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.launch(cmd, "driver"); err != nil {
		return err
	}
	answers := make(chan string)
	go func() {
		defer close(answers)
		for lines := bufio.NewScanner(output); lines.Scan(); {
			answers <- lines.Text()
		}
	}()
	c.driver, c.commands, c.answers = cmd, commands, answers
	return nil
}

func (c *Cluster) java(path string, flags []string, main string, args ...string) *exec.Cmd {
	all := append([]string{"-XX:-UsePerfData", "-Dlog4j.configurationFile=" + filepath.Join(c.dir, "log4j.properties")}, opened...)
	all = append(append(all, flags...), "-cp", path, main)
	return exec.Command("java", append(all, args...)...)
}

func (c *Cluster) launch(cmd *exec.Cmd, name string) error {
	log, err := os.Create(filepath.Join(c.dir, name+".log"))
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own descriptor
	cmd.Stderr = log
	if cmd.Stdout == nil {
		cmd.Stdout = log
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("flink: start the %s: %w: %s", name, err, remedy)
	}
	return nil
}

// tell gives the driver a command and waits for its answer.
func (c *Cluster) tell(ctx context.Context, command, answer string) error {
	if _, err := fmt.Fprintln(c.commands, command); err != nil {
		return fmt.Errorf("flink: tell the driver %q: %w", command, err)
	}
	return c.expect(ctx, answer)
}

func (c *Cluster) expect(ctx context.Context, answer string) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case got, running := <-c.answers:
			if !running {
				return fmt.Errorf("flink: the driver ended; the end of its log:\n%s", services.LogTail(c.log("driver"), 20))
			}
			if what, failed := strings.CutPrefix(got, "failed "); failed {
				return fmt.Errorf("%w: %s", ErrFailed, what)
			}
			if got != answer {
				return fmt.Errorf("flink: the driver answered %q, not %q", got, answer)
			}
			return nil
		case <-tick.C:
			if err := c.alive(); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// alive is an error if a TaskManager has ended.
func (c *Cluster) alive() error {
	for i, cmd := range c.taskManagers {
		if _, err := meter.ProcessorTime(cmd.Process.Pid); err != nil {
			return fmt.Errorf("flink: taskmanager %d ended: %w; the end of its log:\n%s", i, err, services.LogTail(c.log(fmt.Sprintf("taskmanager-%d", i)), 20))
		}
	}
	return nil
}

func (c *Cluster) log(process string) string { return filepath.Join(c.dir, process+".log") }

// Close ends all processes and gives the ports back. The folder stays.
func (c *Cluster) Close() error {
	var errs []error
	all := c.taskManagers
	if c.driver != nil {
		all = append(all, c.driver)
	}
	for _, cmd := range all {
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			errs = append(errs, err)
		}
	}
	if c.answers != nil {
		for range c.answers { // Wait closes the pipe that the answers come from
		}
	}
	for _, cmd := range all {
		_ = cmd.Wait() // it was killed
	}
	c.ports.Release()
	return errors.Join(errs...)
}
