package stream

import (
	"testing"
	"time"
)

// TestSweepEndsInTime: the sweep of a busy task takes little of its time while that suffices, and more of it so that it ends within the interval, or soon
// after, however long it is.
func TestSweepEndsInTime(t *testing.T) {
	const interval, step = 10 * time.Second, time.Millisecond
	for _, c := range []struct {
		takes       time.Duration // the sweep
		least, most time.Duration // of the task's time
	}{
		{time.Millisecond, 0, interval / 100},
		{interval / 100, interval / 2, interval * 6 / 10},
		{interval / 40, interval * 8 / 10, interval * 9 / 10},
		{interval / 20, interval * 9 / 10, interval * 11 / 10},
		{interval / 2, interval * 2, interval * 3},
	} {
		since, due := time.Duration(0), 0.
		for ; due < float64(c.takes); since += step {
			share := sweepShare(since, interval)
			if share < leastSwept || share > mostSwept {
				t.Fatalf("%v of the time after %v", share, since)
			}
			due += float64(step) * share
		}
		if since < c.least || since > c.most {
			t.Errorf("a sweep of %v ends after %v, want %v to %v", c.takes, since, c.least, c.most)
		}
	}
}
