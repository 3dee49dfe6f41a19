package meter

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Sleep measures what the machine does to a thread that wants nothing but to wake after a millisecond: how much later it does. What a task suffers
// beyond that is its own. The thread is of a process of its own, which runs this program again: one of this process would take a processor of the Go
// runtime's into each sleep, with the tasks that are queued there. h is complete when end has returned.
func Sleep(h *Histogram) (end func() error, err error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := exec.Command(program)
	c.Env = append(os.Environ(), sleeper+"=1")
	c.Stderr = os.Stderr
	stop, err := c.StdinPipe()
	if err != nil {
		return nil, err
	}
	said, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("a process that sleeps: %w", err)
	}
	end = func() error {
		stop.Close()
		var o recorded
		err := gob.NewDecoder(said).Decode(&o)
		if err := errors.Join(err, c.Wait()); err != nil {
			return fmt.Errorf("the process that sleeps: %w", err)
		}
		h.Merge(&Histogram{o.Counts, o.N, o.Most})
		return nil
	}
	if _, err := io.ReadFull(said, make([]byte, len(begun))); err != nil {
		return nil, errors.Join(err, end())
	}
	return end, nil
}

// sleeper is the variable of the environment that makes a process the sleeping one.
const sleeper = "THALWEG_BENCH_SLEEPER"

// begun is what it says first.
const begun = "begun"

// recorded is a Histogram on its way.
type recorded struct {
	Counts [buckets]int64
	N      int64
	Most   time.Duration
}

// A sleeping process does nothing else: it never gets to main.
func init() {
	if os.Getenv(sleeper) == "" {
		return
	}
	h := sleepUntil(os.Stdin)
	if err := gob.NewEncoder(os.Stdout).Encode(recorded{h.counts, h.n, h.most}); err != nil {
		fmt.Fprintln(os.Stderr, "the process that sleeps:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// sleepUntil sleeps until the input ends.
func sleepUntil(in io.Reader) (h Histogram) {
	var over atomic.Bool
	go func() {
		io.Copy(io.Discard, in)
		over.Store(true)
	}()
	runtime.LockOSThread()
	fmt.Print(begun)
	for !over.Load() {
		began := time.Now()
		ts := syscall.NsecToTimespec(int64(time.Millisecond))
		if err := syscall.Nanosleep(&ts, nil); err != nil {
			continue // interrupted
		}
		h.Add(max(0, time.Since(began)-time.Millisecond), 1)
	}
	return h
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
