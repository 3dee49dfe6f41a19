package stream

import (
	"fmt"
	"testing"
	"time"
)

// TestPace: however long a batch takes to be consumed, a sender that is always ready has about as much on its way as is consumed within inFlight, and
// not less than the least window.
func TestPace(t *testing.T) {
	for _, c := range []struct {
		each   time.Duration // for a batch
		weight int64
		want   int // unconsumed, at most
	}{
		{10 * time.Microsecond, 8 << 10, window},
		{300 * time.Microsecond, 8 << 10, 33},
		{time.Millisecond, 8 << 10, 10},
		{time.Second, 8 << 10, leastWindow},
		{time.Second, 0, leastWindow},
		{10 * time.Microsecond, fullFrame, 4},
		{time.Second, fullFrame, 4},
	} {
		t.Run(fmt.Sprintf("%v for %d bytes", c.each, c.weight), func(t *testing.T) {
			now := int64(0)
			p := newPace(now)
			clock := func() int64 { return now }
			unconsumed := p.owed // as its sender begins
			most, least := 0, window
			for n := range 1000 {
				for unconsumed.batches < window && unconsumed.bytes < windowBytes {
					unconsumed.batches++
					unconsumed.bytes += c.weight
				}
				coming := unconsumed.batches - p.owed.batches
				if coming == 0 {
					t.Fatalf("nothing is on its way, and credit for %+v is kept", p.owed)
				}
				if n == 0 && coming > leastWindow {
					t.Errorf("%d batches are on their way to a receiver that has consumed none, want %d", coming, leastWindow)
				}
				if n > 200 {
					most, least = max(most, coming), min(least, coming)
				}
				now += int64(c.each)
				credit := p.consume(int(c.weight), clock)
				unconsumed.batches -= credit.batches
				unconsumed.bytes -= credit.bytes
			}
			if most > c.want || least < c.want/4 {
				t.Errorf("%d to %d batches are on their way, want about %d", least, most, c.want)
			}
		})
	}
}

// TestPaceFollows: a receiver that becomes fast gets a wide window within a few looks, and one that becomes slow loses it at the next.
func TestPaceFollows(t *testing.T) {
	p := newPace(0)
	now := int64(0)
	after := func(each time.Duration) int {
		p.consumed = p.window / 2
		now += int64(p.consumed) * int64(each)
		p.adapt(now)
		return p.window
	}
	for _, want := range []int{16, 32, window, window} {
		if got := after(time.Microsecond); got != want {
			t.Fatalf("%d batches, want %d", got, want)
		}
	}
	if got := after(time.Millisecond); got != 10 {
		t.Errorf("%d batches of a millisecond each, want 10", got)
	}
	if got := after(time.Minute); got != leastWindow {
		t.Errorf("%d batches of a minute each, want %d", got, leastWindow)
	}
}
