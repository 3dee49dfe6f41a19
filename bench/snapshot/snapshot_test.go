package main

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestCheckpointsOfAChangingState runs the whole measurement small: what changes little is written as a small delta.
func TestCheckpointsOfAChangingState(t *testing.T) {
	const keys = 200_000
	e, err := start(keys, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	if r, err := e.grow(); err != nil || r.records != keys {
		t.Fatalf("%v, %v", r, err)
	}
	full, err := e.window(0)
	if err != nil {
		t.Fatal(err)
	}
	if full.bytes < keys*24 {
		t.Fatalf("%d bytes of %d entries of 24", full.bytes, keys)
	}
	few, err := e.few(keys / 100)
	if err != nil {
		t.Fatal(err)
	}
	if few.bytes > full.bytes/50 || few.bytes < keys/100*24 {
		t.Errorf("after a hundredth of the keys has changed %d bytes, of %d", few.bytes, full.bytes)
	}
}

func TestHistogram(t *testing.T) {
	var h histogram
	for i := range 1000 {
		h.add(time.Duration(i+1)*time.Microsecond, 1)
	}
	for _, tc := range []struct {
		q    float64
		want time.Duration
	}{{0.5, 501 * time.Microsecond}, {0.99, 991 * time.Microsecond}, {0.9999, time.Millisecond}} {
		if got := h.at(tc.q); got < tc.want || got > tc.want+tc.want/16 {
			t.Errorf("%v: %v, want %v", tc.q, got, tc.want)
		}
	}
}
