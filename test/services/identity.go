package services

import (
	"errors"
	"fmt"
	"syscall"
)

// Identity names one process of this machine for ever, where a bare id is given to another process sooner or later. It can be written down by
// the program that started a process and used by another one.
type Identity struct {
	PID int `json:"pid"`
	// StartTime is in ticks since the machine's start.
	StartTime uint64 `json:"startTime"`
}

// Identify gives the identity of a process that exists.
func Identify(pid int) (Identity, error) {
	start, err := startTime(pid)
	if err != nil {
		return Identity{}, fmt.Errorf("services: identify process %d: %w", pid, err)
	}
	return Identity{PID: pid, StartTime: start}, nil
}

// Alive says whether that very process still exists. One that has ended and only waits to be asked how does not.
func (i Identity) Alive() bool {
	if i.PID <= 0 {
		return false
	}
	fields, err := procStat(fmt.Sprintf("/proc/%d/stat", i.PID))
	if err != nil || fields[0] == "Z" || fields[0] == "X" {
		return false
	}
	start, err := startTime(i.PID)
	return err == nil && start == i.StartTime
}

// Signal signals the process, and nothing if it is gone.
func (i Identity) Signal(signal syscall.Signal) error {
	if !i.Alive() {
		return nil
	}
	if err := syscall.Kill(i.PID, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("services: %v to process %d: %w", signal, i.PID, err)
	}
	return nil
}
