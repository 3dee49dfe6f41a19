package services

import (
	"cmp"
	"context"
	"errors"
	"os/exec"
	"runtime"
	"syscall"
)

var errSpawnerClosed = errors.New("services: closed: nothing can be started any more")

// spawner starts child processes from one thread that lives as long as they may.
//
// PR_SET_PDEATHSIG fires when the *thread* that forked ends, and the Go runtime ends threads as it likes. So one goroutine keeps one thread
// for the life of a set of servers; when this process dies, of anything, the kernel kills what is left.
type spawner struct {
	requests chan func()
	quit     chan struct{}
	ended    chan struct{}
}

func newSpawner() *spawner {
	s := &spawner{requests: make(chan func()), quit: make(chan struct{}), ended: make(chan struct{})}
	go s.serve()
	return s
}

func (s *spawner) serve() {
	// Never unlocked: the thread ends with the goroutine instead of going back to the scheduler.
	runtime.LockOSThread()
	defer close(s.ended)
	for {
		select {
		case request := <-s.requests:
			request()
		case <-s.quit:
			return
		}
	}
}

// start is cmd.Start on the spawner's thread, for a child in a process group of its own.
func (s *spawner) start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	answer := make(chan error, 1)
	select {
	case s.requests <- func() { answer <- cmd.Start() }:
		return <-answer
	case <-s.ended:
		return errSpawnerClosed
	}
}

// run starts a child and waits for its end, which comes by SIGKILL when ctx ends.
func (s *spawner) run(ctx context.Context, cmd *exec.Cmd) error {
	if err := s.start(cmd); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	defer stop()
	if err := cmd.Wait(); err != nil {
		return cmp.Or(context.Cause(ctx), err)
	}
	return nil
}

// close ends the thread. Its children must have ended: the kernel kills what is left, except where the thread is the program's first one,
// which the Go runtime never ends. It must be called once.
func (s *spawner) close() {
	close(s.quit)
	<-s.ended
}
