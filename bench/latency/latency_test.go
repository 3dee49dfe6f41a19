package main

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestRecordsAreMeasured runs the measurement for a moment: every record that comes through is counted once, and none before it was made.
func TestRecordsAreMeasured(t *testing.T) {
	e, err := start(1000, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer e.bed.Close()
	w, err := e.run(20_000, 500*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if w.records == 0 || w.delay.Count() != w.records || w.delay.At(0) <= 0 {
		t.Errorf("%d records, %d measured, the shortest delay %v", w.records, w.delay.Count(), w.delay.At(0))
	}
}
