package scheduler

import (
	"testing"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

func TestStrategy(t *testing.T) {
	exponential := strategy{kind: "exponential-delay", initial: time.Second, max: 10 * time.Second, multiplier: 2, resetAfter: time.Minute}
	e := &thalwegv1.Execution{}
	var delays []time.Duration
	for wall := int64(1000); len(delays) < 7; wall += 30_000 {
		delay, next, giveUp := exponential.next(e, wall)
		if giveUp != "" {
			t.Fatal(giveUp)
		}
		delays = append(delays, delay)
		e = &thalwegv1.Execution{Restarts: e.Restarts + 1, BackoffMs: next.Milliseconds(), LastFailureMs: wall}
	}
	want := []time.Duration{0, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 10 * time.Second, 10 * time.Second}
	for i := range want {
		if delays[i] != want[i] {
			t.Fatalf("delays %v, want %v", delays, want)
		}
	}
	if delay, next, _ := exponential.next(e, e.LastFailureMs+60_001); delay != 0 || next != time.Second {
		t.Errorf("after a minute without a failure: delay %v, then %v; want 0, then 1s", delay, next)
	}
	if _, _, giveUp := (strategy{kind: "none"}).next(e, 0); giveUp == "" {
		t.Error("none restarts")
	}
	if delay, _, giveUp := (strategy{kind: "fixed-delay", initial: time.Second, attempts: 8}).next(e, 0); giveUp != "" || delay != time.Second {
		t.Errorf("fixed delay: %v %q", delay, giveUp)
	}
	if _, _, giveUp := (strategy{kind: "fixed-delay", initial: time.Second, attempts: 7}).next(e, 0); giveUp == "" {
		t.Error("fixed delay: an eighth restart of seven")
	}
}
