package state

import "unsafe"

// scan calls visit with the entries of about so many slots, whole segments from the one that cursor names on, and around once at most. visit changes
// nothing. Whole segments, because what is removed afterwards moves others, but never to another segment: so a pass misses nothing.
func (t *table[K]) scan(cursor *int, budget int, visit func(slot unsafe.Pointer, hash uint64)) (looked int) {
	for range len(t.segments) {
		if looked >= budget {
			break
		}
		if *cursor >= len(t.segments) {
			*cursor = 0
		}
		s := &t.segments[*cursor]
		*cursor++
		looked += 1 + int(s.slots)
		if s.count == 0 {
			continue
		}
		base, low := t.space.at(s.off), t.lowest(s)
		for i := range s.slots {
			slot := t.slot(base, i)
			if w := *word(slot); w != 0 {
				visit(slot, restoreHash(w, low))
			}
		}
	}
	return looked
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
