package state

import (
	"fmt"
	"unsafe"

	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
)

// Map is a map from MK to V per key.
//
// An entry is one of a table of (key, map key), so that it is found by one probe however large the map. To go through the map of a key there is a
// second table, of (place, key) -> map key: the places of a key begin at 0 and have no gaps, because the last entry takes the place of one that is
// deleted. An entry knows its place. Places, and how many there are, are in no checkpoint: they are made anew by a restore.
type Map[K, MK comparable, V any] struct {
	k       *Keyed[K]
	name    string
	hasher  func(MK) uint64
	s       *store[pair[K, MK], placed[V]]
	t       *table[pair[K, MK]]
	order   *spaced[K, MK]
	sizes   *counts[K]
	io      columns[pair[K, MK], V]
	removed removals[pair[K, MK]]
	names   []MK // scratch of Keys; nil: it is lent
}

// pair is the key of an entry. In a checkpoint it is two columns, as every struct is.
type pair[K, MK comparable] struct {
	Key K
	Map MK
}

// placed is what is kept of an entry.
type placed[V any] struct {
	Place int64
	Value V
}

// NewMap declares maps under a name that is unique among the states of k. An MK that cannot be a key, or a V that cannot be encoded, is an error
// that names the field.
func NewMap[K, MK comparable, V any](k *Keyed[K], name string) (*Map[K, MK, V], error) {
	m, err := makeMap[K, MK, V](k, name)
	if err != nil {
		return nil, err
	}
	return m, k.add(m)
}

// makeMap is NewMap for what is registered as a part of something else.
func makeMap[K, MK comparable, V any](k *Keyed[K], name string) (*Map[K, MK, V], error) {
	fail := func(err error) (*Map[K, MK, V], error) {
		return nil, fmt.Errorf("state %q of operator %s: %w", name, k.c.Name, err)
	}
	m := &Map[K, MK, V]{k: k, name: name}
	var err error
	if m.hasher, err = codec.Hasher[MK](); err != nil {
		return fail(err)
	}
	if m.io.keys, err = codec.For[pair[K, MK]](); err != nil {
		return fail(err)
	}
	if m.io.vals, err = codec.For[V](); err != nil {
		return fail(err)
	}
	if m.s, err = newStore[pair[K, MK], placed[V]](&k.c); err != nil {
		return fail(err)
	}
	if m.t, err = newTable(m.s.l, m.s.space, &k.c); err != nil {
		m.s.space.close()
		return fail(err)
	}
	m.t.now = stampOf(k.interval)
	if m.order, err = makeSpaced[K, MK](k, name, checkpoint.Maps); err != nil {
		m.s.space.close()
		return nil, err
	}
	if m.sizes, err = newCounts(k); err != nil {
		m.s.space.close()
		m.order.close()
		return fail(err)
	}
	return m, nil
}

// entry is the key of an entry and its hash, in the range of the key's group.
func (m *Map[K, MK, V]) entry(key K, hash uint64, mk MK) (pair[K, MK], uint64) {
	return pair[K, MK]{key, mk}, spread(m.k, int64(m.hasher(mk)), hash)
}

// Get returns a copy of the value of a map key of the key in hand; false: it has none.
func (m *Map[K, MK, V]) Get(mk MK) (V, bool) {
	p, h := m.entry(m.k.key, m.k.hash, mk)
	slot := m.t.find(&p, h)
	if slot == nil {
		var zero V
		return zero, false
	}
	return m.s.load(slot).Value, true
}

// Put sets the value of a map key. It keeps a copy.
func (m *Map[K, MK, V]) Put(mk MK, v V) {
	if err := m.update(m.k.key, m.k.hash, mk, func(x *V) { *x = v }); err != nil {
		m.k.fail(m.name, err)
	}
}

// Update changes the value of a map key, which begins as the zero value. The pointer is valid inside f only.
func (m *Map[K, MK, V]) Update(mk MK, f func(*V)) {
	if err := m.update(m.k.key, m.k.hash, mk, f); err != nil {
		m.k.fail(m.name, err)
	}
}

func (m *Map[K, MK, V]) update(key K, hash uint64, mk MK, f func(*V)) error {
	p, h := m.entry(key, hash, mk)
	added, n := false, int64(0)
	if err := m.s.update(m.t, &p, h, func(x *placed[V], fresh bool) {
		if fresh {
			added, n = true, m.sizes.of(&key, hash)
			x.Place = n
		}
		f(&x.Value)
	}); err != nil || !added {
		return err
	}
	if err := m.order.update(n, key, spread(m.k, n, hash), func(x *MK, _ bool) { *x = mk }); err != nil {
		return err
	}
	return m.sizes.add(&key, hash, 1)
}

// Delete removes a map key; one that is not there is no error.
func (m *Map[K, MK, V]) Delete(mk MK) {
	if err := m.remove(m.k.key, m.k.hash, mk); err != nil {
		m.k.fail(m.name, err)
	}
}

