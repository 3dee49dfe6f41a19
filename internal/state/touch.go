package state

import (
	"unsafe"

	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
)

// How a snapshot is taken while the table goes on changing.
//
// A barrier ends an interval; the number of the present one is the stamp (1 to 127, around and around) that the first change of an entry leaves in
// its slot. While a snapshot is taken, a slot whose stamp is not that of the present interval has the value it had at the barrier. So whoever comes
// first writes it out: the first change, before it happens, or the sweep, which goes through the segments one by one in the gaps of the task's work.
// "Writes it out" is: copies it to where others make columns of it (capture). A delta has only entries whose stamp is one of the intervals since its base. The sweep sets stamps that no delta can ask for any more to 0, so
// that a number can be used again.
const stamps = stampMask

// stampOf is the stamp of an interval.
func stampOf(interval int64) uint64 { return uint64(interval%stamps) + 1 }

// saving is what one snapshot of one operator wants of its tables.
type saving struct {
	now     uint64           // stamp of what changes after the barrier
	changed [stamps + 1]bool // stamps of entries that changed since the base
	keep    [stamps + 1]bool // stamps of intervals that a later delta may ask for, from least on
	least   int64
	full    []bool // by key group from the first: a base is written, whatever the stamps
	delta   bool   // of some group no base is written
	out     *checkpoint.OperatorWriter
	capture capture
	ends    []func() // what makes rows writes out what it has left
}

// saver is saving for one table.
type saver struct {
	*saving
	source
	all  bool   // every entry is wanted: no base is of use, or not all is known of what was removed, so that the table is cleared first
	upto uint64 // all entries are in the snapshot whose hash has an upper half less than this: so far is the sweep
}

// change must come before whatever changes the value of a slot.
func (t *table[K]) change(slot unsafe.Pointer, hash uint64) {
	if *word(slot)&stampMask != t.now {
		t.touch(slot, hash)
	}
}

// touch is the first change of an entry in the present interval.
func (t *table[K]) touch(slot unsafe.Pointer, hash uint64) {
	t.rescue(slot, hash)
	*word(slot) = *word(slot)&^stampMask | t.now
}

// rescue saves an entry that the snapshot wants and the sweep has not reached.
func (t *table[K]) rescue(slot unsafe.Pointer, hash uint64) {
	s := t.save
	if s == nil || hash>>32 < s.upto {
		return
	}
	if stamp := *word(slot) & stampMask; stamp != s.now && (s.all || s.changed[stamp] || s.full[t.group(hash)]) {
		t.capture(slot, hash)
	}
}

// group is the key group of a hash, from the first own one.
func (t *table[K]) group(hash uint64) int {
	return int((hash>>32)*(t.scale>>t.depth)>>32) - t.firstGroup
}

// begin has the table saved.
func (t *table[K]) begin(s *saving, all bool, rows rowMaker, space int64) {
	t.save = &saver{saving: s, source: source{rows, space}, all: all || !s.delta, upto: (t.first<<32 + t.scale - 1) / t.scale}
	t.now = s.now
}

// sweep goes on through the segments, in the order of their hashes, until about so many slots have been looked at. It reports how many are left of the
// budget; the table is saved when some are.
func (t *table[K]) sweep(budget int) int {
	s := t.save
	for s != nil && budget > 0 {
		next := int(s.upto*t.scale>>32 - t.first)
		if next == len(t.dir) {
			t.save = nil
			break
		}
		g := &t.segments[t.owner[next]]
		budget -= t.sweepSegment(g)
		s.upto = t.behind(g)
	}
	return budget
}

// sweepSegment saves what the snapshot still wants of a segment.
func (t *table[K]) sweepSegment(g *segment) int {
	s := t.save
	if g.count == 0 {
		return 1
	}
	base, low, size := t.space.at(g.off), t.lowest(g), t.l.size
	wanted := s.changed
	if s.all || s.full[t.group(low<<32)] {
		for i := range wanted {
			wanted[i] = uint64(i) != s.now
		}
	}
	for i := range g.slots {
		slot := unsafe.Add(base, uintptr(i)*size)
		w := *word(slot)
		if w == 0 {
			continue
		}
		if wanted[w&stampMask] {
			t.capture(slot, restoreHash(w, low))
		}
		if stamp := w & stampMask; stamp != s.now && !s.keep[stamp] {
			*word(slot) = w &^ stampMask
		}
	}
	return int(g.slots)
}

// forget gives up saving.
func (t *table[K]) forget() { t.save = nil }

// restamp sets all stamps to 0: nothing is known of what has changed.
func (t *table[K]) restamp() {
	for i := range t.segments {
		if g := &t.segments[i]; g.count > 0 {
			base := t.space.at(g.off)
			for j := range g.slots {
				if slot := t.slot(base, j); *word(slot) != 0 {
					*word(slot) &^= stampMask
				}
			}
		}
	}
}
