package stream

import (
	"sync"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

// activity is what a task does with its time. Each moment since it runs is one of them.
type activity uint8

const (
	busy          activity = iota
	waiting                // nothing to do: Flink calls it idle
	backpressured          // an output has no room
	activities
)

// started is where clock begins.
var started = time.Now()

// clock is the time that metrics are in: nanoseconds, monotonic.
func clock() int64 { return int64(time.Since(started)) }

// meter adds up a task's time by activity. The task reads the clock only where it stops or goes on, never by record or batch, so
// what it is in the middle of is added by whoever reads.
type meter struct {
	mu struct {
		sync.Mutex
		running bool
		doing   activity
		since   int64
		spent   [activities]int64
	}
}

// begin starts the time, with work.
func (m *meter) begin(now int64) {
	m.mu.Lock()
	m.mu.running, m.mu.doing, m.mu.since = true, busy, now
	m.mu.Unlock()
}

// turn ends what the task did until now. Outside begin and end nothing is measured: operators may wait while they open.
func (m *meter) turn(to activity, now int64) {
	m.mu.Lock()
	m.turnLocked(to, now)
	m.mu.Unlock()
}

func (m *meter) turnLocked(to activity, now int64) {
	if m.mu.running {
		m.mu.spent[m.mu.doing] += now - m.mu.since
		m.mu.doing, m.mu.since = to, now
	}
}

// end stops the time.
func (m *meter) end(now int64) {
	m.mu.Lock()
	m.turnLocked(busy, now)
	m.mu.running = false
	m.mu.Unlock()
}

// read is the time spent up to now, and whether it still runs.
func (m *meter) read(now int64) (spent [activities]int64, running bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	spent = m.mu.spent
	if m.mu.running && now > m.mu.since { // the task may have turned after now was read
		spent[m.mu.doing] += now - m.mu.since
	}
	return spent, m.mu.running
}

// rateWindow is the least time that rates are taken over: reports may be more frequent, as when a task changes its state.
const rateWindow = 900 * time.Millisecond

// rates compares counters with what they were about a second before.
type rates struct {
	mu struct {
		sync.Mutex
		at   int64
		then *thalwegv1.TaskCounters // nil: nothing to compare with yet
		last *thalwegv1.TaskRates
	}
}

// over gives the rates of the newest window that is complete; nil: none is. c is kept and must not be changed.
func (r *rates) over(now int64, c *thalwegv1.TaskCounters) *thalwegv1.TaskRates {
	r.mu.Lock()
	defer r.mu.Unlock()
	passed := now - r.mu.at
	switch then := r.mu.then; {
	case then == nil:
		r.mu.at, r.mu.then = now, c
	case passed >= int64(rateWindow):
		per := func(a, b int64) float64 { return float64(a-b) / (float64(passed) / 1e9) }
		r.mu.last = &thalwegv1.TaskRates{
			RecordsIn: per(c.RecordsIn, then.RecordsIn), RecordsOut: per(c.RecordsOut, then.RecordsOut),
			BytesIn: per(c.BytesIn, then.BytesIn), BytesOut: per(c.BytesOut, then.BytesOut),
			BusyMs: per(c.BusyNs, then.BusyNs) / 1e6, IdleMs: per(c.IdleNs, then.IdleNs) / 1e6,
			BackpressuredMs: per(c.BackpressuredNs, then.BackpressuredNs) / 1e6,
		}
		r.mu.at, r.mu.then = now, c
	}
	return r.mu.last
}
