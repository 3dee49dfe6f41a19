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
		if b := x.last; b != nil && b.has(times[i]) { // as nearly always
			if p := b.part(x.low, hashes[i]); p.slots > 0 {
				at[i] = p.index + 8*slotAt(hashes[i], p.slots)
			}
		}
	}
	fetch(x.space.base, &at, n)
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
		fetch(x.space.base, &at, n)
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

// Near calls f, for number i of a batch, with each record of its key whose time is in [its time + lower, its time + upper], both of them included, in no order
// to rely on. The pointer is valid inside f only, where nothing is added. The log has an index.
func (x *Log[K, V]) Near(times []int64, keys []K, hashes []uint64, lower, upper int64, f func(i int, at int64, v *V) error) error {
	var s search
	first := 0 // bucket that may have something; times of a batch are about the same
	for i, t := range times {
		from, to := Span(t, lower), Span(t, upper)
		for first > 0 && x.order[first-1].latest >= from {
			first--
		}
		for first < len(x.order) && x.order[first].latest < from {
			first++
		}
		for _, b := range x.order[first:] {
			if b.begin > to {
				break
			}
			p := b.part(x.low, hashes[i])
			if p.slots == 0 {
				continue
			}
			n := s.n & (ahead - 1)
			s.parts[n], s.of[n], s.at[n] = p, i, p.index+8*slotAt(hashes[i], p.slots)
			if s.n++; s.n == ahead {
				if err := x.find(&s, times, keys, hashes, lower, upper, f); err != nil {
					return err
				}
			}
		}
	}
	return x.find(&s, times, keys, hashes, lower, upper, f)
}

// search is parts of the index that are looked into together: while one is looked at, memory brings what the others need.
type search struct {
	n     int
	parts [ahead]*part
	of    [ahead]int    // number in the batch
	at    [ahead]uint64 // what is looked at next: a slot, then a row
}

// find ends a search, and begins another one.
func (x *Log[K, V]) find(s *search, times []int64, keys []K, hashes []uint64, lower, upper int64, f func(i int, at int64, v *V) error) error {
	large := x.space.end > smallTable
	if large {
		fetch(x.space.base, &s.at, s.n)
	}
	m := 0
	for j, p := range s.parts[:s.n] {
		i := s.of[j]
		if row := *x.slotOf(p, hashes[i]) >> tagBits; row != 0 {
			s.at[m&(ahead-1)], s.of[m&(ahead-1)] = row, i
			m++
		}
	}
	s.n = 0
	// Round by round: the newest rows, then those that these link to, each asked for a round before it is looked at.
	for m > 0 {
		if large && m > 2 {
			fetch(x.space.base, &s.at, m)
		}
		left := 0
		for j, off := range s.at[:m] {
			i := s.of[j]
			row := x.space.at(off)
			link := (*logRow)(row).link
			if err := x.visit(row, i, hashes[i], &keys[i], Span(times[i], lower), Span(times[i], upper), f); err != nil {
				return err
			}
			if link != 0 {
				s.at[left&(ahead-1)], s.of[left&(ahead-1)] = link, i
				left++
			}
		}
		m = left
	}
	return nil
}

// visit calls f with a row if it is of a key and a time.
func (x *Log[K, V]) visit(row unsafe.Pointer, i int, hash uint64, key *K, from, to int64, f func(i int, at int64, v *V) error) error {
	r := (*logRow)(row)
	if r.at < from || r.at > to || r.hash != hash || !x.form.holds(row, key) {
		return nil
	}
	return f(i, r.at, x.form.value(row))
}
