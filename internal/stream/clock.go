package stream

import (
	"sync"
	"time"
)

// Clock is the processing time of tasks: what Alarms, windows, timers and the silence of inputs go by. A nil Clock is the machine's. One that a test
// makes stands still until it is set. What is about the machine itself (buffers, deadlines, measurements, the waits of a Reader) goes by the
// machine's time in any case. It is a leaf: no other lock is taken under its own, and it may be used by any goroutine.
type Clock struct {
	mu struct {
		sync.Mutex
		now  int64           // ns since 1970
		next map[*task]int64 // earliest time that a task's alarms wait for, as it was at the task's newest barrier
	}
}

// NewClock makes one that stands at a time, in ns since 1970.
func NewClock(at int64) *Clock {
	c := &Clock{}
	c.mu.now, c.mu.next = at, make(map[*task]int64)
	return c
}

// Now is the time, in ns since 1970.
func (c *Clock) Now() int64 {
	if c == nil {
		return time.Now().UnixNano()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.now
}

// Set sets the time, which does not go back, and wakes the tasks that wait for it. They have acted on it before they pass the next barrier, or say by
// Next that they have not.
func (c *Clock) Set(at int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.now = max(c.mu.now, at)
	for t := range c.mu.next {
		t.poke()
	}
}

// Next is the earliest time that an alarm of any task waits for, if there is one. It is right when a barrier has gone through all tasks and nothing
// has come behind it.
func (c *Clock) Next() (at int64, some bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, next := range c.mu.next {
		if !some || next < at {
			at, some = next, true
		}
	}
	return at, some
}

// until is how long a task that rests may rest before a time; negative: until the clock is set.
func (c *Clock) until(at int64) time.Duration {
	switch {
	case c == nil:
		return max(time.Until(time.Unix(0, at)), 0)
	case at <= c.Now():
		return 0
	}
	return -1
}

// note has Next know of a task's alarms.
func (c *Clock) note(t *task) {
	if c == nil {
		return
	}
	at, some := t.nextAlarm()
	c.mu.Lock()
	defer c.mu.Unlock()
	if some {
		c.mu.next[t] = at
	} else {
		delete(c.mu.next, t)
	}
}

// forget has Next know no more of a task that is over.
func (c *Clock) forget(t *task) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.mu.next, t)
}
