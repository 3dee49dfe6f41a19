package services

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopGrace is how long a server may take to end by itself after Stop, or to come to stand after Pause.
const stopGrace = 15 * time.Second

// Process is one server process, which may be killed, stopped, paused and started again, always on the same ports and folder. Its methods may
// be called from any goroutine. What ends it goes to its process group, so that a server's own children end too.
type Process struct {
	name  string
	log   string
	spawn *spawner
	// command makes the command line of the next start.
	command func() *exec.Cmd

	mu struct {
		sync.Mutex
		cmd   *exec.Cmd     // nil before the first start
		ended chan struct{} // closed when cmd has been waited for; nil before the first start
	}
}

// Name says which server of its set this is, such as "zookeeper-2" or "datanode-1".
func (p *Process) Name() string { return p.name }

// LogPath is the file with everything that the process has printed, over all its starts.
func (p *Process) LogPath() string { return p.log }

// PID is the id of the process that was started last, running or not; 0 before the first start.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.cmd == nil {
		return 0
	}
	return p.mu.cmd.Process.Pid
}

// Running says whether the process exists, be it paused.
func (p *Process) Running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.runningLocked()
}

func (p *Process) runningLocked() bool {
	if p.mu.cmd == nil {
		return false
	}
	select {
	case <-p.mu.ended:
		return false
	default:
		return true
	}
}

// Start starts the process, which must not be running. It does not wait until the server is ready: its set's WaitReady does.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.runningLocked() {
		return fmt.Errorf("services: start %s: it runs already as process %d", p.name, p.mu.cmd.Process.Pid)
	}
	if err := os.MkdirAll(filepath.Dir(p.log), 0o755); err != nil {
		return fmt.Errorf("services: start %s: %w", p.name, err)
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("services: start %s: %w", p.name, err)
	}
	// The child has its own descriptor; this one is not needed after the fork.
	defer log.Close()
	cmd := p.command()
	cmd.Stdout, cmd.Stderr = log, log
	fmt.Fprintf(log, "--- %s: %s\n", time.Now().Format(time.RFC3339Nano), strings.Join(cmd.Args, " "))
	if err := p.spawn.start(cmd); err != nil {
		return fmt.Errorf("services: start %s: %w", p.name, err)
	}
	ended := make(chan struct{})
	p.mu.cmd, p.mu.ended = cmd, ended
	go func() {
		defer close(ended)
		// How it ended is of no interest: it was killed, or its log says why.
		_ = cmd.Wait()
	}()
	return nil
}

// Kill ends the process as kill -9 does and returns when it is gone. It is no error if it was gone before.
func (p *Process) Kill() error { return p.end(syscall.SIGKILL, 0) }

// Stop asks the process to end (SIGTERM) and returns when it is gone. One that is still there after 15 s is killed, and that is an error.
func (p *Process) Stop() error { return p.end(syscall.SIGTERM, stopGrace) }

func (p *Process) end(signal syscall.Signal, grace time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.runningLocked() {
		return nil
	}
	if err := p.signalLocked(signal); err != nil {
		return err
	}
	if signal != syscall.SIGKILL {
		// A paused process acts on SIGTERM only when it goes on.
		if err := p.signalLocked(syscall.SIGCONT); err != nil {
			return err
		}
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-p.mu.ended:
			return nil
		case <-timer.C:
		}
		if err := p.signalLocked(syscall.SIGKILL); err != nil {
			return err
		}
		<-p.mu.ended
		return fmt.Errorf("services: stop %s: still running %v after %v, killed; its log is %s", p.name, grace, signal, p.log)
	}
	<-p.mu.ended
	return nil
}

// Pause stops the process where it is (SIGSTOP): its sockets stay open and nobody answers on them. It returns when the process stands.
//
// The signal goes to the process alone. A child that is stopped between vfork and exec would keep its parent in an uninterruptible wait, in
// which the parent never comes to stand; the short-lived children of servers do no harm.
func (p *Process) Pause() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.runningLocked() {
		return fmt.Errorf("services: pause %s: it is not running", p.name)
	}
	pid := p.mu.cmd.Process.Pid
	if err := p.mu.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("services: pause %s: %w", p.name, err)
	}
	deadline := time.Now().Add(stopGrace)
	// Each thread comes to stand at its own time.
	for !allThreadsStopped(pid) {
		if time.Now().After(deadline) {
			return fmt.Errorf("services: pause %s: process %d does not stand %v after SIGSTOP", p.name, pid, stopGrace)
		}
		select {
		case <-p.mu.ended:
			return fmt.Errorf("services: pause %s: it ended; its log is %s", p.name, p.log)
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

// Continue lets a paused process go on (SIGCONT).
func (p *Process) Continue() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.runningLocked() {
		return fmt.Errorf("services: continue %s: it is not running", p.name)
	}
	if err := p.mu.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		return fmt.Errorf("services: continue %s: %w", p.name, err)
	}
	return nil
}

// signalLocked signals the group of a process that was not known to have ended a moment ago. A group that is gone by now is no error.
func (p *Process) signalLocked(signal syscall.Signal) error {
	err := syscall.Kill(-p.mu.cmd.Process.Pid, signal)
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("services: %v to %s (process group %d): %w", signal, p.name, p.mu.cmd.Process.Pid, err)
	}
	return nil
}

// endedEarly is the error of a server that was expected to run, and nil if it runs.
func (p *Process) endedEarly() error {
	if p.Running() {
		return nil
	}
	return fmt.Errorf("services: %s is not running; the end of its log %s:\n%s", p.name, p.log, LogTail(p.log, 30))
}

// killAll kills all at once, waits for all, and joins what went wrong.
func killAll(processes []*Process) error {
	errs := make([]error, len(processes))
	var all sync.WaitGroup
	for i, p := range processes {
		all.Go(func() { errs[i] = p.Kill() })
	}
	all.Wait()
	return errors.Join(errs...)
}
