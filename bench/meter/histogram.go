// Package meter has what the benchmarks measure with: a Histogram of durations, a process that only sleeps, and the memory of the process.
//
// It judges nothing and is used by benchmarks only.
package meter

import (
	"math/bits"
	"time"
)

// Histogram counts durations in buckets of at most a sixteenth of their value.
type Histogram struct {
	counts [buckets]int64
	n      int64
	most   time.Duration
}

const buckets = 64 * 16

func bucket(d time.Duration) int {
	v := uint64(max(d, 0))
	if v < 16 {
		return int(v)
	}
	e := bits.Len64(v) - 5
	return (e+1)*16 + int(v>>e)&15
}

// upper is the greatest duration of a bucket.
func upper(b int) time.Duration {
	if b < 16 {
		return time.Duration(b)
	}
	e := b/16 - 1
	return time.Duration((uint64(16+b%16)+1)<<e - 1)
}

// Add counts a duration a number of times.
func (h *Histogram) Add(d time.Duration, times int64) {
	h.counts[bucket(d)] += times
	h.n += times
	h.most = max(h.most, d)
}

// Merge adds another one.
func (h *Histogram) Merge(o *Histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.n += o.n
	h.most = max(h.most, o.most)
}

// At is a quantile, at most a sixteenth too long.
func (h *Histogram) At(q float64) time.Duration {
	left := int64(q * float64(h.n))
	for b, n := range h.counts {
		if left -= n; left < 0 {
			return min(upper(b), h.most)
		}
	}
	return h.most
}

// Max is the longest.
func (h *Histogram) Max() time.Duration { return h.most }

// Count is how many there are.
func (h *Histogram) Count() int64 { return h.n }
