package gen

import "fmt"

const (
	// BaseTime is the time of the events' beginning, 2024-01-01T00:00:00Z, in milliseconds since 1970.
	BaseTime = 1_704_067_200_000

	// Endless is the number of events of a Config that sets none: 20 days at 10 million a second.
	Endless = 1 << 44

	maxSplits = 1024
	maxRate   = 1 << 40
)

// Config is which events there are.
type Config struct {
	Seed   uint64
	Rate   int64 // events per second of event time, over all splits
	Splits int   // each is a timeline of its own, with its own range of ids
	Events int64 // over all splits; 0 is Endless
}

// Check says what is wrong with the configuration.
func (c Config) Check() error {
	switch {
	case c.Rate < 1 || c.Rate > maxRate:
		return fmt.Errorf("nexmark: a rate of %d events per second: it has to be between 1 and %d", c.Rate, int64(maxRate))
	case c.Splits < 1 || c.Splits > maxSplits:
		return fmt.Errorf("nexmark: %d splits: there have to be between 1 and %d", c.Splits, maxSplits)
	case c.Events < 0 || c.Events > Endless:
		return fmt.Errorf("nexmark: %d events: there have to be between 0 (endless) and %d", c.Events, int64(Endless))
	}
	return nil
}

// total is the number of events with 0 resolved.
func (c Config) total() int64 {
	if c.Events == 0 {
		return Endless
	}
	return c.Events
}

// Count is the number of events of a split. The last one has the remainder.
func (c Config) Count(split int) int64 {
	each := c.total() / int64(c.Splits)
	if split == c.Splits-1 {
		return c.total() - each*int64(c.Splits-1)
	}
	return each
}

// first is the id before that of the split's first event.
func (c Config) first(split int) int64 { return 1 + int64(split)*(c.total()/int64(c.Splits)) }

// time is the time of the n-th event of a split, from 1.
func (c Config) time(n int64) int64 { return BaseTime + n*1000*int64(c.Splits)/c.Rate }
