//go:build unix

package probe

import "golang.org/x/sys/unix"

// Now is the machine's monotonic clock in ns: the same for all processes, whatever happens to the wall clock.
func Now() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic("probe: the machine has no monotonic clock: " + err.Error())
	}
	return t.Nano()
}
