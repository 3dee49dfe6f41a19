package stream

import (
	"testing"
	"time"
)

// TestAlarmClock: it rings no earlier than it is asked to, again and again, for what was asked last; and closing it ends its goroutine, which is TestMain's
// to see.
func TestAlarmClock(t *testing.T) {
	var a alarmClock
	for range 3 {
		a.in(time.Hour)
		began := time.Now()
		rings := a.in(2 * time.Millisecond)
		if rings == nil {
			t.Fatal("the system has no timer to give")
		}
		select {
		case <-rings:
			if took := time.Since(began); took < 2*time.Millisecond {
				t.Errorf("it rang after %v", took)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("it has not rung after 20 s")
		}
	}
	a.in(time.Hour)
	a.close()
	var unused alarmClock
	unused.close()
}
