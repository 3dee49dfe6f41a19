package stream

import (
	"sync/atomic"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

// Counters of one subtask. They are added to once a batch, from any goroutine.
type Counters struct {
	in, out, late, skipped atomic.Int64
}

// AddIn counts records that a source has read; the runtime counts those of channels.
func (c *Counters) AddIn(n int) { c.in.Add(int64(n)) }

// AddOut counts records that a sink has taken; the runtime counts those of channels.
func (c *Counters) AddOut(n int) { c.out.Add(int64(n)) }

// AddLate counts records that came behind the watermark.
func (c *Counters) AddLate(n int) { c.late.Add(int64(n)) }

// AddSkipped counts records that a policy has left out.
func (c *Counters) AddSkipped(n int) { c.skipped.Add(int64(n)) }

func (c *Counters) proto() *thalwegv1.TaskCounters {
	return &thalwegv1.TaskCounters{RecordsIn: c.in.Load(), RecordsOut: c.out.Load(), Late: c.late.Load(), Skipped: c.skipped.Load()}
}
