package state

import (
	"fmt"
	"unsafe"

	"github.com/thalweg-io/thalweg/internal/codec"
)

// recent is the boxed values of one table that were in hand lately, as they are: a key that comes again soon is neither unpacked nor packed. A value
// that was changed here, a dirty one, is written back when another one takes its entry, after some time, and before a snapshot begins.
//
// The slot of a dirty value has the bytes of an earlier one meanwhile. What reads them relies on this:
//
//   - A value becomes dirty behind table.change only, so an entry that a snapshot has still to save, which has not changed since the barrier, is not dirty.
//   - Whatever takes the entry of a key out of the table comes here first: forget.
//   - A handle that has one goes through it for all that comes between Restore and Close.
//
// Who is given a value never shares memory with it that changes: see codec.Keeper. A type that has no Keeper has no recent values.
//
// What it holds is bounded: so many values, none of which was large when it came here, and none for longer than agingPace times as many uses. With the
// strings of a value it holds the memory of the batch that they came with: that is why no value stays, however often it is used.
type recent[K comparable, V any] struct {
	s       *store[K, V]
	t       *table[K]
	keep    *codec.Keeper[V]
	plain   bool // copies of a V share nothing with it
	copies  bool
	fail    func(error)
	most    int
	entries []*recentEntry[K, V]
	index   [recentIndex]uint16 // by hash: number of the entry, from 1; 0: none. One of two places that follow each other
	turn    int                 // the entry that goes next
	held    int                 // bytes that the values in entries were unpacked from

	lent    bool // a value is being changed by its user, who may read it on the way
	uses    int  // of the period
	hits    int
	resting int // uses until it is tried again
}

type recentEntry[K comparable, V any] struct {
	hash  uint64
	size  int // of held
	key   K
	state recentState
	v     V
}

type recentState uint8

const (
	vacant recentState = iota
	clean
	dirty
)

const (
	mostRecent  = 1024
	recentIndex = 4 * mostRecent
	// largestRecent is the largest that a value may be, and mostHeld all of them, in the bytes that they come from.
	largestRecent = 32 << 10
	mostHeld      = 8 << 20
	// agingPace: a value is written back, and has to come again, after so many uses for each entry.
	agingPace = 128
	// In a period of so many uses at least one of hitsWanted must find its value, or keeping them is not worth it. Then nothing is kept for restPeriods.
	recentPeriod = 4 * mostRecent
	hitsWanted   = 4
	restPeriods  = 16
)

// newRecent has the values of a table kept; nil: they are not of a type that is.
func newRecent[K comparable, V any](s *store[K, V], t *table[K], fail func(error)) *recent[K, V] {
	if !s.l.boxed {
		return nil
	}
	keep, ok := codec.KeeperOf[V]()
	if !ok {
		return nil
	}
	return &recent[K, V]{s: s, t: t, keep: keep, plain: keep.Plain(), copies: keep.Copies(), fail: fail, most: mostRecent}
}

// step comes before a value is used, and before its slot is looked up: what it writes back can move slots.
func (c *recent[K, V]) step() {
	if c.resting > 0 {
		c.resting--
		return
	}
	if c.lent {
		return
	}
	if c.uses++; c.uses%agingPace != 0 {
		return
	}
	if c.uses < recentPeriod {
		c.age()
		return
	}
	if c.hits*hitsWanted < c.uses {
		for _, e := range c.entries {
			c.drop(e)
		}
		c.entries, c.turn, c.resting = nil, 0, restPeriods*recentPeriod
	}
	c.uses, c.hits = 0, 0
}

// age lets the value go whose turn it is.
func (c *recent[K, V]) age() {
	if len(c.entries) > 0 {
		c.drop(c.entries[c.turn])
		c.turn = (c.turn + 1) % len(c.entries)
	}
}

// get is a copy of the value of a key whose slot has r.
func (c *recent[K, V]) get(key *K, hash uint64, r ref) (v V) {
	if c.resting > 0 {
		c.s.boxes.unbox(c.s.space.blob(r), &v)
		return v
	}
	e := c.use(key, hash)
	switch {
	case e == nil && (!c.copies || r.length() > largestRecent):
		c.s.boxes.unbox(c.s.space.blob(r), &v)
		return v
	case e == nil:
		e = c.load(key, hash, r)
	case !c.copies:
		if e.state == dirty {
			c.writeBack(e)
		}
		return c.s.load(c.t.find(key, hash))
	}
	if c.plain {
		return e.v
	}
	c.keep.Copy(&v, &e.v)
	return v
}

// set makes x the value of a key. The slot is about to change.
func (c *recent[K, V]) set(key *K, hash uint64, slot unsafe.Pointer, x *V) error {
	if c.resting > 0 || !c.copies {
		c.forget(key, hash)
		return c.s.encode(c.t, key, hash, slot, x)
	}
	e := c.use(key, hash)
	if e == nil { // much that is set is not looked at soon, and its slot is at hand now
		return c.s.encode(c.t, key, hash, slot, x)
	}
	c.keep.Put(&e.v, x)
	c.changed(e)
	return nil
}

// update calls f with the value of a key. The slot is about to change.
func (c *recent[K, V]) update(key *K, hash uint64, slot unsafe.Pointer, f func(*V)) error {
	r := *c.s.ref(slot)
	var e *recentEntry[K, V]
	if c.resting == 0 {
		e = c.use(key, hash)
	}
	if e == nil {
		if c.resting > 0 || r.length() > largestRecent {
			return c.s.change(c.t, key, hash, slot, f)
		}
		e = c.load(key, hash, r)
	}
	c.keep.Lend(&e.v)
	c.lent = true
	f(&e.v)
	c.lent = false
	if e.state == vacant {
		return nil // f has removed it
	}
	if !c.keep.Own(&e.v) {
		e.state = dirty
		c.writeBack(e)
		var none V
		e.v = none // nothing of it is ours
		c.drop(e)
		return nil
	}
	c.changed(e)
	return nil
}

