package state

import (
	"fmt"
	"unsafe"

	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
)

// AgingList is a List whose elements live for a time, each for itself: those appended first are over first, so that what is there of a key is always
// the end of what was appended. Its indices have no gaps, but begin anywhere. With TTL.OnReads a read is a use of the whole list.
type AgingList[K comparable, V any] struct {
	*spaced[K, aged[V]]
	spans  *spans[K]
	life   TTL
	cursor int
	gone   []K // scratch of expire
}

// NewAgingList is NewList with a TTL. Config.Now is its clock.
func NewAgingList[K comparable, V any](k *Keyed[K], name string, t TTL) (*AgingList[K, V], error) {
	x, err := makeSpaced[K, aged[V]](k, name, checkpoint.Lists)
	if err != nil {
		return nil, err
	}
	l := &AgingList[K, V]{spaced: x, life: t}
	if l.spans, err = newSpans(k); err != nil {
		x.close()
		return nil, fmt.Errorf("state %q of operator %s: %w", name, k.c.Name, err)
	}
	x.closing = l.spans.s.space.close
	if err := k.addAging(l, name); err != nil {
		return nil, err
	}
	return l, nil
}

// Append adds an element to the list of the key in hand. It keeps a copy.
func (l *AgingList[K, V]) Append(x V) {
	key, hash := l.k.key, l.k.hash
	p := l.spans.of(&key, hash)
	p.last = max(p.last, l.k.ages.now) // also if the clock of the machine before was ahead: the order of elements is that of their ages
	err := l.update(p.end, key, spread(l.k, p.end, hash), func(a *aged[V], _ bool) { *a = aged[V]{p.last, x} })
	if err == nil {
		p.end, p.count = p.end+1, p.count+1
		err = l.spans.set(&key, hash, p)
	}
	if err != nil {
		l.k.fail(l.name, err)
	}
}

// At gives a copy of an element of the key in hand, 0 to Len - 1; false: it has been cleared. Reading a list begins with its first element.
func (l *AgingList[K, V]) At(i int) (x V, ok bool) {
	key, hash := l.k.key, l.k.hash
	p := l.spans.of(&key, hash)
	if i == 0 && l.life.OnReads {
		l.use(key, hash, p)
	}
	at := p.begin() + int64(i)
	a, ok := l.get(at, key, spread(l.k, at, hash))
	return a.Value, ok && !l.k.over(a.Used, l.life)
}

// use is the use of all elements of a key.
func (l *AgingList[K, V]) use(key K, hash uint64, p span) {
	p.last = max(p.last, l.k.ages.now)
	for at := p.begin(); at < p.end; at++ {
		h := spread(l.k, at, hash)
		slot := l.t.find(&timed[K]{at, key}, h)
		if used := l.s.used(slot, 0); *used != p.last {
			l.t.change(slot, h)
			*used = p.last
		}
	}
	if p.count > 0 {
		if err := l.spans.set(&key, hash, p); err != nil {
			l.k.fail(l.name, err)
		}
	}
}

// Len is the number of elements of the key in hand.
func (l *AgingList[K, V]) Len() int {
	l.takeOld(l.k.key, l.k.hash)
	return int(l.spans.of(&l.k.key, l.k.hash).count)
}

// Clear removes all elements of the key in hand.
func (l *AgingList[K, V]) Clear() {
	key, hash := l.k.key, l.k.hash
	for p := l.spans.of(&key, hash); p.count > 0; {
		p = l.takeFirst(key, hash, p)
	}
}

// takeOld removes the elements of a key that are over.
func (l *AgingList[K, V]) takeOld(key K, hash uint64) {
	for p := l.spans.of(&key, hash); p.count > 0; p = l.takeFirst(key, hash, p) {
		if !l.firstIsOver(key, hash, p) {
			return
		}
	}
}

// takeFirst removes the first element of a key, and returns what is left.
func (l *AgingList[K, V]) takeFirst(key K, hash uint64, p span) span {
	l.remove(p.begin(), key, spread(l.k, p.begin(), hash))
	p.count--
	if err := l.spans.set(&key, hash, p); err != nil {
		l.k.fail(l.name, err)
	}
	return p
}

func (l *AgingList[K, V]) ttl() TTL     { return l.life }
func (l *AgingList[K, V]) entries() int { return l.t.count }
func (l *AgingList[K, V]) slots() int   { return l.t.passLength() }

