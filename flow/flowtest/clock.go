package flowtest

import (
	"fmt"
	"time"
)

// beginning is what the clock of a Harness stands at.
var beginning = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// Now is the processing time of the job. It begins with the year 2000, UTC, and stands still but for Advance.
func (h *Harness) Now() time.Time { return time.Unix(0, h.clock.Now()).UTC() }

// Advance lets processing time pass. What was pushed before comes before: it is settled first. Then the clock goes from one time that something in
// the job waits for to the next (timers and windows of processing time, splits that fall Idle), and what happens then is settled as well, before it
// goes on: a timer finds exactly its time on the clock, and what it emits has been through the job, with the timers that it sets there, before a later one
// fires. So the same steps give the same result, whatever the parallelism and however fast the machine; what falls on one time in different
// subtasks has no order, as always.
//
// Event time does not pass with it: see Source.Watermark. Nor do the waits of Readers that are of other packages.
func (h *Harness) Advance(d time.Duration) {
	h.t.Helper()
	if d < 0 {
		h.t.Fatalf("flowtest: Advance(%v): time does not go back", d)
	}
	h.check(h.advance(h.clock.Now() + int64(d)))
}

// AdvanceTo is Advance up to a time. Before Start it says what the clock begins with.
func (h *Harness) AdvanceTo(at time.Time) {
	h.t.Helper()
	if now := h.Now(); at.Before(now) {
		h.t.Fatalf("flowtest: AdvanceTo(%v): time does not go back, and it is %v", at, now)
	}
	h.check(h.advance(at.UnixNano()))
}

func (h *Harness) advance(to int64) error {
	for h.run != nil {
		if err := h.settle(); err != nil {
			return err
		}
		next, some := h.clock.Next()
		if !some || next > to {
			break
		}
		h.clock.Set(next)
	}
	h.clock.Set(to)
	return nil
}

// ring settles the job again for as long as something in it waits for a time that has come: what a timer emits may have set another. It returns at
// once for a job where no such thing is.
func (h *Harness) ring() error {
	for began := time.Now(); ; {
		now := h.clock.Now()
		next, some := h.clock.Next()
		if !some || next > now {
			return nil
		}
		if time.Since(began) > patience {
			return fmt.Errorf("flowtest: settle: something waits for %v, which has come, and does not act within %v", time.Unix(0, next).UTC(), patience)
		}
		h.clock.Set(now)
		if _, err := h.snapshot(); err != nil {
			return err
		}
	}
}
