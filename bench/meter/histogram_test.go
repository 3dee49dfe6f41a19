package meter

import (
	"testing"
	"time"
)

func TestHistogram(t *testing.T) {
	var h Histogram
	for i := range 1000 {
		h.Add(time.Duration(i+1)*time.Microsecond, 1)
	}
	for _, tc := range []struct {
		q    float64
		want time.Duration
	}{{0.5, 501 * time.Microsecond}, {0.99, 991 * time.Microsecond}, {0.9999, time.Millisecond}} {
		if got := h.At(tc.q); got < tc.want || got > tc.want+tc.want/16 {
			t.Errorf("%v: %v, want %v", tc.q, got, tc.want)
		}
	}
	var both Histogram
	both.Add(time.Second, 2)
	both.Merge(&h)
	if both.Count() != 1002 || both.Max() != time.Second || both.At(0.5) > time.Millisecond {
		t.Errorf("%d, longest %v, median %v", both.Count(), both.Max(), both.At(0.5))
	}
}
