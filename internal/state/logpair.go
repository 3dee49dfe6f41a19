package state

import (
	"math/bits"
	"slices"
	"unsafe"
)

// pairing is the records of one key in both logs: the last of a ring of rows each, so that its link is the first. 0: there is none.
type pairing struct {
	hash        uint64
	left, right uint64
}

// Pair calls f with each pair of records of one key, of the buckets first to last of two logs of the same keys: key by key in no order to rely on, and of
// one key in the order in which the records came, those of the left log outside. The pointers are valid inside f only, where nothing is added. The logs
// have no index.
func Pair[K comparable, A, B any](left *Log[K, A], right *Log[K, B], first, last int64, f func(hash uint64, a *A, b *B) error) error {
	as, bs := left.between(first, last), right.between(first, last)
	if len(as) == 0 || len(bs) == 0 {
		return nil
	}
	parts := 1
	for _, b := range as {
		parts = max(parts, len(b.parts))
	}
	for _, b := range bs {
		parts = max(parts, len(b.parts))
	}
	if parts > 1 {
		if err := left.divideAll(as); err != nil {
			return err
		}
		if err := right.divideAll(bs); err != nil {
			return err
		}
	}
	var boxed []B
	for n := range parts {
		if !pairPart(left, right, as, bs, n) {
			continue
		}
		for i := range left.slots {
			s := &left.slots[i]
			if s.left == 0 || s.right == 0 {
				continue
			}
			if right.form.boxed {
				boxed = right.unboxed(boxed, s.right)
			}
			if err := pairKey(left, right, s, boxed, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// between are the buckets first to last that there are.
func (x *Log[K, V]) between(first, last int64) []*bucket {
	from := x.place(first)
	upto := from
	for upto < len(x.order) && x.order[upto].number <= last {
		upto++
	}
	return x.order[from:upto]
}

func (x *Log[K, V]) divideAll(all []*bucket) error {
	for _, b := range all {
		if err := x.divide(b); err != nil {
			x.k.fail(x.name, err)
			return x.k.err
		}
	}
	return nil
}

// pairPart makes left.slots of part n of all buckets. False: there are no pairs in it.
func pairPart[K comparable, A, B any](left *Log[K, A], right *Log[K, B], as, bs []*bucket, n int) bool {
	rows, others := 0, 0
	for _, b := range as {
		rows += b.parts[n].rows
	}
	for _, b := range bs {
		others += b.parts[n].rows
	}
	if rows == 0 || others == 0 {
		return false
	}
	size := 1 << bits.Len(uint(2*rows))
	left.slots = slices.Grow(left.slots[:0], size)[:size]
	slots := left.slots
	clear(slots)
	for _, b := range as {
		left.each(&b.parts[n], func(off uint64, r *logRow) bool {
			s := slotOf(slots, r.hash, func(s *pairing) bool {
				return sameKey(&left.form, left.space.at(s.left), &left.form, unsafe.Pointer(r))
			})
			s.hash = r.hash
			s.left = left.ring(s.left, off, r)
			return true
		})
	}
	for _, b := range bs {
		right.each(&b.parts[n], func(off uint64, r *logRow) bool {
			s := slotOf(slots, r.hash, func(s *pairing) bool {
				return sameKey(&left.form, left.space.at(s.left), &right.form, unsafe.Pointer(r))
			})
			if s.left != 0 {
				s.right = right.ring(s.right, off, r)
			}
			return true
		})
	}
	return true
}

// slotOf is the slot of a key, or the empty one where it belongs.
func slotOf(slots []pairing, hash uint64, same func(*pairing) bool) *pairing {
	mask := uint64(len(slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := &slots[i]
		if s.left == 0 || s.hash == hash && same(s) {
			return s
		}
	}
}

// ring puts a row behind the last one of a ring.
func (x *Log[K, V]) ring(last, off uint64, r *logRow) uint64 {
	if r.link = off; last != 0 {
		before := (*logRow)(x.space.at(last))
		r.link, before.link = before.link, off
	}
	return off
}

// unboxed are copies of the values of a ring.
func (x *Log[K, V]) unboxed(to []V, last uint64) []V {
	clear(to)
	to = to[:0]
	for off := last; ; {
		off = (*logRow)(x.space.at(off)).link
		to = append(to, *x.form.value(x.space.at(off)))
		if off == last {
			return to
		}
	}
}

// pairKey calls f with each pair of a key; boxed are the right values if they have to be decoded.
func pairKey[K comparable, A, B any](left *Log[K, A], right *Log[K, B], s *pairing, boxed []B, f func(hash uint64, a *A, b *B) error) error {
	for off := s.left; ; {
		off = (*logRow)(left.space.at(off)).link
		a := left.form.value(left.space.at(off))
		if right.form.boxed {
			for i := range boxed {
				if err := f(s.hash, a, &boxed[i]); err != nil {
					return err
				}
			}
		} else {
			for other := s.right; ; {
				other = (*logRow)(right.space.at(other)).link
				if err := f(s.hash, a, (*B)(unsafe.Add(right.space.at(other), right.form.valOff))); err != nil {
					return err
				}
				if other == s.right {
					break
				}
			}
		}
		if off == s.left {
			return nil
		}
	}
}
