package state

import "unsafe"

// Records are looked up in sub-batches of this many: while one is worked on, the lines that the next one needs are on their way from memory.
const ahead = 64

// A table this small stays in the processor's caches, where asking for lines ahead only costs.
const smallTable = 1 << 20

// lookups are where a sub-batch's probing begins: offsets in the space.
type lookups struct {
	at [ahead]uint64
	n  int
}

// aim finds the home slots of hashes and asks for their lines.
func (t *table[K]) aim(l *lookups, hashes []uint64, fetch bool) {
	l.n = min(len(hashes), ahead)
	for i, h := range hashes[:l.n] {
		p := t.dir[t.index(h)]
		l.at[i&(ahead-1)] = uint64(p.line)*lineSize + uint64(t.l.home(h, p.slots))*uint64(t.l.size)
	}
	if fetch {
		prefetch(t.space.base, &l.at, l.n)
	}
}

// updateBatch is update for each key of a batch.
func (s *store[K, V]) updateBatch(t *table[K], keys []K, hashes []uint64, f func(i int, v *V, fresh bool)) error {
	keys = keys[:len(hashes)]
	fetch := t.count*int(t.l.size) > smallTable
	var buffers [2]lookups
	now, next := &buffers[0], &buffers[1]
	t.aim(now, hashes, fetch)
	for begin := 0; begin < len(hashes); begin += ahead {
		if begin+ahead < len(hashes) {
			t.aim(next, hashes[begin+ahead:], fetch)
		}
		moves := t.moves
		if err := s.updateSome(t, now, keys[begin:], hashes[begin:], begin, f); err != nil {
			return err
		}
		if t.moves != moves && begin+ahead < len(hashes) {
			t.aim(next, hashes[begin+ahead:], false) // what was aimed at before has moved
		}
		now, next = next, now
	}
	return nil
}

// updateSome works on one sub-batch, whose first key is number first of the batch.
func (s *store[K, V]) updateSome(t *table[K], l *lookups, keys []K, hashes []uint64, first int, f func(i int, v *V, fresh bool)) error {
	moves := t.moves
	four := s.l.mode == keyIsHash && s.l.line == 4 && !s.l.boxed
	for i := range l.n {
		if t.moves != moves { // a segment has grown: the rest is looked up again
			return s.updateEach(t, keys[i:l.n], hashes[i:l.n], first+i, f)
		}
		line := unsafe.Add(s.space.base, l.at[i&(ahead-1)])
		slot := line
		if four {
			if slot = fourSlots(line, wordOf(hashes[i])); slot != nil {
				f(first+i, (*V)(unsafe.Add(slot, 8)), false)
				continue
			}
		} else if w := *word(slot); !s.l.boxed && w^wordOf(hashes[i]) <= stampMask && t.holds(slot, &keys[i]) {
			f(first+i, s.inline(slot), false)
			continue
		}
		if err := s.update(t, &keys[i], hashes[i], func(v *V, fresh bool) { f(first+i, v, fresh) }); err != nil {
			return err
		}
	}
	return nil
}

func (s *store[K, V]) updateEach(t *table[K], keys []K, hashes []uint64, first int, f func(i int, v *V, fresh bool)) error {
	for i := range keys {
		if err := s.update(t, &keys[i], hashes[i], func(v *V, fresh bool) { f(first+i, v, fresh) }); err != nil {
			return err
		}
	}
	return nil
}

// fourSlots compares the four words of a line of 16-byte slots and returns the slot that matches, or nil. It reads them all and adds the answers
// up instead of branching on each: which one it is cannot be predicted, and a wrong guess waits for memory.
func fourSlots(line unsafe.Pointer, want uint64) unsafe.Pointer {
	w := (*[8]uint64)(line)
	a := below(w[0] ^ want)
	b := below(w[2] ^ want)
	c := below(w[4] ^ want)
	d := below(w[6] ^ want)
	if a|b|c|d == 0 {
		return nil
	}
	return unsafe.Add(line, 16*(b+2*c+3*d))
}

// below is 1 if a difference of two words is in the stamp only, else 0.
func below(difference uint64) uint64 {
	return (difference>>7 - 1) >> 63
}
