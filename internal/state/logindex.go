package state

import (
	"math"
	"unsafe"
)

// The index of a part finds the newest row of a key in its bucket; the link of a row is the one before, 0 behind the last. It is open addressing over words:
//
//	63              24 23     0
//	| offset of a row | tag    |     0: empty
//
// The tag is 24 bits of the hash, and all that the index compares: so that it needs not look at a row, which would be another wait for memory. In rare cases
// two keys have their rows linked together; whoever follows links looks at each row's key anyway. A full index doubles; nothing is taken out of it.
const (
	tagBits       = 24
	smallestIndex = 8
)

func tagOf(hash uint64) uint64 { return hash >> 32 & (1<<tagBits - 1) }

// slotAt is where probing begins in an index of so many slots.
func slotAt(hash uint64, slots uint32) uint64 { return uint64(uint32(hash)) * uint64(slots) >> 32 }

// enter puts a new row into the index.
func (x *Log[K, V]) enter(p *part, off, hash uint64) error {
	if p.keys >= p.slots/8*5 {
		if err := x.widen(p); err != nil {
			return err
		}
	}
	slot := x.slotOf(p, hash)
	if *slot == 0 {
		p.keys++
	}
	(*logRow)(x.space.at(off)).link = *slot >> tagBits
	*slot = off<<tagBits | tagOf(hash)
	return nil
}

// slotOf is the slot of a hash, or the empty one where it belongs.
func (x *Log[K, V]) slotOf(p *part, hash uint64) *uint64 {
	slots, tag := unsafe.Slice((*uint64)(x.space.at(p.index)), p.slots), tagOf(hash)
	for i := slotAt(hash, p.slots); ; {
		s := &slots[i]
		if *s == 0 || *s&(1<<tagBits-1) == tag {
			return s
		}
		if i++; i == uint64(p.slots) {
			i = 0
		}
	}
}

// ask asks for the memory of the index that the next records of a batch need. It does not wait for it.
func (x *Log[K, V]) ask(times []int64, hashes []uint64) {
	if x.space.end <= smallTable {
		return
	}
	var at [ahead]uint64
	n := min(len(times), ahead)
	for i := range n {
		if b := x.bucket(x.grid.Of(times[i])); b != nil {
			if p := b.part(x.low, hashes[i]); p.slots > 0 {
				at[i] = p.index + 8*slotAt(hashes[i], p.slots)
			}
		}
	}
	prefetch(x.space.base, &at, n)
}

// widen gives a part an index of twice as many slots.
func (x *Log[K, V]) widen(p *part) error {
	want := max(2*p.slots, smallestIndex)
	off, _, err := x.space.alloc(8*int(want), true)
	if err != nil {
		return err
	}
	slots, old := unsafe.Slice((*uint64)(x.space.at(off)), want), unsafe.Slice((*uint64)(x.space.at(p.index)), p.slots)
	for len(old) > 0 {
		var at [ahead]uint64
		n := min(len(old), ahead)
		for i, w := range old[:n] {
			at[i] = w >> tagBits
		}
		prefetch(x.space.base, &at, n)
		for _, w := range old[:n] {
			if w == 0 {
				continue
			}
			i := slotAt((*logRow)(x.space.at(w>>tagBits)).hash, want)
			for slots[i] != 0 {
				if i++; i == uint64(want) {
					i = 0
				}
			}
			slots[i] = w
		}
		old = old[n:]
	}
	if p.slots > 0 {
		x.space.release(p.index, 8*int(p.slots))
	}
	p.index, p.slots = off, want
	return nil
}

// newestOf is the newest row that the index has for a hash, or 0.
func (x *Log[K, V]) newestOf(p *part, hash uint64) uint64 {
	if p.slots == 0 {
		return 0
	}
	return *x.slotOf(p, hash) >> tagBits
}

// Span is a and b, or the first or last time if that is beyond it.
func Span(a, b int64) int64 {
	switch c := a + b; {
	case b > 0 && c < a:
		return math.MaxInt64
	case b < 0 && c > a:
		return math.MinInt64 + 1
	default:
		return c
	}
}

