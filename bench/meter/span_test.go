package meter

import (
	"context"
	"errors"
	"testing"
	"time"
)

// counting is a job that is so many events further, and has used as many milliseconds, each time somebody looks.
type counting struct{ looks, step int64 }

func (c *counting) Sample() (Sample, error) {
	c.looks++
	n := c.looks * c.step
	return Sample{At: time.Now(), Events: n, Processor: time.Duration(n) * time.Millisecond}, nil
}

func TestMeasureWaitsForTheState(t *testing.T) {
	s, err := Measure(t.Context(), &counting{step: 10}, Timing{Fill: 30, FillWithin: time.Minute, Length: time.Millisecond})
	if err != nil || s.From.Events != 30 || s.Events() != 10 || s.Core() != 10*time.Millisecond || s.PerCore() != 1000 {
		t.Errorf("from event %d, %d events in %v, %.0f a second: error %v", s.From.Events, s.Events(), s.Core(), s.PerCore(), err)
	}
	// The time that it may take is over at once: what is there is measured.
	s, err = Measure(t.Context(), &counting{step: 1}, Timing{Fill: 1 << 40, FillWithin: time.Millisecond, Length: time.Millisecond})
	if err != nil || s.From.Events >= 1<<40 || s.Events() != 1 {
		t.Errorf("from event %d, %d events: error %v", s.From.Events, s.Events(), err)
	}
}

func TestMeasureNeedsEvents(t *testing.T) {
	if _, err := Measure(t.Context(), &counting{}, Timing{Length: time.Millisecond}); !errors.Is(err, ErrStands) {
		t.Errorf("a source that stands: error %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	cancel(cause)
	if _, err := Measure(ctx, &counting{step: 1}, Timing{Settle: time.Hour}); !errors.Is(err, cause) {
		t.Errorf("an end that came from outside: error %v", err)
	}
}
