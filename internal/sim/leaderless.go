package sim

import (
	"slices"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

// X4: a taskmanager out of contact with any leader for longer than the leaderless timeout cancels its tasks, not sooner, and their sinks never commit
// afterwards. A worker whose taskmanager is silent does so by a timer of its own.

// cancelTimeout is what a worker has to end its tasks in, before it is killed.
const cancelTimeout = 10 * time.Second

// slack is what a cancel may take on its way: more than any delay in one host.
func (s *Sim) slack() time.Duration {
	if s.o.slow {
		return 4 * time.Second
	}
	return 200 * time.Millisecond
}

// limit is how long the taskmanager may be without a leader.
func (tm *taskmanager) limit() time.Duration {
	if tm.newest > tm.served { // somebody else leads, and may have replaced what runs here
		return min(tm.s.o.leaderless, tm.s.o.unreachable)
	}
	return tm.s.o.leaderless
}

// gaveUp: it has its tasks cancelled, and no leader said so.
func (tm *taskmanager) gaveUp(m *thalwegv1.ToWorker) {
	s := tm.s
	away := s.now - tm.without
	if away <= tm.limit() {
		s.fail("X4: %s cancels its tasks after %v without a leader; it has %v", tm.p.name, away, tm.limit())
	}
	s.log("%s has had no leader for %v", tm.p.name, away)
	s.truth.wound("a taskmanager had no leader for too long")
	s.truth.leaderless++
	tm.own[m] = true
}

// leaderless checks, after each look that the core has taken, that nothing lives on for too long.
func (tm *taskmanager) leaderless() {
	s := tm.s
	slept := s.now-tm.ticked > 2*tm.core.TickInterval()
	tm.ticked = s.now
	w := tm.worker
	switch {
	case slept, tm.core.Connected(), s.now-tm.without <= tm.limit(), w == nil, !slices.ContainsFunc(w.tasks, func(t *task) bool { return !t.over() }):
		tm.overdue = -1
	case tm.overdue < 0:
		tm.overdue = s.now
	case s.now-tm.overdue > cancelTimeout+s.slack(), s.now-tm.overdue > s.slack() && !w.p.paused && s.now-w.ticked <= s.o.heartbeat:
		s.fail("X4: %s has had no leader for %v, and %v of %v goes on; it has %v", tm.p.name, s.now-tm.without, w.tasks[0].id, w.generation, tm.limit())
	}
}

// commits checks that a sink that commits is not one that has been forsaken. One that was stopped meanwhile has had no time to notice.
func (w *worker) commits(id txnID) {
	s := w.s
	away := s.now - w.contact
	if away > s.o.timeout+s.o.leaderless+cancelTimeout+s.slack() && s.now-w.ticked <= s.o.heartbeat {
		s.fail("X4: %s commits transaction %v after %v without a leader; it has %v", w.p.name, id, away, s.o.leaderless)
	}
}
