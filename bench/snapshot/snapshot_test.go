package main

import (
	"math"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestCheckpointsOfAChangingState runs the whole measurement small: what changes little is written as a small delta.
func TestCheckpointsOfAChangingState(t *testing.T) {
	const (
		keys  = 200_000
		least = 2 // bytes of an entry, compressed: which of so many keys it has alone is more
	)
	e, err := start(keys, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	if r, err := e.grow(); err != nil || r.records != keys {
		t.Fatalf("%d records of %d, %v", r.records, keys, err)
	}
	full, err := e.window(0)
	if err != nil {
		t.Fatal(err)
	}
	if full.bytes < keys*least {
		t.Fatalf("%d bytes of %d entries", full.bytes, keys)
	}
	few, err := e.few(keys / 100)
	if err != nil {
		t.Fatal(err)
	}
	if few.bytes > full.bytes/50 || few.bytes < keys/100*least {
		t.Errorf("after a hundredth of the keys has changed %d bytes, of %d", few.bytes, full.bytes)
	}
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	for want, err := range map[string]error{
		"-keys 99":     check(99, 1, 1, 0),
		"-windows 0":   check(100, 0, 1, 0),
		"-rate 0":      check(100, 1, 0, 0),
		"-pretouch -1": check(100, 1, 1, -1),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), want+":") {
			t.Errorf("error %v, want one of %s", err, want)
		}
	}
	if err := check(100, 1, 1, 0); err != nil {
		t.Error(err)
	}
}

// TestDriftIsNoLoss: a machine that becomes faster all the time shows what checkpoints cost all the same.
func TestDriftIsNoLoss(t *testing.T) {
	speed := func(at int) float64 { return 10 + float64(at) }
	var without, with []float64
	for i := range 5 {
		with = append(with, 0.9*speed(2*i))
		without = append(without, speed(2*i+1))
	}
	for i, lost := range losses(without, with)[1:] {
		if math.Abs(lost-0.1) > 1e-9 {
			t.Errorf("window %d: %.4f is lost, want 0.1", i+1, lost)
		}
	}
}
