package state

import (
	"fmt"
	"math"
	"math/bits"
	"unsafe"

	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
)

// spaced is one V per (space, key), all in one table: for spaces that have few keys, where Slices would have a table for each. In a checkpoint it is
// the same. A List is such a table, too: its spaces are indices.
type spaced[K comparable, V any] struct {
	k       *Keyed[K]
	name    string
	kind    checkpoint.TableKind
	s       *store[timed[K], V]
	t       *table[timed[K]]
	io      columns[K, V]
	removed removals[K]
	closing func() // what else goes with it
}

func newSpaced[K comparable, V any](k *Keyed[K], name string) (*spaced[K, V], error) {
	x, err := makeSpaced[K, V](k, name, checkpoint.Slices)
	if err != nil {
		return nil, err
	}
	return x, k.add(x)
}

// makeSpaced is newSpaced for what is registered as a part of something else.
func makeSpaced[K comparable, V any](k *Keyed[K], name string, kind checkpoint.TableKind) (*spaced[K, V], error) {
	s, err := newStore[timed[K], V](&k.c)
	if err != nil {
		return nil, fmt.Errorf("state %q of operator %s: %w", name, k.c.Name, err)
	}
	x := &spaced[K, V]{k: k, name: name, kind: kind, s: s, io: columns[K, V]{keys: k.codec, vals: s.codec}, closing: func() {}}
	if x.t, err = newTable(s.l, s.space, &k.c); err != nil {
		s.space.close()
		return nil, fmt.Errorf("state %q of operator %s: %w", name, k.c.Name, err)
	}
	x.t.now = stampOf(k.interval)
	return x, nil
}

// spread is the hash of a key in one of many spaces: in the range of the key's group, and all over it.
func spread[K comparable](k *Keyed[K], space int64, hash uint64) uint64 {
	groups := uint64(k.c.MaxParallelism)
	group := (hash >> 32) * groups >> 32
	h := codec.Mix(hash ^ codec.Mix(uint64(space)))
	if groups&(groups-1) == 0 { // no division
		width := bits.TrailingZeros64(groups) & 63
		return (group<<32+h>>32)>>width<<32 | h&math.MaxUint32
	}
	low, next := (group<<32+groups-1)/groups, ((group+1)<<32+groups-1)/groups
	return (low+(h>>32)*(next-low)>>32)<<32 | h&math.MaxUint32
}

// get is a copy of a value; false: there is none. Here and below hash is spread's.
func (x *spaced[K, V]) get(space int64, key K, hash uint64) (v V, ok bool) {
	slot := x.t.find(&timed[K]{space, key}, hash)
	if slot == nil {
		return v, false
	}
	return x.s.load(slot), true
}

func (x *spaced[K, V]) update(space int64, key K, hash uint64, f func(v *V, fresh bool)) error {
	return x.s.update(x.t, &timed[K]{space, key}, hash, f)
}

func (x *spaced[K, V]) remove(space int64, key K, hash uint64) {
	if _, ok := x.t.remove(&timed[K]{space, key}, hash); ok && x.k.removing() {
		x.removed.add(removal[K]{interval: x.k.interval, space: space, group: x.k.ownGroup(hash), key: key}, x.t.count)
	}
}

// named finds a slot with this hash that is the right one.
func (t *table[K]) named(hash uint64, right func(slot unsafe.Pointer) bool) unsafe.Pointer {
	p := t.dir[t.index(hash)]
	base := t.space.at(uint64(p.line) * lineSize)
	for i := t.l.home(hash, p.slots); ; {
		slot := t.slot(base, i)
		w := *word(slot)
		if w == 0 {
			return nil
		}
		if w^wordOf(hash) <= stampMask && right(slot) {
			return slot
		}
		if i++; i == p.slots {
			i = 0
		}
	}
}

func (x *spaced[K, V]) table() checkpoint.Table { return x.io.table(x.name, x.kind) }

func (x *spaced[K, V]) begin(s *saving, table int, after, upto int64) {
	rows := newRows(&x.io, &x.k.c, s, table, x.kind)
	all := rows.begin(&x.removed, s, after, upto)
	x.t.begin(s, all, newCaptured(x.s.l, x.s.codec, &x.k.c, func(group int, _ int64, name *timed[K], v *V) {
		rows.add(group, name.At, &name.Key, v)
	}), 0)
}

func (x *spaced[K, V]) sweep(budget int) int { return x.t.sweep(budget) }

func (x *spaced[K, V]) abort() { x.t.forget() }

func (x *spaced[K, V]) trim(interval int64) { x.removed.trim(interval) }
func (x *spaced[K, V]) restamp()            { x.t.restamp() }

func (x *spaced[K, V]) restore(group int, c checkpoint.Chunk) error {
	if c.Op == checkpoint.Clear {
		x.t.empty(group)
		return nil
	}
	return x.io.each(x.k, group, c, func(space int64, key *K, hash uint64, v *V) error {
		name, h := timed[K]{space, *key}, spread(x.k, space, hash)
		if c.Op == checkpoint.Delete {
			x.t.remove(&name, h)
			return nil
		}
		return x.s.update(x.t, &name, h, func(p *V, _ bool) { *p = *v })
	})
}

func (x *spaced[K, V]) bytes() int64 { return x.s.space.bytes() }

func (x *spaced[K, V]) close() {
	x.s.space.close()
	x.closing()
}
