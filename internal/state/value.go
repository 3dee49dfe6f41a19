package state

import (
	"fmt"
	"unsafe"

	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
)

// Value is one V per key.
type Value[K comparable, V any] struct {
	k       *Keyed[K]
	name    string
	s       *store[K, V]
	t       *table[K]
	io      columns[K, V]
	removed removals[K]
	run     places[K]

	recent *recent[K, V] // boxed values that were in hand lately; nil: none are kept
	plain  bool          // a V lies in its slot as it is,
	off    uintptr       // here
}

// NewValue declares a value under a name that is unique among the states of k. A V that cannot be encoded is an error that names the field.
func NewValue[K comparable, V any](k *Keyed[K], name string) (*Value[K, V], error) {
	v, err := makeValue[K, V](k, name)
	if err != nil {
		return nil, err
	}
	if v.recent = newRecent(v.s, v.t, func(err error) { k.fail(name, err) }); v.recent != nil {
		k.recents = append(k.recents, v.recent)
	}
	return v, k.add(v)
}

// makeValue is NewValue for what is registered as a part of something else.
func makeValue[K comparable, V any](k *Keyed[K], name string) (*Value[K, V], error) {
	s, err := newStore[K, V](&k.c)
	if err != nil {
		return nil, fmt.Errorf("state %q of operator %s: %w", name, k.c.Name, err)
	}
	v := &Value[K, V]{k: k, name: name, s: s, plain: !s.l.boxed, off: s.l.valOff}
	if v.t, err = newTable(s.l, s.space, &k.c); err != nil {
		s.space.close()
		return nil, fmt.Errorf("state %q of operator %s: %w", name, k.c.Name, err)
	}
	v.t.now = stampOf(k.interval)
	v.run.init(k, v.t)
	k.tell(&v.run)
	v.io = columns[K, V]{keys: k.codec, vals: s.codec}
	return v, nil
}

// Get returns a copy of the value of the key in hand; false: it has none.
func (v *Value[K, V]) Get() (V, bool) {
	if v.recent != nil {
		v.recent.step()
	}
	slot := v.run.find(v.k)
	if slot == nil {
		var zero V
		return zero, false
	}
	if v.recent != nil {
		return v.recent.get(&v.k.key, v.k.hash, *v.s.ref(slot)), true
	}
	return v.s.load(slot), true
}

// Set replaces the value of the key in hand. It keeps a copy.
func (v *Value[K, V]) Set(x V) {
	slot, err := v.upsert()
	switch {
	case err != nil:
	case v.plain:
		*v.s.inline(slot) = x
	case v.recent != nil:
		v.s.one[0] = x
		err = v.recent.set(&v.k.key, v.k.hash, slot, &v.s.one[0])
		clear(v.s.one[:])
	default:
		v.s.one[0] = x
		err = v.s.encode(v.t, &v.k.key, v.k.hash, slot, &v.s.one[0])
		clear(v.s.one[:])
	}
	if err != nil {
		v.k.fail(v.name, err)
	}
}

// Update changes the value of the key in hand, which begins as the zero value. The pointer is valid inside f only.
func (v *Value[K, V]) Update(f func(*V)) {
	if slot := v.run.known(); slot != nil && v.plain && *word(slot)&stampMask == v.t.now {
		f((*V)(unsafe.Add(slot, v.off))) // known, and changed before: nothing is to be done
		return
	}
	v.update(f)
}

func (v *Value[K, V]) update(f func(*V)) {
	slot, err := v.upsert()
	switch {
	case err != nil:
	case v.plain:
		f(v.s.inline(slot))
	case v.recent != nil:
		err = v.recent.update(&v.k.key, v.k.hash, slot, f)
	default:
		err = v.s.change(v.t, &v.k.key, v.k.hash, slot, f)
	}
	if err != nil {
		v.k.fail(v.name, err)
	}
}

// upsert is the slot of the key in hand, whose value is about to change.
func (v *Value[K, V]) upsert() (unsafe.Pointer, error) {
	if v.recent != nil {
		v.recent.step()
	}
	slot, err := v.run.upsert(v.k)
	if err == nil {
		v.t.change(slot, v.k.hash)
	}
	return slot, err
}

// UpdateBatch is Update for each key of a batch, in order, whatever key is in hand; f is told which one, and whether it had no value before.
// hashes are those of keys. It allocates nothing once the keys are known (a V that is not kept as it is allocates what decoding it takes).
func (v *Value[K, V]) UpdateBatch(keys []K, hashes []uint64, f func(i int, x *V, fresh bool)) error {
	return v.UpdateRuns(keys, hashes, func(first int, run *Slots[V]) {
		for i := range run.n {
			f(first+i, run.At(i), run.Fresh(i))
		}
	})
}

// UpdateRuns is UpdateBatch that gives the values of a run of keys at a time; its first is that of key number first of the batch.
func (v *Value[K, V]) UpdateRuns(keys []K, hashes []uint64, f func(first int, run *Slots[V])) error {
	var err error
	if v.recent != nil {
		err = v.recent.updateRuns(keys, hashes, f)
	} else {
		err = v.s.updateRuns(v.t, keys, hashes, f)
	}
	if err != nil {
		v.k.fail(v.name, err)
	}
	return v.k.err
}

// Clear takes the value of the key in hand away.
func (v *Value[K, V]) Clear() {
	if v.recent != nil {
		v.recent.forget(&v.k.key, v.k.hash)
	}
	if _, ok := v.t.remove(&v.k.key, v.k.hash); ok && v.k.removing() {
		v.removed.add(removal[K]{interval: v.k.interval, group: v.k.ownGroup(v.k.hash), key: v.k.key}, v.t.count)
	}
}

// Len is the number of keys that have a value.
func (v *Value[K, V]) Len() int { return v.t.count }

func (v *Value[K, V]) table() checkpoint.Table { return v.io.table(v.name, checkpoint.Values) }

func (v *Value[K, V]) begin(s *saving, table int, after, upto int64) {
	rows := newRows(&v.io, &v.k.c, s, table, checkpoint.Values)
	all := rows.begin(&v.removed, s, after, upto)
	v.t.begin(s, all, newCaptured(v.s.l, v.s.codec, &v.k.c, rows.add), 0)
}

func (v *Value[K, V]) sweep(budget int) int { return v.t.sweep(budget) }

func (v *Value[K, V]) abort() { v.t.forget() }

func (v *Value[K, V]) trim(interval int64) { v.removed.trim(interval) }
func (v *Value[K, V]) restamp()            { v.t.restamp() }

func (v *Value[K, V]) restore(group int, c checkpoint.Chunk) error {
	if c.Op == checkpoint.Clear {
		v.t.empty(group)
		return nil
	}
	return v.io.each(v.k, group, c, func(_ int64, key *K, hash uint64, x *V) error {
		if c.Op == checkpoint.Delete {
			v.t.remove(key, hash)
			return nil
		}
		return v.s.update(v.t, key, hash, func(p *V, _ bool) { *p = *x })
	})
}

func (v *Value[K, V]) bytes() int64 {
	n := v.s.space.bytes()
	if v.recent != nil {
		n += v.recent.bytes()
	}
	return n
}
func (v *Value[K, V]) close() { v.s.space.close() }
