package state

import (
	"fmt"
	"math"
	"slices"
	"unsafe"

	"github.com/thalweg-io/thalweg/internal/codec"
)

// table maps keys of a range of key groups to slots. It knows keys; what a value is its user knows.
//
// A directory finds the segment of a hash by its top 32 bits, scaled: index = (hash>>32) * (max parallelism << depth) >> 32. That is the key
// group with depth more bits, so a group is a range of the directory and no segment holds two groups. A segment covers 2^(depth - its own
// depth) entries that follow each other. It is empty at first, then doubles up to segmentSize, then splits in two by one more bit; only when
// splitting is no use (one hash very often) does it grow further.
//
// Inside of a segment the low 32 bits of the hash, scaled, name the line where probing begins; entries follow without a gap (linear probing),
// which removal keeps up by moving later ones back.
type table[K comparable] struct {
	l     *layout[K]
	space *space

	scale    uint64 // max parallelism << depth
	first    uint64 // index of the first own group's first entry
	depth    uint8
	dir      []place
	owner    []uint32 // segment of each entry of the directory
	segments []segment
	count    int
	moves    uint64 // grows when a slot may have moved: offsets found before are stale
	four     bool   // a slot is a word and a value of 8 bytes: a line has four, which are compared together
	now      uint64 // stamp of the present interval, see touch.go
	save     *saver // nil: no snapshot is being taken, or all is in it

	firstGroup int
	refs       bool // slots refer to keys or values elsewhere
	scratch    []byte
	keysAt     [ahead]uint64 // scratch of walk
}

// place is what a lookup needs of a segment.
type place struct {
	line  uint32 // offset / lineSize
	slots uint32
}

type segment struct {
	off    uint64
	size   int // bytes; 0: there is none yet, and lookups go nowhere
	slots  uint32
	count  uint32
	limit  uint32 // grow at this count
	depth  uint8
	prefix uint64 // index in a directory of its own depth, from group 0 on
}

const (
	firstSegment = 512
	// The directory finds top hash bits that slots do not store, so it tells at least this many ranges apart.
	leastRanges = 256
)

func newTable[K comparable](l *layout[K], s *space, c *Config) (*table[K], error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	t := &table[K]{l: l, space: s, four: l.mode == keyIsHash && l.line == 4 && !l.boxed && l.size == 16 && l.valOff == 8, firstGroup: c.From, refs: l.mode >= keyText || l.boxed}
	for c.MaxParallelism<<t.depth < leastRanges {
		t.depth++
	}
	t.scale = uint64(c.MaxParallelism) << t.depth
	t.first = uint64(c.From) << t.depth
	n := (c.To - c.From) << t.depth
	t.dir, t.owner, t.segments = make([]place, n), make([]uint32, n), make([]segment, n)
	for i := range n {
		t.dir[i] = place{0, l.line}
		t.owner[i] = uint32(i)
		t.segments[i] = segment{depth: t.depth, prefix: t.first + uint64(i)}
	}
	return t, nil
}

// index is the directory entry of a hash. A hash of a key group that is not owned is out of range and panics at its use.
func (t *table[K]) index(hash uint64) int { return int((hash>>32)*t.scale>>32 - t.first) }

// home is the slot where probing for a hash begins, among n of which there is a whole number of lines.
func (l *layout[K]) home(hash uint64, n uint32) uint32 {
	return uint32(uint64(uint32(hash))*uint64(n/l.line)>>32) * l.line
}

// The compiler does not inline a plain function of this package into generic code that another package instantiates, which all hot loops here are.
// It does inline a generic one. That is all that the type parameters of wordOf, word and below are for.

func wordOf[H uint64](hash H) H { return hash<<hashInWord | occupied }

// offset is that of a slot from the base of the space.
func (t *table[K]) offset(slot unsafe.Pointer) uint64 {
	return uint64(uintptr(slot) - uintptr(t.space.base))
}

func word[P unsafe.Pointer](slot P) *uint64 { return (*uint64)(slot) }

// slot is the address of a slot by its number.
func (t *table[K]) slot(base unsafe.Pointer, i uint32) unsafe.Pointer {
	return unsafe.Add(base, uintptr(i)*t.l.size)
}

// find returns the slot of a key, or nil.
func (t *table[K]) find(key *K, hash uint64) unsafe.Pointer {
	slot, _ := t.probe(key, hash)
	return slot
}

