package scheduler

import (
	"cmp"
	"fmt"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

// strategy decides after how long a failed job is restarted, or that it is not.
type strategy struct {
	kind       string // "exponential-delay", "fixed-delay", "none"
	initial    time.Duration
	max        time.Duration
	multiplier float64
	resetAfter time.Duration
	attempts   int32 // 0: unlimited
}

// strategy is the job's own, else the cluster's. If neither is set, a job with checkpoints has exponential delay, and one
// without has none: it would silently begin anew.
func (j *Job) strategy() strategy {
	own, cluster := j.graph().GetRestart(), j.c.Restart
	s := strategy{
		kind:       cmp.Or(own.GetStrategy(), cluster.GetStrategy()),
		initial:    milliseconds(cmp.Or(own.GetInitialMs(), cluster.GetInitialMs(), 1000)),
		max:        milliseconds(cmp.Or(own.GetMaxMs(), cluster.GetMaxMs(), 60_000)),
		multiplier: cmp.Or(own.GetMultiplier(), cluster.GetMultiplier(), 1.5),
		resetAfter: milliseconds(cmp.Or(own.GetResetAfterMs(), cluster.GetResetAfterMs(), 3_600_000)),
		attempts:   cmp.Or(own.GetAttempts(), cluster.GetAttempts()),
	}
	if s.kind == "" {
		s.kind = "exponential-delay"
		if !j.ck.o.enabled && j.rec.newest() == nil {
			s.kind = "none"
		}
	}
	return s
}

// next gives the delay before the next restart and the one to record for the restart after it; giveUp says why there is none.
// With exponential delay the first restart is immediate, and so is one after resetAfter without a failure.
func (s strategy) next(e *thalwegv1.Execution, wall int64) (delay, after time.Duration, giveUp string) {
	if s.attempts > 0 && e.Restarts >= s.attempts {
		return 0, 0, fmt.Sprintf("the %s restart strategy allows %s", s.kind, count(int(s.attempts), "restart"))
	}
	switch s.kind {
	case "none":
		return 0, 0, "no restart strategy is set"
	case "fixed-delay":
		return s.initial, s.initial, ""
	}
	if e.Restarts == 0 || wall-e.LastFailureMs > s.resetAfter.Milliseconds() {
		return 0, s.initial, ""
	}
	delay = min(max(milliseconds(e.BackoffMs), s.initial), s.max)
	return delay, min(time.Duration(float64(delay)*s.multiplier), s.max), ""
}

func milliseconds(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
