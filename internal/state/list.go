package state

import (
	"fmt"

	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
)

// List is any number of V per key, in the order in which they were appended.
//
// An element is an entry of a table of (index, key), so that appending costs the same whatever the length and a delta has what was appended. How
// long a key's list is stands in a second table, which is in no checkpoint: the indices of a key begin at 0 and have no gaps, so it is the number of
// its entries.
type List[K comparable, V any] struct {
	*spaced[K, V]
	lengths *counts[K]
}

// NewList declares lists under a name that is unique among the states of k. A V that cannot be encoded is an error that names the field.
func NewList[K comparable, V any](k *Keyed[K], name string) (*List[K, V], error) {
	x, err := makeSpaced[K, V](k, name, checkpoint.Lists)
	if err != nil {
		return nil, err
	}
	l := &List[K, V]{spaced: x}
	if l.lengths, err = newCounts(k); err != nil {
		x.close()
		return nil, fmt.Errorf("state %q of operator %s: %w", name, k.c.Name, err)
	}
	x.closing = l.lengths.close
	k.tell(&tails[K, V]{l: l})
	return l, k.add(l)
}

// Append adds an element to the list of the key in hand. It keeps a copy.
func (l *List[K, V]) Append(x V) {
	at := l.lengths.inHand(l.k)
	err := l.update(at, l.k.key, spread(l.k, at, l.k.hash), func(v *V, _ bool) { *v = x })
	if err == nil {
		err = l.lengths.addInHand(l.k, 1)
	}
	if err != nil {
		l.k.fail(l.name, err)
	}
}

// At gives a copy of an element of the key in hand, 0 to Len - 1; false: it has been cleared.
func (l *List[K, V]) At(i int) (V, bool) {
	return l.get(int64(i), l.k.key, spread(l.k, int64(i), l.k.hash))
}

// Len is the number of elements of the key in hand.
func (l *List[K, V]) Len() int { return int(l.lengths.inHand(l.k)) }

// Clear removes all elements of the key in hand.
func (l *List[K, V]) Clear() {
	key, hash := l.k.key, l.k.hash
	n := l.lengths.inHand(l.k)
	if n == 0 {
		return
	}
	for at := range n {
		name, h := timed[K]{at, key}, spread(l.k, at, hash)
		// An element does not change, so what has the stamp of the present interval was appended in it, and is in no snapshot.
		if stamp, ok := l.t.remove(&name, h); ok && stamp != l.t.now && l.k.removing() {
			l.removed.add(removal[K]{interval: l.k.interval, space: at, group: l.k.ownGroup(h), key: key}, l.t.count)
		}
	}
	if err := l.lengths.add(&key, hash, -n); err != nil {
		l.k.fail(l.name, err)
	}
}

func (l *List[K, V]) restore(group int, c checkpoint.Chunk) error {
	if c.Op == checkpoint.Clear {
		l.t.empty(group)
		l.lengths.t.empty(group)
		return nil
	}
	return l.io.each(l.k, group, c, func(at int64, key *K, hash uint64, v *V) error {
		name, h := timed[K]{at, *key}, spread(l.k, at, hash)
		if c.Op == checkpoint.Delete {
			if _, ok := l.t.remove(&name, h); ok {
				return l.lengths.add(key, hash, -1)
			}
			return nil
		}
		added := int64(0)
		if err := l.s.update(l.t, &name, h, func(p *V, fresh bool) {
			*p = *v
			if fresh {
				added = 1
			}
		}); err != nil {
			return err
		}
		return l.lengths.add(key, hash, added)
	})
}

func (l *List[K, V]) bytes() int64 { return l.spaced.bytes() + l.lengths.bytes() }

// counts are numbers above 0 by key, which are not in checkpoints.
type counts[K comparable] struct {
	s   *store[K, int64]
	t   *table[K]
	run places[K]
}

func newCounts[K comparable](k *Keyed[K]) (*counts[K], error) {
	s, err := newStore[K, int64](&k.c)
	if err != nil {
		return nil, err
	}
	c := &counts[K]{s: s}
	if c.t, err = newTable(s.l, s.space, &k.c); err != nil {
		s.space.close()
		return nil, err
	}
	c.run.init(k, c.t)
	return c, nil
}

// inHand is of for the key in hand.
func (c *counts[K]) inHand(k *Keyed[K]) int64 {
	if slot := c.run.find(k); slot != nil {
		return *c.s.inline(slot)
	}
	return 0
}

// addInHand adds n, 0 or more, to the count of the key in hand.
func (c *counts[K]) addInHand(k *Keyed[K], n int64) error {
	if n == 0 {
		return nil
	}
	slot, err := c.run.upsert(k)
	if err == nil {
		*c.s.inline(slot) += n
	}
	return err
}

func (c *counts[K]) of(key *K, hash uint64) int64 {
	if slot := c.t.find(key, hash); slot != nil {
		return *c.s.inline(slot)
	}
	return 0
}

// add changes a count; one that comes to 0 is forgotten.
func (c *counts[K]) add(key *K, hash uint64, n int64) error {
	if n == 0 {
		return nil
	}
	slot, _, err := c.t.upsert(key, hash)
	if err != nil {
		return err
	}
	x := c.s.inline(slot)
	if *x += n; *x == 0 {
		c.t.remove(key, hash)
	}
	return nil
}

func (c *counts[K]) bytes() int64 { return c.s.space.bytes() }
func (c *counts[K]) close()       { c.s.space.close() }