// probe returns the slot of a key and its number in its segment, or nil.
func (t *table[K]) probe(key *K, hash uint64) (unsafe.Pointer, uint32) {
	p := t.dir[t.index(hash)]
	base := unsafe.Add(t.space.base, uint64(p.line)*lineSize)
	want := wordOf(hash)
	i := t.l.home(hash, p.slots)
	if t.four {
		return probeLines(base, i, p.slots, want)
	}
	for {
		slot := t.slot(base, i)
		w := *word(slot)
		if w == 0 {
			return nil, 0
		}
		if w^want <= stampMask && t.holds(slot, key) {
			return slot, i
		}
		if i++; i == p.slots {
			i = 0
		}
	}
}

// probeLines is probe for lines of four.
func probeLines(base unsafe.Pointer, i, slots uint32, want uint64) (unsafe.Pointer, uint32) {
	for {
		w := (*[8]uint64)(unsafe.Add(base, 16*uintptr(i)))
		a, b, c, d := below(w[0]^want), below(w[2]^want), below(w[4]^want), below(w[6]^want)
		if a|b|c|d != 0 {
			i += uint32(b + 2*c + 3*d)
			return unsafe.Add(base, 16*uintptr(i)), i
		}
		if w[0] == 0 || w[2] == 0 || w[4] == 0 || w[6] == 0 {
			return nil, 0
		}
		if i += 4; i == slots {
			i = 0
		}
	}
}

// holds compares the key of a slot whose hash is right.
func (t *table[K]) holds(slot unsafe.Pointer, key *K) bool {
	switch t.l.mode {
	case keyIsHash:
		return true
	case keyInline:
		return *(*K)(unsafe.Add(slot, t.l.keyOff)) == *key
	case keyText:
		return string(t.space.blob(*(*ref)(unsafe.Add(slot, t.l.keyOff)))) == *(*string)(unsafe.Pointer(key))
	}
	b, err := t.l.boxes.box(key)
	return err == nil && string(t.space.blob(*(*ref)(unsafe.Add(slot, t.l.keyOff)))) == string(b)
}

// insert adds a key that is not there and returns its slot, whose value is zero.
func (t *table[K]) insert(key *K, hash uint64) (unsafe.Pointer, error) {
	var r ref
	if t.l.mode >= keyText {
		b, err := t.l.bytes(key)
		if err != nil {
			return nil, err
		}
		if r, err = t.space.putBlob(b); err != nil {
			return nil, err
		}
	}
	s, err := t.room(hash)
	if err != nil {
		t.space.freeBlob(r)
		return nil, err
	}
	slot := t.vacant(s, hash)
	clear(unsafe.Slice((*byte)(slot), t.l.size))
	*word(slot) = wordOf(hash) | t.now
	switch t.l.mode {
	case keyIsHash:
	case keyInline:
		*(*K)(unsafe.Add(slot, t.l.keyOff)) = *key
	default:
		*(*ref)(unsafe.Add(slot, t.l.keyOff)) = r
	}
	s.count++
	t.count++
	return slot, nil
}

// upsert returns the slot of a key and whether it was added.
func (t *table[K]) upsert(key *K, hash uint64) (slot unsafe.Pointer, fresh bool, err error) {
	if slot, _ = t.probe(key, hash); slot != nil {
		return slot, false, nil
	}
	slot, err = t.insert(key, hash)
	return slot, true, err
}

// vacant is the first free slot for a hash.
func (t *table[K]) vacant(s *segment, hash uint64) unsafe.Pointer {
	base := t.space.at(s.off)
	for i := t.l.home(hash, s.slots); ; {
		slot := t.slot(base, i)
		if *word(slot) == 0 {
			return slot
		}
		if i++; i == s.slots {
			i = 0
		}
	}
}

// remove takes a key out and frees what its slot refers to. It reports whether it was there, and the stamp it had.
func (t *table[K]) remove(key *K, hash uint64) (stamp uint64, ok bool) {
	slot, i := t.probe(key, hash)
	if slot == nil {
		return 0, false
	}
	t.rescue(slot, hash)
	stamp = *word(slot) & stampMask
	t.freeRefs(slot)
	s := &t.segments[t.owner[t.index(hash)]]
	base := t.space.at(s.off)
	// Whatever comes after the gap and could lie in it moves back, so that probing still ends at the first empty slot.
	gap := i
	for {
		if i++; i == s.slots {
			i = 0
		}
		next := t.slot(base, i)
		w := *word(next)
		if w == 0 {
			break
		}
		if home := t.l.home(w>>hashInWord, s.slots); s.steps(home, gap) > s.steps(home, i) {
			continue // the gap is not on the way from its home to it
		}
		copy(unsafe.Slice((*byte)(t.slot(base, gap)), t.l.size), unsafe.Slice((*byte)(next), t.l.size))
		gap = i
	}
	*word(t.slot(base, gap)) = 0
	s.count--
	t.count--
	t.moves++
	return stamp, true
}

