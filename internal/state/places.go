package state

import (
	"unsafe"

	"github.com/thalweg-io/thalweg/internal/state/prefetch"
)

// places remembers where a table has the keys of the run in hand, so that a record's accesses need not look each for itself: the lines of a whole run
// are compared in one loop, in which the processor waits for none of them.
//
// It is a memory of what probing said, never more: whatever moves or reuses slots grows table.moves, and what was found before then is probed for
// anew. An insertion without growth moves nothing: it can only give a slot to a key that was noted as not known.
type places[K comparable] struct {
	t *table[K]
	found
	n    int      // keys of the run
	next struct { // the run after that: its home lines are on their way from memory
		n     int
		moves uint64
		home  [ahead]uint64
	}
}

// found is the part of places that does not know what a key is.
type found struct {
	// Where the slot of each key of the run begins, from the base of the space; 0: not known. No slot is there, because spaces begin with nowhere. The
	// rest stays 0: ahead is the place of a key in hand that is of no run, and so many that no index needs a check.
	at    [2 * ahead]uint64
	moves uint64 // of the table when they were found
	uses  int    // accesses since the run began

	// Of the table and of who has the key in hand; they outlive this.
	moved *uint64
	base  *unsafe.Pointer
	place *int
}

// A table that fewer of a run's keys were looked up in than this is not worth looking all of them up ahead.
const fewUses = ahead / 8

func (p *places[K]) init(k *Keyed[K], t *table[K]) {
	p.t, p.uses = t, fewUses
	p.moved, p.base, p.place = &t.moves, &t.space.base, &k.place
}

// wanted reports whether enough of the last run's keys were looked up.
func (p *places[K]) wanted() bool { return p.uses >= min(fewUses, max(p.n, 1)) }

// begin asks for the lines of a batch's first run.
func (p *places[K]) begin(hashes []uint64) {
	if p.next.n = 0; p.wanted() {
		p.aim(hashes)
	}
}

// turn begins a run of keys, which is that asked for before, and asks for the lines of the next ones.
func (p *places[K]) turn(keys []K, hashes, rest []uint64) {
	wanted := p.wanted()
	p.n, p.uses, p.moves = len(keys), 0, p.t.moves
	if !wanted {
		p.next.n = 0
		clear(p.at[:ahead])
		return
	}
	p.locate(keys, hashes)
	p.aim(rest)
}

// aim asks for the lines of the run that comes next.
func (p *places[K]) aim(hashes []uint64) {
	p.next.moves, p.next.n = p.t.moves, p.t.aim(&p.next.home, hashes)
	if p.t.large() {
		prefetch.Lines(p.t.space.base, p.next.home[:p.next.n])
	}
}

// locate looks up the keys of the run that begins.
func (p *places[K]) locate(keys []K, hashes []uint64) {
	n := len(hashes)
	if p.next.n != n || p.next.moves != p.t.moves {
		p.aim(hashes)
	}
	if p.t.large() {
		fetch(p.t.space.base, &p.next.home, n)
	}
	if p.t.four {
		p.locateFour(hashes)
	} else {
		p.locateEach(keys, hashes)
	}
	clear(p.at[n:ahead])
}

// locateFour is locate for lines of four. It looks into the home lines only and branches nowhere: see resolveFour.
func (p *places[K]) locateFour(hashes []uint64) {
	base := p.t.space.base
	for i, h := range hashes {
		home := p.next.home[i&(ahead-1)]
		line := (*[8]uint64)(unsafe.Add(base, home))
		want := wordOf(h)
		at := uint64(0)
		if line[0]^want <= stampMask {
			at = home
		}
		if line[2]^want <= stampMask {
			at = home + 16
		}
		if line[4]^want <= stampMask {
			at = home + 32
		}
		if line[6]^want <= stampMask {
			at = home + 48
		}
		p.at[i&(ahead-1)] = at
	}
}

