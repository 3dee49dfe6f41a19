package e2e

import (
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/bench/backpressure/trial"
)

// TestBackpressure has sources be held up for twenty seconds, and then the sink hurry. `make bench-backpressure` does the same for minutes, and judges memory.
func TestBackpressure(t *testing.T) {
	r, err := trial.Run(within(t, 5*time.Minute), trial.Options{
		Dir: t.TempDir(), Lasts: 20 * time.Second, Rate: 10_000, Extra: 500_000, Every: 2 * time.Second, Timeout: 15 * time.Second,
		Progress: func(s string) { t.Log(s) },
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range r.Broken() {
		t.Error(bad)
	}
	if r.Completed() == 0 {
		t.Errorf("none of %d checkpoints completed", len(r.Checkpoints))
	}
	if r.Drained < 10*r.Slow {
		t.Errorf("%.0f records/s when nobody is slow, %.0f before: the sources could not do much more than the sink took", r.Drained, r.Slow)
	}
}
