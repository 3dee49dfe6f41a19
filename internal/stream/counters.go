package stream

import (
	"sync/atomic"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

// Counters of one subtask. They are added to once a batch, from any goroutine.
type Counters struct {
	in, out, late, skipped atomic.Int64
	bytesIn, bytesOut      atomic.Int64 // of frames: what stays in this process is not encoded
	inMark, outMark        mark
	meter                  meter
	rates                  rates
	checkpoint             atomic.Pointer[thalwegv1.TaskCheckpoint] // the newest acknowledged; never changed once it is here
}

// AddIn counts records that a source has read; the runtime counts those of channels.
func (c *Counters) AddIn(n int) { c.in.Add(int64(n)) }

// AddOut counts records that a sink has taken; the runtime counts those of channels.
func (c *Counters) AddOut(n int) { c.out.Add(int64(n)) }

// AddLate counts records that came behind the watermark.
func (c *Counters) AddLate(n int) { c.late.Add(int64(n)) }

// AddSkipped counts records that a policy has left out.
func (c *Counters) AddSkipped(n int) { c.skipped.Add(int64(n)) }

// SetWatermark notes the watermark that a source's chain has placed; the runtime notes those of channels.
func (c *Counters) SetWatermark(at int64) { c.outMark.set(at) }

// received counts a batch from a channel; bytes is 0 if it came from this process.
func (c *Counters) received(records, bytes int) {
	c.in.Add(int64(records))
	if bytes > 0 {
		c.bytesIn.Add(int64(bytes))
	}
}

// sent counts the bytes of a batch that leaves the process.
func (c *Counters) sent(bytes int) { c.bytesOut.Add(int64(bytes)) }

// acknowledged notes the subtask's part of a checkpoint. Called by one goroutine at a time: the task's.
func (c *Counters) acknowledged(a *thalwegv1.Acknowledge) {
	c.checkpoint.Store(&thalwegv1.TaskCheckpoint{Id: a.Checkpoint, AlignmentNs: a.AlignmentNs, SyncNs: a.SyncNs, AsyncNs: a.AsyncNs, Bytes: a.Bytes,
		Count: c.checkpoint.Load().GetCount() + 1})
}

// proto is what the counters say at a time of clock.
func (c *Counters) proto(now int64) *thalwegv1.TaskCounters {
	spent, running := c.meter.read(now)
	p := &thalwegv1.TaskCounters{
		RecordsIn: c.in.Load(), RecordsOut: c.out.Load(), Late: c.late.Load(), Skipped: c.skipped.Load(), BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(),
		BusyNs: spent[busy], IdleNs: spent[waiting], BackpressuredNs: spent[backpressured],
		InputWatermark: c.inMark.get(), OutputWatermark: c.outMark.get(), Checkpoint: c.checkpoint.Load(),
	}
	if running {
		p.Rates = c.rates.over(now, p)
	}
	return p
}

// mark is a watermark that another goroutine reads. The zero mark is none.
type mark struct{ v atomic.Int64 }

func (m *mark) set(at int64) { m.v.Store(at ^ NoTime) }

// get is nil if there is none.
func (m *mark) get() *int64 {
	if at := m.v.Load() ^ NoTime; at != NoTime {
		return &at
	}
	return nil
}
