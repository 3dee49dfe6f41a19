//go:build failpoints

package bootstrap

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// reached ends the process, as kill -9 does, at a named point of the protocol: THALWEG_KILL_AT is "point" or "point:n" for its
// n-th passing. Drills use it to hit the moments that a kill from outside meets only by luck.
func reached() func(point, job string) {
	at := os.Getenv("THALWEG_KILL_AT")
	if at == "" {
		return nil
	}
	name, count, _ := strings.Cut(at, ":")
	left := new(atomic.Int64)
	left.Store(1)
	if n, err := strconv.ParseInt(count, 10, 64); err == nil {
		left.Store(n)
	}
	return func(point, _ string) {
		if point == name && left.Add(-1) == 0 {
			fmt.Fprintf(os.Stderr, "failpoint %s reached: killing this process\n", point)
			time.Sleep(100 * time.Millisecond) // what was handed to the transport before this point leaves; what comes after never does
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
}
