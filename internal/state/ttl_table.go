package state

import "unsafe"

// agingCursor is how far a pass over a table has come: which slot to look at next. Entries move while it goes on, so that a pass may miss one; the next pass finds it.
type agingCursor struct {
	segment int
	slot    uint32
}

// scan calls visit with entries of about so many slots, going on from the cursor, and around once at most. visit changes nothing.
func (t *table[K]) scan(c *agingCursor, budget int, visit func(slot unsafe.Pointer, hash uint64)) {
	for range len(t.segments) {
		if c.segment >= len(t.segments) {
			*c = agingCursor{}
		}
		s := &t.segments[c.segment]
		if s.count > 0 {
			base, low := t.space.at(s.off), t.lowest(s)
			for ; c.slot < s.slots && budget > 0; budget-- {
				slot := t.slot(base, c.slot)
				if w := *word(slot); w != 0 {
					visit(slot, restoreHash(w, low))
				}
				c.slot++
			}
			if c.slot < s.slots {
				return
			}
		}
		if c.segment, c.slot = c.segment+1, 0; budget <= 0 {
			return
		}
		budget--
	}
}

// passLength is how many slots scan looks at in a pass.
func (t *table[K]) passLength() (n int) {
	for i := range t.segments {
		n += 1 + int(t.segments[i].slots)
	}
	return n
}

// shrink gives memory back after entries with this hash were removed: an empty segment has none, and one that is an eighth as full as it may be gets
// half as much. If there is nothing to move it to, it stays.
func (t *table[K]) shrink(hash uint64) {
	n := t.owner[t.index(hash)]
	s := &t.segments[n]
	switch {
	case s.size == 0:
	case s.count == 0:
		t.space.release(s.off, s.size)
		s.off, s.size, s.slots, s.limit = 0, 0, 0, 0
		t.moves++
		t.vacate(n)
		if t.count == 0 {
			t.space.trim()
		}
	case s.size > firstSegment && s.count < s.limit/8:
		t.moves++
		_ = t.resize(n, s.size/2)
	}
}

// vacate has lookups in a segment without memory end nowhere.
func (t *table[K]) vacate(n uint32) {
	s := &t.segments[n]
	width := uint64(1) << (t.depth - s.depth)
	begin := s.prefix<<(t.depth-s.depth) - t.first
	for i := begin; i < begin+width; i++ {
		t.dir[i] = place{0, t.l.line}
	}
}
