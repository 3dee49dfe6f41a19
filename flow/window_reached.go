package flow

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/stream"
)

// reached is how far an operator's key groups have come: the watermark, or up to when windows have been given. Subtasks differ in it where one saw an
// input fall idle before another, or by their clocks; and behind a restore at another parallelism a subtask has key groups of several. It goes on from
// the lowest, and of the key groups that had come further it remembers so until it has come as far: what was given is not given twice, and what was
// late stays late.
type reached struct {
	now   int64   // of all groups at least
	ahead []int64 // by key group from the first own one; nil: none is ahead
	first int     // key group of ahead[0]
	max   int     // how many there are of all subtasks
}

// of is how far keys with this hash have come.
func (r *reached) of(hash uint64) int64 {
	if r.ahead == nil {
		return r.now
	}
	return max(r.now, r.ahead[job.KeyGroup(hash, r.max)-r.first])
}

// given reports whether a window whose last moment this is was given to the key before a restore.
func (r *reached) given(last int64, hash uint64) bool {
	return r.ahead != nil && r.ahead[job.KeyGroup(hash, r.max)-r.first] >= last
}

// settle forgets who was ahead once nobody is.
func (r *reached) settle() {
	if r.ahead != nil && r.now >= slices.Max(r.ahead) {
		r.ahead = nil
	}
}

// An entry of an operator's state says how far key groups had come:
//
//	0   reached   i64
//	8   from      u32   \ the key groups [from, to)
//	12  to        u32   /
const reachedSize = 16

// entries are what a subtask with the key groups [from, to) writes.
func (r *reached) entries(from, to int) (all [][]byte) {
	for group := from; group < to; {
		at := r.ofGroup(group)
		upto := group + 1
		for upto < to && r.ofGroup(upto) == at {
			upto++
		}
		e := binary.LittleEndian.AppendUint64(nil, uint64(at))
		e = binary.LittleEndian.AppendUint32(e, uint32(group))
		all = append(all, binary.LittleEndian.AppendUint32(e, uint32(upto)))
		group = upto
	}
	return all
}

func (r *reached) ofGroup(group int) int64 {
	if r.ahead == nil {
		return r.now
	}
	return max(r.now, r.ahead[group-r.first])
}

// restoreReached is what a subtask with the key groups [from, to) of max goes on from, by the entries of all subtasks.
func restoreReached(entries [][]byte, from, to, max int) (r reached, err error) {
	r = reached{now: stream.MaxWatermark, ahead: make([]int64, to-from), first: from, max: max}
	for i := range r.ahead {
		r.ahead[i] = stream.NoTime
	}
	for _, e := range entries {
		if len(e) != reachedSize {
			return r, fmt.Errorf("restore how far windows were given: %d bytes instead of %d", len(e), reachedSize)
		}
		at := int64(binary.LittleEndian.Uint64(e))
		begin, end := int(binary.LittleEndian.Uint32(e[8:])), int(binary.LittleEndian.Uint32(e[12:]))
		if begin >= end || end > max {
			return r, fmt.Errorf("restore how far windows were given: key groups [%d, %d) of %d", begin, end, max)
		}
		for group := begin; group < end; group++ {
			if group >= from && group < to {
				r.ahead[group-from] = at
			}
		}
	}
	r.now = slices.Min(r.ahead)
	r.settle()
	return r, nil
}
