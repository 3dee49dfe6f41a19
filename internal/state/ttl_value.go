package state

import (
	"unsafe"

	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
)

// AgingValue is a Value whose entries live for a time.
type AgingValue[K comparable, V any] struct {
	*Value[K, aged[V]]
	life   TTL
	cursor int
	gone   []keyed[K] // scratch of expire
}

// keyed is a key with its hash.
type keyed[K comparable] struct {
	key  K
	hash uint64
}

// NewAgingValue is NewValue with a TTL. Config.Now is its clock.
func NewAgingValue[K comparable, V any](k *Keyed[K], name string, t TTL) (*AgingValue[K, V], error) {
	in, err := makeValue[K, aged[V]](k, name)
	if err != nil {
		return nil, err
	}
	v := &AgingValue[K, V]{Value: in, life: t}
	if err := k.addAging(v, name); err != nil {
		return nil, err
	}
	return v, nil
}

// Get returns a copy of the value of the key in hand; false: it has none.
func (v *AgingValue[K, V]) Get() (x V, ok bool) {
	slot := v.run.find(v.k)
	if slot == nil || v.isOver(slot) {
		return x, false
	}
	a := v.s.load(slot)
	if v.life.OnReads && a.Used != v.k.ages.now {
		v.t.change(slot, v.k.hash)
		*v.s.used(slot, 0) = v.k.ages.now
	}
	return a.Value, true
}

// Set replaces the value of the key in hand. It keeps a copy.
func (v *AgingValue[K, V]) Set(x V) { v.Value.Set(aged[V]{v.k.ages.now, x}) }

// Update changes the value of the key in hand, which begins as the zero value. The pointer is valid inside f only.
func (v *AgingValue[K, V]) Update(f func(*V)) {
	v.Value.Update(func(a *aged[V]) {
		v.renew(a)
		f(&a.Value)
	})
}

// renew is the use of a value that is about to be written: one that is over begins anew.
func (v *AgingValue[K, V]) renew(a *aged[V]) {
	if v.k.over(a.Used, v.life) {
		*a = aged[V]{}
	}
	a.Used = v.k.ages.now
}

func (v *AgingValue[K, V]) isOver(slot unsafe.Pointer) bool {
	return v.k.over(*v.s.used(slot, 0), v.life)
}

// Len is the number of keys that have a value, those included that are over and not taken out yet.
func (v *AgingValue[K, V]) Len() int { return v.t.count }

func (v *AgingValue[K, V]) ttl() TTL     { return v.life }
func (v *AgingValue[K, V]) entries() int { return v.t.count }
func (v *AgingValue[K, V]) slots() int   { return v.t.passLength() }

func (v *AgingValue[K, V]) expire(budget int) (looked int) {
	looked = v.t.scan(&v.cursor, budget, func(slot unsafe.Pointer, hash uint64) {
		if v.isOver(slot) {
			v.gone = append(v.gone, keyed[K]{v.s.l.keyAt(v.s.space, slot, hash), hash})
		}
	})
	for i := range v.gone {
		v.take(&v.gone[i].key, v.gone[i].hash)
		v.t.shrink(v.gone[i].hash)
	}
	clear(v.gone)
	v.gone = v.gone[:0]
	return looked
}

// take is Clear for a key that is not in hand.
func (v *AgingValue[K, V]) take(key *K, hash uint64) {
	if _, ok := v.t.remove(key, hash); ok && v.k.removing() {
		v.removed.add(removal[K]{interval: v.k.interval, group: v.k.ownGroup(hash), key: *key}, v.t.count)
	}
}

func (v *AgingValue[K, V]) table() checkpoint.Table {
	t := v.Value.table()
	t.Value = agedSchema(t.Value)
	return t
}

func (v *AgingValue[K, V]) begin(s *saving, table int, after, upto int64) {
	rows := newRows(&v.io, &v.k.c, s, table, checkpoint.Values)
	all := rows.begin(&v.removed, s, after, upto)
	over := v.k.overNow(v.life)
	v.t.begin(s, all, newCaptured(v.s.l, v.s.codec, &v.k.c, func(group int, _ int64, key *K, x *aged[V]) {
		if !s.full[group] || !over(x.Used) { // a delta has also what is over: its base may have it
			rows.add(group, 0, key, x)
		}
	}), 0)
}

func (v *AgingValue[K, V]) restore(group int, c checkpoint.Chunk) error {
	if c.Op == checkpoint.Clear {
		v.t.empty(group)
		return nil
	}
	return v.io.each(v.k, group, c, func(_ int64, key *K, hash uint64, x *aged[V]) error {
		if c.Op == checkpoint.Delete || v.k.over(x.Used, v.life) {
			v.t.remove(key, hash)
			return nil
		}
		return v.s.update(v.t, key, hash, func(p *aged[V], _ bool) { *p = *x })
	})
}
