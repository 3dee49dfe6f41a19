package state

import "unsafe"

// change must come before whatever changes the value of a slot.
func (t *table[K]) change(slot unsafe.Pointer, hash uint64) {
	if *word(slot)&stampMask != t.now {
		t.touch(slot, hash)
	}
}

// touch is the first change of an entry in the present interval.
func (t *table[K]) touch(slot unsafe.Pointer, hash uint64) {
	*word(slot) = *word(slot)&^stampMask | t.now
}