// locateEach is locate for other tables.
func (p *places[K]) locateEach(keys []K, hashes []uint64) {
	p.t.walk(&p.next.home, hashes)
	for i, h := range hashes {
		at := p.next.home[i&(ahead-1)]
		slot := unsafe.Add(p.t.space.base, at)
		if *word(slot)^wordOf(h) > stampMask || !p.t.holds(slot, &keys[i]) {
			at = 0 // not there, or behind another one of the same hash
		}
		p.at[i&(ahead-1)] = at
	}
}

// known is the slot of the key in hand, or nil if it is not known.
func (f *found) known() unsafe.Pointer {
	at := f.at[*f.place&(2*ahead-1)]
	if at == 0 || f.moves != *f.moved {
		return nil
	}
	f.uses++
	return unsafe.Add(*f.base, at)
}

// find is the slot of the key in hand, or nil.
func (p *places[K]) find(k *Keyed[K]) unsafe.Pointer {
	if slot := p.known(); slot != nil {
		return slot
	}
	p.uses++
	slot := p.t.find(&k.key, k.hash)
	if slot != nil {
		p.note(k, slot)
	}
	return slot
}

// upsert is find that adds a key that is not there, with the zero value.
func (p *places[K]) upsert(k *Keyed[K]) (unsafe.Pointer, error) {
	if slot := p.known(); slot != nil {
		return slot, nil
	}
	p.uses++
	slot, _, err := p.t.upsert(&k.key, k.hash)
	if err == nil {
		p.note(k, slot)
	}
	return slot, err
}

// note remembers the slot of the key in hand.
func (p *places[K]) note(k *Keyed[K], slot unsafe.Pointer) {
	if k.place < ahead {
		p.at[k.place] = p.t.offset(slot)
	}
}

// Cell is the short way to a Value: it leads to what lies in its slot as it is and has been found for the run in hand. It has no key type, as those who
// use the Value have none in their hands: nothing stands between them and the value then but a few comparisons. The zero Cell leads nowhere.
type Cell[V any] struct {
	f   *found
	off uintptr // of the value in a slot
	now *uint64 // stamp of the present interval
}

// Cell is the short way to v.
func (v *Value[K, V]) Cell() Cell[V] {
	if !v.plain {
		return Cell[V]{}
	}
	return Cell[V]{&v.run.found, v.off, &v.t.now}
}

// Known is the value of the key in hand, to be read at once; nil says nothing.
func (c *Cell[V]) Known() *V {
	if c.f != nil {
		if slot := c.f.known(); slot != nil {
			return (*V)(unsafe.Add(slot, c.off))
		}
	}
	return nil
}

// Changing is Known for a value that may be changed at once, because it has been in this interval before.
func (c *Cell[V]) Changing() *V {
	if c.f != nil {
		if slot := c.f.known(); slot != nil && *word(slot)&stampMask == *c.now {
			return (*V)(unsafe.Add(slot, c.off))
		}
	}
	return nil
}

// follower is told of the runs of a batch.
type follower[K comparable] interface {
	// begin is told of a batch: its first run comes next.
	begin(hashes []uint64)
	// turn is told of the run that begins, and of what comes behind it.
	turn(keys []K, hashes, rest []uint64)
}

// tails has the ends of lists fetched: an element that is appended is a new entry, whose line nobody has touched before.
type tails[K comparable, V any] struct {
	l      *List[K, V]
	count  int // elements of all lists when the run began
	hashes [ahead]uint64
	lines  [ahead]uint64
}

func (x *tails[K, V]) begin(hashes []uint64) { x.l.lengths.run.begin(hashes) }

func (x *tails[K, V]) turn(keys []K, hashes, rest []uint64) {
	l := x.l
	l.lengths.run.turn(keys, hashes, rest)
	appended := l.t.count - x.count
	x.count = l.t.count
	if appended < fewUses || !l.t.large() {
		return
	}
	base := l.lengths.s.space.base
	for i, h := range hashes {
		end := int64(0)
		if at := l.lengths.run.at[i&(ahead-1)]; at != 0 {
			end = *l.lengths.s.inline(unsafe.Add(base, at))
		}
		x.hashes[i&(ahead-1)] = spread(l.k, end, h)
	}
	fetch(l.t.space.base, &x.lines, l.t.aim(&x.lines, x.hashes[:len(hashes)]))
}
