package meter

import (
	"context"
	"errors"
	"time"
)

// Sample is what was seen of a running job at one moment.
type Sample struct {
	At        time.Time
	Events    int64         // behind the source, those of kinds that the job does not read included
	Processor time.Duration // of the job's processes since their start
}

// Sampler looks at a running job.
type Sampler interface{ Sample() (Sample, error) }

// Span is what lies between two moments.
type Span struct{ From, To Sample }

// Events is how many went by.
func (s Span) Events() int64 { return s.To.Events - s.From.Events }

// Core is the processor time that they took.
func (s Span) Core() time.Duration { return s.To.Processor - s.From.Processor }

// PerCore is events per core-second; 0 if no processor time was seen.
func (s Span) PerCore() float64 {
	if s.Core() <= 0 {
		return 0
	}
	return float64(s.Events()) / s.Core().Seconds()
}

// Timing is when a running job is measured: once Settle has passed and Fill events are behind the source, but no later than FillWithin after that,
// for Length.
type Timing struct {
	Settle, FillWithin, Length time.Duration
	Fill                       int64
}

// ErrStands says that a job's source did not move while it was measured.
var ErrStands = errors.New("the source is no event further after the measured time: measure longer, or see the logs for what the job waits for")

// Measure measures a running job once.
func Measure(ctx context.Context, job Sampler, t Timing) (s Span, err error) {
	if err := Rest(ctx, t.Settle); err != nil {
		return s, err
	}
	for until := time.Now().Add(t.FillWithin); ; {
		if s.From, err = job.Sample(); err != nil {
			return s, err
		}
		if s.From.Events >= t.Fill || !s.From.At.Before(until) {
			break
		}
		if err := Rest(ctx, min(100*time.Millisecond, time.Until(until))); err != nil {
			return s, err
		}
	}
	if err := Rest(ctx, t.Length); err != nil {
		return s, err
	}
	if s.To, err = job.Sample(); err != nil {
		return s, err
	}
	if s.Events() == 0 {
		return s, ErrStands
	}
	return s, nil
}

// Rest waits, unless ctx ends first.
func Rest(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