// remove takes an entry out, if it is there; the last one takes its place.
func (m *Map[K, MK, V]) remove(key K, hash uint64, mk MK) error {
	p, h := m.entry(key, hash, mk)
	slot := m.t.find(&p, h)
	if slot == nil {
		return nil
	}
	place := m.place(slot)
	last := m.sizes.of(&key, hash) - 1
	if place != last {
		moved, ok := m.order.get(last, key, spread(m.k, last, hash))
		if !ok {
			panic(fmt.Sprintf("state: map %q of operator %s: key %v has %d entries and none in the last place", m.name, m.k.c.Name, key, last+1))
		}
		if err := m.order.update(place, key, spread(m.k, place, hash), func(x *MK, _ bool) { *x = moved }); err != nil {
			return err
		}
		if err := m.move(key, hash, moved, place); err != nil {
			return err
		}
	}
	name := timed[K]{last, key}
	m.order.t.remove(&name, spread(m.k, last, hash))
	if err := m.sizes.add(&key, hash, -1); err != nil {
		return err
	}
	if m.t.remove(&p, h); m.k.removing() {
		m.removed.add(removal[pair[K, MK]]{interval: m.k.interval, group: m.k.ownGroup(hash), key: p}, m.t.count)
	}
	return nil
}

// place is that of the entry in a slot.
func (m *Map[K, MK, V]) place(slot unsafe.Pointer) int64 {
	if !m.s.l.boxed {
		return m.s.inline(slot).Place
	}
	return m.s.load(slot).Place
}

// move gives an entry another place. That is no change of what snapshots know of it.
func (m *Map[K, MK, V]) move(key K, hash uint64, mk MK, place int64) error {
	p, h := m.entry(key, hash, mk)
	slot := m.t.find(&p, h)
	if !m.s.l.boxed {
		m.s.inline(slot).Place = place
		return nil
	}
	return m.s.change(m.t, &p, h, slot, func(x *placed[V]) { x.Place = place })
}

// Keys are the map keys of the key in hand, in no order to rely on. They are lent, and given back by Done: noted first, as what is deleted on a way
// through them moves others.
func (m *Map[K, MK, V]) Keys() []MK {
	names := m.names[:0]
	m.names = nil // another loop inside of this one has its own
	for at := range m.sizes.of(&m.k.key, m.k.hash) {
		mk, _ := m.order.get(at, m.k.key, spread(m.k, at, m.k.hash))
		names = append(names, mk)
	}
	return names
}

// Done takes back what Keys lent.
func (m *Map[K, MK, V]) Done(names []MK) {
	clear(names)
	m.names = names[:0]
}

// Len is the number of entries of the key in hand.
func (m *Map[K, MK, V]) Len() int { return int(m.sizes.of(&m.k.key, m.k.hash)) }

// Clear removes all entries of the key in hand.
func (m *Map[K, MK, V]) Clear() {
	key, hash := m.k.key, m.k.hash
	for n := m.sizes.of(&key, hash); n > 0; n-- { // from the end: nothing moves
		mk, _ := m.order.get(n-1, key, spread(m.k, n-1, hash))
		if err := m.remove(key, hash, mk); err != nil {
			m.k.fail(m.name, err)
			return
		}
	}
}

func (m *Map[K, MK, V]) table() checkpoint.Table { return m.io.table(m.name, checkpoint.Maps) }

func (m *Map[K, MK, V]) begin(s *saving, table int, after, upto int64) {
	rows := newRows(&m.io, &m.k.c, s, table, checkpoint.Maps)
	all := rows.begin(&m.removed, s, after, upto)
	m.t.begin(s, all, newCaptured(m.s.l, m.s.codec, &m.k.c, func(group int, _ int64, name *pair[K, MK], x *placed[V]) {
		rows.add(group, 0, name, &x.Value)
	}), 0)
}

func (m *Map[K, MK, V]) sweep(budget int) int { return m.t.sweep(budget) }

func (m *Map[K, MK, V]) abort() { m.t.forget() }

func (m *Map[K, MK, V]) trim(interval int64) { m.removed.trim(interval) }
func (m *Map[K, MK, V]) restamp()            { m.t.restamp() }

func (m *Map[K, MK, V]) restore(group int, c checkpoint.Chunk) error {
	if c.Op == checkpoint.Clear {
		m.t.empty(group)
		m.order.t.empty(group)
		m.sizes.t.empty(group)
		return nil
	}
	hashOf := func(p *pair[K, MK]) uint64 { return m.k.hasher(p.Key) }
	return m.io.entries(hashOf, m.k.groupOf, group, c, func(_ int64, p *pair[K, MK], hash uint64, v *V) error {
		if c.Op == checkpoint.Delete {
			return m.remove(p.Key, hash, p.Map)
		}
		return m.update(p.Key, hash, p.Map, func(x *V) { *x = *v })
	})
}

func (m *Map[K, MK, V]) bytes() int64 { return m.s.space.bytes() + m.order.bytes() + m.sizes.bytes() }

func (m *Map[K, MK, V]) close() {
	m.s.space.close()
	m.order.close()
	m.sizes.close()
}
