package state

import (
	"unsafe"

	"github.com/thalweg-io/thalweg/internal/codec"
)

// store is a space with tables of values V in it, and how a V lies in a slot: as it is, or as a ref to its bytes: packed, or what its codec gives if
// it cannot be.
type store[K comparable, V any] struct {
	l     *layout[K]
	space *space
	codec codec.Codec[V]
	boxes boxes[V]    // if values are boxed
	one   [1]V        // scratch for one boxed value that is being changed
	runs  [2]Slots[V] // the run in hand and the one whose lines are on their way
}

func newStore[K comparable, V any](c *Config) (*store[K, V], error) {
	values, err := codec.For[V]()
	if err != nil {
		return nil, err
	}
	size, align, inline := inlined[V]()
	l, err := newLayout[K](size, align, !inline)
	if err != nil {
		return nil, err
	}
	s := &store[K, V]{l: l, space: newSpace(c), codec: values}
	if l.boxed {
		s.boxes = newBoxes(values)
	}
	return s, nil
}

// inline is the value of a slot whose values lie in it.
func (s *store[K, V]) inline(slot unsafe.Pointer) *V { return (*V)(unsafe.Add(slot, s.l.valOff)) }

func (s *store[K, V]) ref(slot unsafe.Pointer) *ref { return (*ref)(unsafe.Add(slot, s.l.valOff)) }

// load gives a copy of the value of a slot.
func (s *store[K, V]) load(slot unsafe.Pointer) (v V) {
	if !s.l.boxed {
		return *s.inline(slot)
	}
	s.boxes.unbox(s.space.blob(*s.ref(slot)), &v)
	return v
}

// update finds or adds the entry of a key and calls f with its value, a zero one if it is fresh. What f leaves is kept.
func (s *store[K, V]) update(t *table[K], key *K, hash uint64, f func(v *V, fresh bool)) error {
	slot, fresh, err := t.upsert(key, hash)
	if err != nil {
		return err
	}
	t.change(slot, hash)
	if !s.l.boxed {
		f(s.inline(slot), fresh)
		return nil
	}
	return s.change(t, key, hash, slot, func(v *V) { f(v, fresh) })
}

// change calls f with the boxed value of a slot that holds key, and keeps what it leaves.
func (s *store[K, V]) change(t *table[K], key *K, hash uint64, slot unsafe.Pointer, f func(v *V)) error {
	defer clear(s.one[:])
	s.boxes.unbox(s.space.blob(*s.ref(slot)), &s.one[0])
	f(&s.one[0])
	return s.encode(t, key, hash, slot, &s.one[0])
}

// encode makes v the boxed value of a slot that holds key.
func (s *store[K, V]) encode(t *table[K], key *K, hash uint64, slot unsafe.Pointer, v *V) error {
	base := s.space.base
	r, err := s.box(*s.ref(slot), v)
	if err != nil {
		return err
	}
	if s.space.base != base { // the space moved, and the slot with it
		slot = t.find(key, hash)
	}
	*s.ref(slot) = r
	return nil
}

// box writes v to where r was, or elsewhere.
func (s *store[K, V]) box(r ref, v *V) (ref, error) {
	if pack := s.boxes.pack; pack != nil { // to its place at once
		r, err := s.space.resizeBlob(r, pack.Size(v))
		if err == nil && r != 0 {
			pack.Pack(s.space.blob(r), v)
		}
		return r, err
	}
	b, err := s.boxes.box(v)
	if err != nil {
		return 0, err
	}
	return s.space.replaceBlob(r, b)
}
