package main

import (
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
