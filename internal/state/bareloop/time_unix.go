//go:build unix

package bareloop

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// processorTime is what this process has used, in user and in kernel.
func processorTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(fmt.Sprintf("bareloop: getrusage: %v", err)) // it has no reason to fail
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