// steps is the way from slot a to slot b, around the end.
func (s *segment) steps(a, b uint32) uint32 {
	if b < a {
		b += s.slots
	}
	return b - a
}

// freeRefs frees the encoded parts of a slot.
func (t *table[K]) freeRefs(slot unsafe.Pointer) {
	if t.l.mode >= keyText {
		t.space.freeBlob(*(*ref)(unsafe.Add(slot, t.l.keyOff)))
	}
	if t.l.boxed {
		t.space.freeBlob(*(*ref)(unsafe.Add(slot, t.l.valOff)))
	}
}

// room is the segment of a hash, with a free slot.
func (t *table[K]) room(hash uint64) (*segment, error) {
	for {
		n := t.owner[t.index(hash)]
		s := &t.segments[n]
		if s.count < s.limit {
			return s, nil
		}
		if err := t.grow(n); err != nil {
			return nil, err
		}
	}
}

// each visits the entries of a key group. visit changes nothing but values.
func (t *table[K]) each(group int, visit func(slot unsafe.Pointer, hash uint64) error) error {
	begin := uint64(group)<<t.depth - t.first
	for e := begin; e < begin+1<<t.depth; {
		s := &t.segments[t.owner[e]]
		e += 1 << (t.depth - s.depth)
		if s.count == 0 {
			continue
		}
		base, low := t.space.at(s.off), t.lowest(s)
		for i := range s.slots {
			slot := t.slot(base, i)
			if w := *word(slot); w != 0 {
				if err := visit(slot, restoreHash(w, low)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// empty removes all entries of a key group. It is for restoring, when no snapshot is being taken.
func (t *table[K]) empty(group int) {
	begin := uint64(group)<<t.depth - t.first
	for e := begin; e < begin+1<<t.depth; {
		s := &t.segments[t.owner[e]]
		e += 1 << (t.depth - s.depth)
		base := t.space.at(s.off)
		for i := range s.slots {
			slot := t.slot(base, i)
			if s.count > 0 && *word(slot) != 0 {
				t.freeRefs(slot)
				*word(slot) = 0
			}
		}
		t.count -= int(s.count)
		s.count = 0
	}
	t.moves++
}

// lowest is the top half of the lowest hash that belongs into a segment.
func (t *table[K]) lowest(s *segment) uint64 {
	ranges := t.scale >> (t.depth - s.depth)
	return (s.prefix<<32 + ranges - 1) / ranges
}

// behind is the lowest top half of a hash that belongs behind a segment.
func (t *table[K]) behind(s *segment) uint64 {
	ranges := t.scale >> (t.depth - s.depth)
	return ((s.prefix+1)<<32 + ranges - 1) / ranges
}

// restoreHash completes the hash of a slot. A segment covers at most a 256th of all hashes, so the 8 bits that the word lacks are those that
// make it not less than the lowest one.
func restoreHash(w, low uint64) uint64 {
	top := low&^0xffffff | w>>(hashInWord+32)
	if top < low {
		top += 1 << 24
	}
	return top<<32 | w>>hashInWord&math.MaxUint32
}

// drop frees all memory of the table, which is not used again.
func (t *table[K]) drop() {
	for i := range t.segments {
		s := &t.segments[i]
		if s.size == 0 {
			continue
		}
		if base := t.space.at(s.off); t.refs {
			for j := range s.slots {
				if slot := t.slot(base, j); *word(slot) != 0 {
					t.freeRefs(slot)
				}
			}
		}
		t.space.release(s.off, s.size)
	}
	t.dir, t.owner, t.segments, t.count = nil, nil, nil, 0
}

// check panics if the table is not what its comment says; tests call it.
func (t *table[K]) check() {
	total := 0
	for e := 0; e < len(t.dir); {
		n := t.owner[e]
		s := &t.segments[n]
		width := 1 << (t.depth - s.depth)
		if uint64(e)+t.first != s.prefix<<(t.depth-s.depth) {
			panic(fmt.Sprintf("state: segment %d of prefix %#x, depth %d is at %d", n, s.prefix, s.depth, e))
		}
		for range width {
			if t.owner[e] != n || s.size > 0 && t.dir[e] != s.place() {
				panic(fmt.Sprintf("state: entry %d has segment %d, place %v; want %d, %v", e, t.owner[e], t.dir[e], n, s.place()))
			}
			e++
		}
		total += int(s.count)
	}
	if total != t.count {
		panic(fmt.Sprintf("state: %d entries in segments, %d counted", total, t.count))
	}
}

func (s *segment) place() place { return place{uint32(s.off / lineSize), s.slots} }

// grow makes room in a segment: see the type.
func (t *table[K]) grow(n uint32) error {
	t.moves++
	s := &t.segments[n]
	switch {
	case s.size == 0:
		size := firstSegment
		for uintptr(size) < 4*t.l.size {
			size *= 2
		}
		return t.resize(n, size)
	case s.size < segmentSize:
		return t.resize(n, 2*s.size)
	case s.depth < t.depth || t.mayDouble():
		return t.split(n)
	}
	return t.resize(n, 2*s.size)
}

// mayDouble: the directory doubles while that is what the number of segments asks for. Hashes that are equal would double it for ever.
func (t *table[K]) mayDouble() bool {
	return t.scale < 1<<31 && len(t.dir) <= 16*len(t.segments)+1024
}

// resize moves a segment to a piece of another size.
func (t *table[K]) resize(n uint32, size int) error {
	off, size, err := t.space.alloc(size, true)
	if err != nil {
		return err
	}
	s := &t.segments[n]
	old := *s
	t.settle(s, off, size)
	if old.size > 0 {
		t.refill(unsafe.Slice((*byte)(t.space.at(old.off)), int(uintptr(old.slots)*t.l.size)), func(uint64) *segment { return s })
		t.space.release(old.off, old.size)
	}
	t.announce(n)
	return nil
}

// settle gives a segment an empty piece. Hashes fill all segments of a table alike, and if all grew at the same count, they would nearly at the same time:
// a pause. So some grow up to a quarter sooner than others.
func (t *table[K]) settle(s *segment, off uint64, size int) {
	slots := uint32(size/int(t.l.size)) / t.l.line * t.l.line
	s.off, s.size, s.slots, s.count = off, size, slots, 0
	s.limit = min(uint32(uint64(slots)*uint64(t.l.load)/128), slots-1)
	s.limit -= uint32(uint64(s.limit/4) * (codec.Mix(s.prefix) >> 32) >> 32)
}

// refill inserts the slots in old into the segments they belong to.
func (t *table[K]) refill(old []byte, to func(word uint64) *segment) {
	size := int(t.l.size)
	for ; len(old) >= size; old = old[size:] {
		w := *word(unsafe.Pointer(unsafe.SliceData(old)))
		if w == 0 {
			continue
		}
		s := to(w)
		copy(unsafe.Slice((*byte)(t.vacant(s, w>>hashInWord)), size), old)
		s.count++
	}
}

// announce puts a segment's place into the directory.
func (t *table[K]) announce(n uint32) {
	s := &t.segments[n]
	width := uint64(1) << (t.depth - s.depth)
	begin := s.prefix<<(t.depth-s.depth) - t.first
	p := s.place()
	if s.size == 0 {
		p = place{0, t.l.line}
	}
	for i := begin; i < begin+width; i++ {
		t.dir[i], t.owner[i] = p, n
	}
}

// split makes two segments of one.
func (t *table[K]) split(n uint32) error {
	if t.segments[n].depth == t.depth {
		t.double()
	}
	off, size, err := t.space.alloc(t.segments[n].size, true)
	if err != nil {
		return err
	}
	t.segments = append(t.segments, segment{})
	m := uint32(len(t.segments) - 1)
	low, high := &t.segments[n], &t.segments[m]
	lowest, old := t.lowest(low), *low
	piece := unsafe.Slice((*byte)(t.space.at(old.off)), int(uintptr(old.slots)*t.l.size))
	t.scratch = append(t.scratch[:0], piece...)
	clear(piece)
	low.depth, low.prefix = old.depth+1, 2*old.prefix
	high.depth, high.prefix = low.depth, low.prefix+1
	t.settle(low, old.off, old.size)
	t.settle(high, off, size)
	border := t.lowest(high)
	t.refill(t.scratch, func(w uint64) *segment {
		if restoreHash(w, lowest)>>32 < border {
			return low
		}
		return high
	})
	t.announce(n)
	t.announce(m)
	return nil
}

// double gives the directory twice as many entries.
func (t *table[K]) double() {
	t.depth++
	t.scale *= 2
	t.first *= 2
	t.dir, t.owner = twice(t.dir), twice(t.owner)
}

func twice[T any](s []T) []T {
	d := slices.Grow([]T(nil), 2*len(s))
	for _, x := range s {
		d = append(d, x, x)
	}
	return d
}
