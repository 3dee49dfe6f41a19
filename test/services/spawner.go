package services

import (
	"errors"
	"os/exec"
	"runtime"
)

var errSpawnerClosed = errors.New("services: closed: nothing can be started any more")

// spawner starts child processes from one thread that lives as long as they may.
//
// PR_SET_PDEATHSIG fires when the *thread* that forked ends, and the Go runtime ends threads as it likes. So one goroutine keeps one thread
// for the life of a set of servers; when the spawner is closed, or this process dies of anything, the kernel kills what is left.
type spawner struct {
	requests chan func()
	quit     chan struct{}
	ended    chan struct{}
}

func newSpawner() *spawner {
	s := &spawner{requests: make(chan func()), quit: make(chan struct{}), ended: make(chan struct{})}
	go s.run()
	return s
}

func (s *spawner) run() {
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

// start is cmd.Start on the spawner's thread.
func (s *spawner) start(cmd *exec.Cmd) error {
	answer := make(chan error, 1)
	select {
	case s.requests <- func() { answer <- cmd.Start() }:
		return <-answer
	case <-s.ended:
		return errSpawnerClosed
	}
}

// close ends the thread, and with it every child that is still alive. It must be called once.
func (s *spawner) close() {
	close(s.quit)
	<-s.ended
}