// changed: a value has become another one.
func (c *recent[K, V]) changed(e *recentEntry[K, V]) {
	if e.state = dirty; !c.plain && c.keep.Weight(&e.v) > largestRecent {
		c.drop(e)
	}
}

// forget lets the value of a key go that is about to be replaced or removed.
func (c *recent[K, V]) forget(key *K, hash uint64) {
	if e := c.find(key, hash); e != nil {
		e.state = clean
		c.drop(e)
	}
}

// settle lets the value of a key go, for somebody who goes by its slot, which may move.
func (c *recent[K, V]) settle(key *K, hash uint64, slot unsafe.Pointer) unsafe.Pointer {
	e := c.find(key, hash)
	if e == nil {
		return slot
	}
	c.drop(e)
	return c.t.find(key, hash)
}

// writeAll writes all back that is dirty.
func (c *recent[K, V]) writeAll() {
	for _, e := range c.entries {
		if e.state == dirty {
			c.writeBack(e)
		}
	}
}

// bytes is about what the values take.
func (c *recent[K, V]) bytes() int64 {
	return int64(len(c.entries))*int64(unsafe.Sizeof(recentEntry[K, V]{})) + int64(c.held)
}

// find is the entry of a key, or nil.
func (c *recent[K, V]) find(key *K, hash uint64) *recentEntry[K, V] {
	at := hash % recentIndex
	if e := c.at(at); e != nil && e.hash == hash && e.key == *key {
		return e
	}
	if e := c.at(at ^ 1); e != nil && e.hash == hash && e.key == *key {
		return e
	}
	return nil
}

// use is find for what counts as a use.
func (c *recent[K, V]) use(key *K, hash uint64) *recentEntry[K, V] {
	e := c.find(key, hash)
	if e != nil {
		c.hits++
	}
	return e
}

func (c *recent[K, V]) at(place uint64) *recentEntry[K, V] {
	if n := c.index[place%recentIndex]; n != 0 {
		return c.entries[n-1]
	}
	return nil
}

// load unpacks the value of a key that has no entry.
func (c *recent[K, V]) load(key *K, hash uint64, r ref) *recentEntry[K, V] {
	e := c.take(key, hash)
	if r != 0 { // it is zero already
		c.keep.Ready(&e.v)
		c.s.boxes.refill(c.s.space.blob(r), &e.v)
	}
	e.size = r.length()
	c.held += e.size
	return e
}

// take is the entry of a key that has none, with the zero value.
func (c *recent[K, V]) take(key *K, hash uint64) *recentEntry[K, V] {
	for n := len(c.entries); n > 0 && c.held > mostHeld; n-- {
		c.age()
	}
	at := hash % recentIndex
	if c.index[at] != 0 && c.index[at^1] == 0 {
		at ^= 1
	}
	n := c.index[at]
	switch {
	case n != 0:
		c.drop(c.entries[n-1])
	case len(c.entries) < c.most:
		c.entries = append(c.entries, new(recentEntry[K, V]))
		n = uint16(len(c.entries))
	default:
		n = uint16(c.turn) + 1
		c.age()
	}
	e := c.entries[n-1]
	c.index[at] = n
	e.key, e.hash, e.state = *key, hash, clean
	return e
}

// drop makes an entry vacant. Slots may move.
func (c *recent[K, V]) drop(e *recentEntry[K, V]) {
	switch e.state {
	case vacant:
		return
	case dirty:
		c.writeBack(e)
	}
	at := e.hash % recentIndex
	if c.at(at) != e {
		at ^= 1
	}
	c.index[at] = 0
	c.held -= e.size
	c.keep.Empty(&e.v)
	var none K
	e.state, e.size, e.key = vacant, 0, none
}

// writeBack packs a dirty value. What cannot be packed is lost, and the state is not used any more.
func (c *recent[K, V]) writeBack(e *recentEntry[K, V]) {
	e.state = clean
	slot := c.t.find(&e.key, e.hash)
	if slot == nil {
		panic(fmt.Sprintf("state: the value of %v is to be written back, and its key is not in the table", e.key))
	}
	if err := c.s.encode(c.t, &e.key, e.hash, slot, &e.v); err != nil {
		c.fail(err)
	}
}

// updateRuns is store.updateRuns through the values that are kept. Who is given runs may hand out what is in them, as results are: so only copies that
// share nothing are given from here.
func (c *recent[K, V]) updateRuns(keys []K, hashes []uint64, f func(first int, run *Slots[V])) error {
	run := &c.s.runs[0]
	for i := range hashes {
		c.step()
		slot, fresh, err := c.t.upsert(&keys[i], hashes[i])
		if err != nil {
			return err
		}
		c.t.change(slot, hashes[i])
		give := func(v *V) {
			run.base, run.at[0], run.n, run.fresh = unsafe.Pointer(v), 0, 1, 0
			if fresh {
				run.fresh = 1
			}
			f(i, run)
		}
		if c.plain {
			err = c.update(&keys[i], hashes[i], slot, give)
		} else {
			slot = c.settle(&keys[i], hashes[i], slot)
			err = c.s.change(c.t, &keys[i], hashes[i], slot, give)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
