package state

import (
	"fmt"
	"time"
	"unsafe"
)

// TTL is how long entries of a state live. They age by processing time, Config.Now, which stands still while a batch of keys is in hand: what was
// there at the beginning of a record is there until its end.
//
// An entry carries the time when it was last used, in the table and in checkpoints, so a restore goes on with the age that it had, and a TTL of another
// length holds for the entries that are there, too. What is over is never given out again; it is taken out by Expire, step by step, at the latest twice
// the TTL after its last use, and is not written into the base of a snapshot, nor brought back by a restore.
type TTL struct {
	After   time.Duration // above 0
	OnReads bool          // a read is a use, too, not only a write
}

// aged is a value with the time of its last use, in ns since 1970. Codecs write fields in order, one value as well as many, so that a boxed aged begins
// with the 8 bytes of Used: see age.
type aged[V any] struct {
	Used  int64
	Value V
}

// agedSchema marks the schema of aged values, so that nobody takes them for a struct of the program's own.
func agedSchema(value string) string { return ttlMark + value }

const ttlMark = "ttl "

// ages is what Keyed knows of time.
type ages struct {
	now int64 // of the batch in hand
	all []agePass
}

// agePass is a pass over all slots of a state. It keeps its pace, though there are less and less slots as it gives memory back.
type agePass struct {
	aging
	next   int64 // when the next step is due; 0: there is none
	left   int   // slots of the pass
	budget int   // of a step
	every  int64
}

// aging is a state whose entries age.
type aging interface {
	// expire looks at about so many slots, going on where it was, and takes out what is over. It says how many it looked at: some.
	expire(budget int) (looked int)
	// entries are how many there are, and slots how many are to be looked at to see all of them.
	entries() int
	slots() int
	ttl() TTL
}

// A pass over a table takes half of the TTL, in so many steps at least and of so many slots at most, so that no step is a pause.
const (
	leastSteps   = 16
	slotsInAStep = 4 << 10
	shortestStep = int64(time.Millisecond)
)

func (k *Keyed[K]) age(a aging) error {
	if d := a.ttl().After; d <= 0 {
		return fmt.Errorf("a TTL of %v: an entry lives for some time", d)
	}
	if k.c.Now == nil {
		return fmt.Errorf("a TTL of %v, and no clock", a.ttl().After)
	}
	k.ages.all = append(k.ages.all, agePass{aging: a})
	k.tick()
	return nil
}

// Ages reports whether there is state with a TTL.
func (k *Keyed[K]) Ages() bool { return len(k.ages.all) > 0 }

// tick looks at the clock.
func (k *Keyed[K]) tick() {
	if len(k.ages.all) > 0 {
		k.ages.now = max(k.ages.now, k.c.Now())
	}
}

// NextExpiry is when Expire is to be called, in ns since 1970; false: nothing is there that ages.
func (k *Keyed[K]) NextExpiry() (at int64, ok bool) {
	for i := range k.ages.all {
		p := &k.ages.all[i]
		switch {
		case p.entries() == 0:
			p.next = 0
			continue
		case p.next == 0:
			k.tick()
			p.begin()
			p.next = k.ages.now + p.every
		}
		if !ok || p.next < at {
			at, ok = p.next, true
		}
	}
	return at, ok
}

// Expire takes out some of the entries that are over, of states whose step is due. What can not be done is an error of Err.
func (k *Keyed[K]) Expire() {
	k.tick()
	for i := range k.ages.all {
		p := &k.ages.all[i]
		if p.next == 0 || p.next > k.ages.now {
			continue
		}
		looked := p.expire(p.budget)
		p.next = k.ages.now + p.every*int64(looked)/int64(p.budget)
		if p.left -= looked; p.left <= 0 {
			p.begin()
		}
	}
}

// begin begins a pass.
func (p *agePass) begin() {
	p.left = p.slots()
	steps := max(leastSteps, (p.left+slotsInAStep-1)/slotsInAStep)
	p.budget, p.every = p.left/steps+1, max(int64(p.ttl().After)/2/int64(steps), shortestStep)
}

// over reports whether what was used last at a time has outlived its TTL.
func (k *Keyed[K]) over(used int64, t TTL) bool { return k.ages.now-used >= int64(t.After) }

// overNow is over at the present time, for whoever asks later and elsewhere.
func (k *Keyed[K]) overNow(t TTL) func(used int64) bool {
	now := k.ages.now
	return func(used int64) bool { return now-used >= int64(t.After) }
}

// used is where a slot has the time of its last use: skip bytes into its value, which is boxed or not.
// (What is encoded is little-endian, and so is every processor that this is built for.)
func (s *store[K, V]) used(slot unsafe.Pointer, skip uintptr) *int64 {
	if !s.l.boxed {
		return (*int64)(unsafe.Add(slot, s.l.valOff+skip))
	}
	return (*int64)(unsafe.Add(s.space.at((*s.ref(slot)).offset()), skip))
}

// addAging registers a handle whose entries age.
func (k *Keyed[K]) addAging(h interface {
	handle[K]
	aging
}, name string) error {
	if err := k.age(h); err != nil {
		h.close()
		return fmt.Errorf("state %q of operator %s: %w", name, k.c.Name, err)
	}
	return k.add(h)
}
