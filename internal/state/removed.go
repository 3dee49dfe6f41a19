package state

// removals are the keys that were removed, by interval, so that a delta can say so. They are kept until the base of every snapshot to come is newer.
type removals[K comparable] struct {
	chunks [][]removal[K] // each but the last full
	n      int
	// complete: everything is here that was removed in later intervals than this. Too many are not worth it: then the next delta has the whole table.
	complete int64
}

type removal[K comparable] struct {
	interval int64
	space    int64
	group    int32 // from the first own one
	dropped  bool  // all of a space, in every group
	key      K
}

const (
	removalsInChunk = 4096
	// fewRemovals are always kept.
	fewRemovals = 1 << 16
)

// add remembers a removal. live is the number of entries that the table has.
func (r *removals[K]) add(x removal[K], live int) {
	if x.interval <= r.complete {
		return
	}
	if r.n > fewRemovals && r.n > live {
		r.reset(x.interval)
		return
	}
	last := len(r.chunks) - 1
	if last < 0 || len(r.chunks[last]) == removalsInChunk {
		r.chunks = append(r.chunks, make([]removal[K], 0, removalsInChunk))
		last++
	}
	r.chunks[last] = append(r.chunks[last], x)
	r.n++
}

// reset forgets all: what was removed up to an interval is not known.
func (r *removals[K]) reset(interval int64) { *r = removals[K]{complete: interval} }

// trim forgets what was removed up to an interval, as no delta will ask for it.
func (r *removals[K]) trim(interval int64) {
	for len(r.chunks) > 0 {
		first := r.chunks[0]
		if last := first[len(first)-1]; last.interval > interval {
			return
		}
		r.n -= len(first)
		r.chunks = r.chunks[1:]
	}
}

// since are the chunks with what was removed after an interval; ok is false if not all is known. They stay as they are whatever comes.
func (r *removals[K]) since(interval int64) (chunks [][]removal[K], ok bool) {
	if interval < r.complete {
		return nil, false
	}
	for i, c := range r.chunks {
		if c[len(c)-1].interval > interval {
			return append(chunks, r.chunks[i:]...), true
		}
	}
	return nil, true
}