// Near calls f with each record of each key of a batch whose time is in [its time + lower, its time + upper], both of them included: in the order of the
// batch, for one of it in no order to rely on. The pointer is valid inside f only, where nothing is added. The log has an index.
//
// The index and then the rows of a run of keys are asked for before they are looked at.
func (x *Log[K, V]) Near(times []int64, keys []K, hashes []uint64, lower, upper int64, f func(i int, at int64, v *V) error) error {
	if len(x.order) == 0 {
		return nil
	}
	for begin := 0; begin < len(times); {
		end := min(begin+ahead/2, len(times))
		if err := x.near(begin, times[begin:end], keys[begin:end], hashes[begin:end], lower, upper, f); err != nil {
			return err
		}
		begin = end
	}
	return nil
}

// near is Near for a run of half as many keys as are looked up together: most of them have two buckets.
func (x *Log[K, V]) near(begin int, times []int64, keys []K, hashes []uint64, lower, upper int64, f func(i int, at int64, v *V) error) error {
	var parts [ahead]*part
	var at [ahead]uint64
	first, last := x.order[0].number, x.order[len(x.order)-1].number
	far := false // more than two buckets
	for i, t := range times {
		from, to := max(x.grid.Of(Span(t, lower)), first), min(x.grid.Of(Span(t, upper)), last)
		far = far || to > from+1
		for j := from; j <= to && j <= from+1; j++ {
			n := 2*i + int(j-from)
			if b := x.bucket(j); b != nil {
				p := b.part(x.low, hashes[i])
				parts[n&(ahead-1)] = p
				if p.slots > 0 {
					at[n&(ahead-1)] = p.index + 8*slotAt(hashes[i], p.slots)
				}
			}
		}
	}
	if far {
		return x.nearFar(begin, times, keys, hashes, lower, upper, f)
	}
	large := x.space.end > smallTable
	if large {
		prefetch(x.space.base, &at, 2*len(times))
	}
	for n, p := range parts[:2*len(times)] {
		if at[n] = 0; p != nil {
			at[n] = x.newestOf(p, hashes[n/2])
		}
	}
	if large {
		prefetch(x.space.base, &at, 2*len(times))
	}
	for n, off := range at[:2*len(times)] {
		if off != 0 {
			t := times[n/2]
			if err := x.follow(off, begin+n/2, hashes[n/2], &keys[n/2], Span(t, lower), Span(t, upper), f); err != nil {
				return err
			}
		}
	}
	return nil
}

// nearFar is near where a record has any number of buckets.
func (x *Log[K, V]) nearFar(begin int, times []int64, keys []K, hashes []uint64, lower, upper int64, f func(i int, at int64, v *V) error) error {
	for i, t := range times {
		from, to := Span(t, lower), Span(t, upper)
		for _, b := range x.order[x.place(x.grid.Of(from)):] {
			if b.number > x.grid.Of(to) {
				break
			}
			if err := x.follow(x.newestOf(b.part(x.low, hashes[i]), hashes[i]), begin+i, hashes[i], &keys[i], from, to, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// follow visits a row, and those that it links to, if it is of a key.
func (x *Log[K, V]) follow(off uint64, i int, hash uint64, key *K, from, to int64, f func(i int, at int64, v *V) error) error {
	for off != 0 {
		row := x.space.at(off)
		r := (*logRow)(row)
		if r.at >= from && r.at <= to && r.hash == hash && x.form.holds(row, key) {
			if err := f(i, r.at, x.form.value(row)); err != nil {
				return err
			}
		}
		off = r.link
	}
	return nil
}

// bucket is one that there is, or nil.
func (x *Log[K, V]) bucket(number int64) *bucket {
	if b := x.last; b != nil && b.number == number {
		return b
	}
	b := x.buckets[number]
	if b != nil {
		x.last = b
	}
	return b
}
