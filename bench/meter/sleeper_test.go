package meter

import (
	"testing"
	"time"
)

// TestSleep: the process sleeps as long as it is to, and what it has seen comes back.
func TestSleep(t *testing.T) {
	var h Histogram
	h.Add(time.Hour, 1) // of an earlier window
	end, err := Sleep(&h)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	time.Sleep(50 * time.Millisecond) // not for order: what is measured is time
	if err := end(); err != nil {
		t.Fatal(err)
	}
	if most := time.Since(began)/time.Millisecond + 100; h.Count() < 2 || h.Count() > int64(most) || h.Max() != time.Hour {
		t.Errorf("%d sleeps, at most %d fit; the longest was %v", h.Count()-1, most, h.Max())
	}
}