// expire takes two elements out for each that it finds to be over: always the first ones of that key, as elements before one that is over are, too.
func (l *AgingList[K, V]) expire(budget int) (looked int) {
	looked = l.t.scan(&l.cursor, budget, func(slot unsafe.Pointer, hash uint64) {
		if l.k.over(*l.s.used(slot, 0), l.life) {
			l.gone = append(l.gone, l.s.l.keyAt(l.s.space, slot, hash).Key)
		}
	})
	for _, key := range l.gone {
		hash := l.k.hasher(key)
		for p, n := l.spans.of(&key, hash), 0; n < 2 && p.count > 0 && l.firstIsOver(key, hash, p); n++ {
			first := p.begin()
			p = l.takeFirst(key, hash, p)
			l.t.shrink(spread(l.k, first, hash))
		}
		l.spans.t.shrink(hash)
	}
	clear(l.gone)
	l.gone = l.gone[:0]
	return looked
}

func (l *AgingList[K, V]) firstIsOver(key K, hash uint64, p span) bool {
	slot := l.t.find(&timed[K]{p.begin(), key}, spread(l.k, p.begin(), hash))
	return l.k.over(*l.s.used(slot, 0), l.life)
}

func (l *AgingList[K, V]) table() checkpoint.Table {
	t := l.spaced.table()
	t.Value = agedSchema(t.Value)
	return t
}

func (l *AgingList[K, V]) begin(s *saving, table int, after, upto int64) {
	rows := newRows(&l.io, &l.k.c, s, table, checkpoint.Lists)
	all := rows.begin(&l.removed, s, after, upto)
	over := l.k.overNow(l.life)
	l.t.begin(s, all, newCaptured(l.s.l, l.s.codec, &l.k.c, func(group int, _ int64, name *timed[K], x *aged[V]) {
		if !s.full[group] || !over(x.Used) {
			rows.add(group, name.At, &name.Key, x)
		}
	}), 0)
}

func (l *AgingList[K, V]) restore(group int, c checkpoint.Chunk) error {
	if c.Op == checkpoint.Clear {
		l.t.empty(group)
		l.spans.t.empty(group)
		return nil
	}
	return l.io.each(l.k, group, c, func(at int64, key *K, hash uint64, a *aged[V]) error {
		name, h := timed[K]{at, *key}, spread(l.k, at, hash)
		p := l.spans.of(key, hash)
		if c.Op == checkpoint.Delete || l.k.over(a.Used, l.life) {
			if _, ok := l.t.remove(&name, h); !ok {
				return nil
			}
			p.count--
			return l.spans.set(key, hash, p)
		}
		p.end, p.last = max(p.end, at+1), max(p.last, a.Used)
		if err := l.s.update(l.t, &name, h, func(x *aged[V], fresh bool) {
			*x = *a
			if fresh {
				p.count++
			}
		}); err != nil {
			return err
		}
		return l.spans.set(key, hash, p)
	})
}

func (l *AgingList[K, V]) bytes() int64 { return l.spaced.bytes() + l.spans.s.space.bytes() }

// spans say which indices a key's list has. They are in no checkpoint: the indices of its elements say it.
type spans[K comparable] struct {
	s *store[K, span]
	t *table[K]
}

// span is the count indices before end; last is when the newest element was used.
type span struct{ end, count, last int64 }

func (p span) begin() int64 { return p.end - p.count }

func newSpans[K comparable](k *Keyed[K]) (*spans[K], error) {
	l, err := newLayout[K](unsafe.Sizeof(span{}), unsafe.Alignof(span{}), false)
	if err != nil {
		return nil, err
	}
	x := &spans[K]{s: &store[K, span]{l: l, space: newSpace(&k.c)}}
	if x.t, err = newTable(l, x.s.space, &k.c); err != nil {
		x.s.space.close()
	}
	return x, err
}

func (x *spans[K]) of(key *K, hash uint64) span {
	if slot := x.t.find(key, hash); slot != nil {
		return *x.s.inline(slot)
	}
	return span{}
}

// set keeps a span; an empty one is forgotten.
func (x *spans[K]) set(key *K, hash uint64, p span) error {
	if p.count == 0 {
		x.t.remove(key, hash)
		return nil
	}
	slot, _, err := x.t.upsert(key, hash)
	if err == nil {
		*x.s.inline(slot) = p
	}
	return err
}
