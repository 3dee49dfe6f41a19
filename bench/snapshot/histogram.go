package main

import (
	"math/bits"
	"time"
)

// histogram counts durations in buckets of at most a sixteenth of their value.
type histogram struct {
	counts [64 * 16]int64
	n      int64
	max    time.Duration
}

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

func (h *histogram) add(d time.Duration, times int64) {
	h.counts[bucket(d)] += times
	h.n += times
	h.max = max(h.max, d)
}

func (h *histogram) merge(o *histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.n += o.n
	h.max = max(h.max, o.max)
}

// at is a quantile.
func (h *histogram) at(q float64) time.Duration {
	left := int64(q * float64(h.n))
	for b, n := range h.counts {
		if left -= n; left < 0 {
			return min(upper(b), h.max)
		}
	}
	return h.max
}
