package state

import (
	"unsafe"

	"github.com/thalweg-io/thalweg/internal/state/prefetch"
)

// Records are looked up in runs of this many: while one is worked on, the lines that the next one needs are on their way from memory.
const ahead = 64

// A table this small stays in the processor's caches, where asking for lines ahead only costs.
const smallTable = 1 << 20

// Slots are the values of a run of keys, in their order; a key that comes twice has one value. They are valid inside the call that they were
// given to, where nothing else of the state may be used.
type Slots[V any] struct {
	base  unsafe.Pointer
	at    [ahead]uint64 // where each value begins, from base: an address kept here would cost a write barrier
	fresh uint64        // bit i: the i-th key had no value before
	n     int
}

// Len is the number of keys.
func (s *Slots[V]) Len() int { return s.n }

// At is the value of the i-th key.
func (s *Slots[V]) At(i int) *V { return (*V)(unsafe.Add(s.base, s.at[i&(ahead-1)])) }

// Fresh reports whether the i-th key had no value before: it is zero now. Of a key that comes twice only the first is.
func (s *Slots[V]) Fresh(i int) bool { return s.fresh>>(uint(i)&(ahead-1))&1 != 0 }

// AnyFresh reports whether one of them is.
func (s *Slots[V]) AnyFresh() bool { return s.fresh != 0 }

// aim finds the home lines of the next hashes.
func (t *table[K]) aim(at *[ahead]uint64, hashes []uint64) int {
	hashes = hashes[:min(len(hashes), ahead)]
	dir, scale, first, line, size := t.dir, t.scale, t.first, uint64(t.l.line), uint64(t.l.size)
	if line == 4 { // a line of 16-byte slots: no division, one product
		for i, h := range hashes {
			p := dir[(h>>32)*scale>>32-first]
			at[i&(ahead-1)] = (uint64(p.line) + uint64(uint32(h))*uint64(p.slots/4)>>32) * lineSize
		}
	} else {
		for i, h := range hashes {
			p := dir[(h>>32)*scale>>32-first]
			at[i&(ahead-1)] = uint64(p.line)*lineSize + uint64(t.l.home(h, p.slots))*size
		}
	}
	return len(hashes)
}

// large reports whether asking for lines ahead is worth it.
func (t *table[K]) large() bool { return t.count*int(t.l.size) > smallTable }

// updateRuns finds or adds the entries of keys and calls f with each run of them, whose first key is number first of the batch.
func (s *store[K, V]) updateRuns(t *table[K], keys []K, hashes []uint64, f func(first int, run *Slots[V])) error {
	if s.l.boxed {
		return s.updateBoxed(t, keys, hashes, f)
	}
	keys = keys[:len(hashes)]
	large := t.large()
	now, next := &s.runs[0], &s.runs[1]
	now.n = t.aim(&now.at, hashes)
	for begin := 0; begin < len(hashes); begin += ahead {
		rest := hashes[min(begin+ahead, len(hashes)):]
		next.n = t.aim(&next.at, rest)
		moves, half := t.moves, next.n/2
		if large { // half of the next lines now and half behind some work, as so many at once would have to be waited for
			fetch(t.space.base, &now.at, now.n)
			prefetch.Lines(t.space.base, next.at[:half])
		}
		if err := s.resolve(t, now, keys[begin:], hashes[begin:]); err != nil {
			return err
		}
		if large {
			prefetch.Lines(t.space.base, next.at[half:next.n])
		}
		f(begin, now)
		if t.moves != moves { // what was aimed at before has moved
			next.n = t.aim(&next.at, rest)
		}
		now, next = next, now
	}
	return nil
}

// resolve turns the home lines of a run into the places of its values.
func (s *store[K, V]) resolve(t *table[K], run *Slots[V], keys []K, hashes []uint64) error {
	run.base, run.fresh = s.space.base, 0
	if t.four {
		return s.resolveLines(t, run, keys, hashes)
	}
	t.walk(&run.at, hashes[:run.n])
	for i := 0; ; i++ {
		if i = t.resolveWalked(run.base, &run.at, keys, hashes[:run.n], i); i == run.n {
			return nil
		}
		if err := s.resolveSlowly(t, run, i, keys, hashes); err != nil {
			return err
		}
	}
}

// resolveLines is resolve in a table of lines of four. It is a function of its own because in one loop for both it takes 2 ns a record more.
func (s *store[K, V]) resolveLines(t *table[K], run *Slots[V], keys []K, hashes []uint64) error {
	for i := 0; ; i++ {
		if i = resolveFour(run.base, &run.at, hashes[:run.n], i, t.now); i == run.n {
			return nil
		}
		if slot := inLine(unsafe.Add(run.base, run.at[i&(ahead-1)]), hashes[i]); slot != nil {
			t.touch(slot, hashes[i])
			run.at[i&(ahead-1)] = s.offset(slot)
		} else if err := s.resolveSlowly(t, run, i, keys, hashes); err != nil {
			return err
		}
	}
}

