package state

import (
	"unsafe"

	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
)

// AgingMap is a Map whose entries live for a time, each for itself.
type AgingMap[K, MK comparable, V any] struct {
	*Map[K, MK, aged[V]]
	life   TTL
	cursor int
	gone   []keyed[pair[K, MK]] // scratch of expire
}

// NewAgingMap is NewMap with a TTL. Config.Now is its clock.
func NewAgingMap[K, MK comparable, V any](k *Keyed[K], name string, t TTL) (*AgingMap[K, MK, V], error) {
	in, err := makeMap[K, MK, aged[V]](k, name)
	if err != nil {
		return nil, err
	}
	m := &AgingMap[K, MK, V]{Map: in, life: t}
	if err := k.addAging(m, name); err != nil {
		return nil, err
	}
	return m, nil
}

// Get returns a copy of the value of a map key of the key in hand; false: it has none.
func (m *AgingMap[K, MK, V]) Get(mk MK) (x V, ok bool) {
	p, h := m.entry(m.k.key, m.k.hash, mk)
	slot := m.t.find(&p, h)
	if slot == nil || m.isOver(slot) {
		return x, false
	}
	if used := m.used(slot); m.life.OnReads && *used != m.k.ages.now {
		m.t.change(slot, h)
		*used = m.k.ages.now
	}
	return m.s.load(slot).Value.Value, true
}

// Put sets the value of a map key. It keeps a copy.
func (m *AgingMap[K, MK, V]) Put(mk MK, v V) { m.Map.Put(mk, aged[V]{m.k.ages.now, v}) }

// Update changes the value of a map key, which begins as the zero value. The pointer is valid inside f only.
func (m *AgingMap[K, MK, V]) Update(mk MK, f func(*V)) {
	m.Map.Update(mk, func(a *aged[V]) {
		if m.k.over(a.Used, m.life) {
			*a = aged[V]{}
		}
		a.Used = m.k.ages.now
		f(&a.Value)
	})
}

// Len is the number of entries of the key in hand. It looks at each: some may be over, which Keys has, too, and Get has not.
func (m *AgingMap[K, MK, V]) Len() (n int) {
	names := m.Keys()
	for _, mk := range names {
		if p, h := m.entry(m.k.key, m.k.hash, mk); !m.isOver(m.t.find(&p, h)) {
			n++
		}
	}
	m.Done(names)
	return n
}

// used is where an entry's time is: behind its place.
func (m *AgingMap[K, MK, V]) used(slot unsafe.Pointer) *int64 {
	return m.s.used(slot, unsafe.Offsetof(placed[aged[V]]{}.Value))
}

func (m *AgingMap[K, MK, V]) isOver(slot unsafe.Pointer) bool {
	return m.k.over(*m.used(slot), m.life)
}

func (m *AgingMap[K, MK, V]) ttl() TTL     { return m.life }
func (m *AgingMap[K, MK, V]) entries() int { return m.t.count }
func (m *AgingMap[K, MK, V]) slots() int   { return m.t.passLength() }

func (m *AgingMap[K, MK, V]) expire(budget int) (looked int) {
	looked = m.t.scan(&m.cursor, budget, func(slot unsafe.Pointer, hash uint64) {
		if m.isOver(slot) {
			m.gone = append(m.gone, keyed[pair[K, MK]]{m.s.l.keyAt(m.s.space, slot, hash), hash})
		}
	})
	for _, g := range m.gone {
		hash := m.k.hasher(g.key.Key)
		last := m.sizes.of(&g.key.Key, hash) - 1
		if err := m.remove(g.key.Key, hash, g.key.Map); err != nil {
			m.k.fail(m.name, err)
			break
		}
		m.t.shrink(g.hash)
		m.order.t.shrink(spread(m.k, last, hash))
		m.sizes.t.shrink(hash)
	}
	clear(m.gone)
	m.gone = m.gone[:0]
	return looked
}

func (m *AgingMap[K, MK, V]) table() checkpoint.Table {
	t := m.Map.table()
	t.Value = agedSchema(t.Value)
	return t
}

func (m *AgingMap[K, MK, V]) begin(s *saving, table int, after, upto int64) {
	rows := newRows(&m.io, &m.k.c, s, table, checkpoint.Maps)
	all := rows.begin(&m.removed, s, after, upto)
	over := m.k.overNow(m.life)
	m.t.begin(s, all, newCaptured(m.s.l, m.s.codec, &m.k.c, func(group int, _ int64, name *pair[K, MK], x *placed[aged[V]]) {
		if !s.full[group] || !over(x.Value.Used) {
			rows.add(group, 0, name, &x.Value)
		}
	}), 0)
}

func (m *AgingMap[K, MK, V]) restore(group int, c checkpoint.Chunk) error {
	if c.Op == checkpoint.Clear {
		return m.Map.restore(group, c)
	}
	hashOf := func(p *pair[K, MK]) uint64 { return m.k.hasher(p.Key) }
	return m.io.entries(hashOf, m.k.groupOf, group, c, func(_ int64, p *pair[K, MK], hash uint64, a *aged[V]) error {
		if c.Op == checkpoint.Delete || m.k.over(a.Used, m.life) {
			return m.Map.remove(p.Key, hash, p.Map)
		}
		return m.update(p.Key, hash, p.Map, func(x *aged[V]) { *x = *a })
	})
}
