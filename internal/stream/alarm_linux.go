package stream

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// alarmClock wakes a task that waits for a time. The runtime's own timers come up to a millisecond late in a process that does nothing else meanwhile,
// because it waits in whole milliseconds; a timer of the kernel's ends that wait in time. Where all processors are busy it is the other way round, so
// a task waits for both. The zero value is ready. It belongs to one goroutine.
type alarmClock struct {
	fd    int
	file  *os.File // of fd; nil: not asked for yet, or refused
	c     chan struct{}
	tried bool
}

// in gives something on the channel after d > 0, unless the system has no such timer. What was asked for before, and was not waited for, may come first.
func (a *alarmClock) in(d time.Duration) <-chan struct{} {
	if !a.tried {
		a.open()
	}
	if a.file == nil || unix.TimerfdSettime(a.fd, 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(int64(d))}, nil) != nil {
		return nil
	}
	return a.c
}

func (a *alarmClock) open() {
	a.tried = true
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return
	}
	a.fd, a.file, a.c = fd, os.NewFile(uintptr(fd), "timerfd"), make(chan struct{}, 1)
	go pass(a.file, a.c)
}

// pass tells what the kernel says, until the file is closed.
func pass(f *os.File, c chan<- struct{}) {
	var times [8]byte
	for {
		if _, err := f.Read(times[:]); err != nil {
			return
		}
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

func (a *alarmClock) close() {
	if a.file != nil {
		a.file.Close()
	}
	a.file = nil
}