// resolveWalked goes on from place i of a run that was walked, up to one whose entry is not where the walk ended. Entries that have not changed in this
// interval yet are collected first: while a snapshot is taken which ones have cannot be predicted.
func (t *table[K]) resolveWalked(base unsafe.Pointer, at *[ahead]uint64, keys []K, hashes []uint64, i int) int {
	var stale [ahead]uint8
	n := 0
	for ; i < len(hashes); i++ {
		slot := unsafe.Add(base, at[i&(ahead-1)])
		stamp := *word(slot) ^ wordOf(hashes[i])
		if stamp > stampMask || !t.holds(slot, &keys[i]) {
			break
		}
		stale[n&(ahead-1)] = uint8(i)
		if stamp != t.now {
			n++
		}
		at[i&(ahead-1)] += uint64(t.l.valOff)
	}
	for _, j := range stale[:n] {
		t.change(unsafe.Add(base, at[j&(ahead-1)]-uint64(t.l.valOff)), hashes[j]) // a key may be there twice
	}
	return i
}

// walk goes from the home slots of a run on to the first slot whose hash is right. A key that is a ref is not compared yet: in a large table its bytes
// are elsewhere and are only asked for, so that memory brings those of a whole run at the same time.
func (t *table[K]) walk(at *[ahead]uint64, hashes []uint64) {
	base, size := t.space.base, uint64(t.l.size)
	for i, h := range hashes {
		p := t.dir[t.index(h)]
		first := uint64(p.line) * lineSize
		end, want := first+uint64(p.slots)*size, wordOf(h)
		for o := at[i&(ahead-1)]; ; {
			w := *word(unsafe.Add(base, o))
			if w^want <= stampMask {
				at[i&(ahead-1)] = o
				break
			}
			if w == 0 {
				break
			}
			if o += size; o == end {
				o = first
			}
		}
	}
	if t.l.mode < keyText || !t.large() {
		return
	}
	for i := range hashes {
		r := *(*ref)(unsafe.Add(base, at[i&(ahead-1)]+uint64(t.l.keyOff)))
		t.keysAt[i&(ahead-1)] = uint64(r>>refLengthBits) * blobUnit
	}
	fetch(base, &t.keysAt, len(hashes))
}

// resolveFour goes on from place i of a run in a table of lines of four, up to one whose entry is not in its home line, or has not changed in
// this interval yet. All four words of a line are compared, each with a conditional move behind it and no branch: which one it is cannot be
// predicted, and a wrong guess waits for memory.
func resolveFour(base unsafe.Pointer, at *[ahead]uint64, hashes []uint64, i int, now uint64) int {
	for now |= occupied; i < len(hashes); i++ {
		home := at[i&(ahead-1)]
		line := (*[8]uint64)(unsafe.Add(base, home))
		want := hashes[i]<<hashInWord | now
		value := home
		if line[0] == want {
			value = home + 8
		}
		if line[2] == want {
			value = home + 24
		}
		if line[4] == want {
			value = home + 40
		}
		if line[6] == want {
			value = home + 56
		}
		if value == home {
			return i
		}
		at[i&(ahead-1)] = value
	}
	return i
}

// inLine is the slot of a hash in its home line of four, or nil.
func inLine(line unsafe.Pointer, hash uint64) unsafe.Pointer {
	w, want := (*[8]uint64)(line), wordOf(hash)
	a, b, c, d := below(w[0]^want), below(w[2]^want), below(w[4]^want), below(w[6]^want)
	if a|b|c|d == 0 {
		return nil
	}
	return unsafe.Add(line, 16*(b+2*c+3*d))
}

// resolveSlowly finds or adds the i-th key of a run, wherever it is.
func (s *store[K, V]) resolveSlowly(t *table[K], run *Slots[V], i int, keys []K, hashes []uint64) error {
	moves := t.moves
	slot, fresh, err := t.upsert(&keys[i], hashes[i])
	if err != nil {
		return err
	}
	if fresh {
		run.fresh |= 1 << i
	} else {
		t.change(slot, hashes[i])
	}
	if t.moves == moves && s.space.base == run.base {
		run.at[i] = s.offset(slot)
		return nil
	}
	// A segment has grown, or the space has moved: everything is looked up again.
	run.base = s.space.base
	n := run.n
	run.n = t.aim(&run.at, hashes[:n])
	for j := range i + 1 {
		run.at[j] = s.offset(t.find(&keys[j], hashes[j]))
	}
	return nil
}

// offset is the place of a slot's value.
func (s *store[K, V]) offset(slot unsafe.Pointer) uint64 {
	return uint64(uintptr(slot)-uintptr(s.space.base)) + uint64(s.l.valOff)
}

// updateBoxed is updateRuns for values that are decoded first: one at a time, because of a key that comes twice there must be one value.
func (s *store[K, V]) updateBoxed(t *table[K], keys []K, hashes []uint64, f func(first int, run *Slots[V])) error {
	run := &s.runs[0]
	for i := range hashes {
		if err := s.update(t, &keys[i], hashes[i], func(v *V, fresh bool) {
			run.base, run.at[0], run.n, run.fresh = unsafe.Pointer(v), 0, 1, 0
			if fresh {
				run.fresh = 1
			}
			f(i, run)
		}); err != nil {
			return err
		}
	}
	return nil
}

// updateBatch is update for each key of a batch.
func (s *store[K, V]) updateBatch(t *table[K], keys []K, hashes []uint64, f func(i int, v *V, fresh bool)) error {
	return s.updateRuns(t, keys, hashes, func(first int, run *Slots[V]) {
		for i := range run.n {
			f(first+i, run.At(i), run.Fresh(i))
		}
	})
}

// below is 1 if a difference of two words is in the stamp only, else 0.
func below[W uint64](difference W) W {
	return (difference>>7 - 1) >> 63
}
