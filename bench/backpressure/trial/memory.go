package trial

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Memory is the resident memory of a process over time.
type Memory struct {
	Name    string
	Worker  bool
	pid     int
	Samples []Sample
	Max     int64   // bytes, of all
	Mean    float64 // bytes, of those after settling
	Slope   float64 // bytes per second, fitted to these
	Over    time.Duration
}

// Sample is the memory at a time.
type Sample struct {
	After time.Duration
	RSS   int64
}

func (m *Memory) sample(after time.Duration) error {
	n, err := resident(m.pid)
	if err != nil {
		return fmt.Errorf("%s: %w", m.Name, err)
	}
	m.Samples = append(m.Samples, Sample{after, n})
	m.Max = max(m.Max, n)
	return nil
}

// settle fits a line to the samples from a time on, by least squares.
func (m *Memory) settle(from time.Duration) {
	var n, sumT, sumR, sumTT, sumTR float64
	first, last := time.Duration(-1), time.Duration(0)
	for _, s := range m.Samples {
		if s.After < from {
			continue
		}
		if first < 0 {
			first = s.After
		}
		last = s.After
		t, r := s.After.Seconds(), float64(s.RSS)
		n, sumT, sumR, sumTT, sumTR = n+1, sumT+t, sumR+r, sumTT+t*t, sumTR+t*r
	}
	if n == 0 {
		return
	}
	m.Mean, m.Over = sumR/n, last-first
	if d := n*sumTT - sumT*sumT; d > 0 {
		m.Slope = (n*sumTR - sumT*sumR) / d
	}
}

// How much memory may grow by over the whole time and still count as flat: a collector's heap is never the same twice.
const (
	flatBytes = 16 << 20
	flatShare = 0.1
)

// Grows is by how much the line has grown.
func (m *Memory) Grows() float64 { return m.Slope * m.Over.Seconds() }

// Flat reports whether it has not.
func (m *Memory) Flat() bool { return m.Grows() <= max(flatBytes, flatShare*m.Mean) }

// resident is the resident memory of a process in bytes.
func resident(pid int) (int64, error) {
	path := fmt.Sprintf("/proc/%d/status", pid)
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.ParseInt(strings.Fields(v)[0], 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("%s has no VmRSS: the process has ended", path)
}
