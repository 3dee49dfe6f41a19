package meter

import (
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Sleep measures what the machine does to a thread that wants nothing but to wake after a millisecond: how much later it does. What a task suffers
// beyond that is its own. h is complete when end has returned.
func Sleep(h *Histogram) (end func()) {
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with it
		defer close(done)
		for {
			select {
			case <-over:
				return
			default:
			}
			began := time.Now()
			ts := syscall.NsecToTimespec(int64(time.Millisecond))
			if err := syscall.Nanosleep(&ts, nil); err != nil {
				continue // interrupted
			}
			h.Add(max(0, time.Since(began)-time.Millisecond), 1)
		}
	}()
	return func() { close(over); <-done }
}

// RSS is the resident memory of the process in bytes; 0 where /proc does not say.
func RSS() int64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, _ := strconv.ParseInt(strings.Fields(v)[0], 10, 64)
			return n << 10
		}
	}
	return 0
}

// Median is the upper one of an even number.
func Median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}
