package state

import (
	"fmt"
	"unsafe"

	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
)

// Timers is a set of times per key. A time set twice for a key is one timer.
//
// The set is a table of (time, key); the order is a heap of (time, hash in the table), which names a timer well enough: what a cancelled one
// leaves in the heap finds nothing in the table when it comes to the top. The hash in the table stays in the key's group, spread over all of it,
// so that many timers of one key are no worse than one timer of many keys.
type Timers[K comparable] struct {
	k       *Keyed[K]
	name    string
	t       *table[timed[K]]
	space   *space
	heap    timerHeap
	io      columns[K, struct{}]
	removed removals[K]
}

// timed is the key of the set. Its codec is not used: in a checkpoint time and key are two columns.
type timed[K comparable] struct {
	At  int64
	Key K
}

// NewTimers declares timers under a name that is unique among the states of k.
func NewTimers[K comparable](k *Keyed[K], name string) (*Timers[K], error) {
	fail := func(err error) (*Timers[K], error) {
		return nil, fmt.Errorf("timers %q of operator %s: %w", name, k.c.Name, err)
	}
	l, err := newLayout[timed[K]](0, 1, false)
	if err != nil {
		return fail(err)
	}
	t := &Timers[K]{k: k, name: name, space: newSpace(&k.c), heap: newTimerHeap(&k.c), io: columns[K, struct{}]{keys: k.codec}}
	if t.t, err = newTable(l, t.space, &k.c); err != nil {
		t.close()
		return fail(err)
	}
	t.t.now = stampOf(k.interval)
	return t, k.add(t)
}

// hashOf is the hash of a timer in the table: in the range of the key's group.
func (t *Timers[K]) hashOf(at int64, hash uint64) uint64 { return spread(t.k, at, hash) }

// Set sets a timer for the key in hand.
func (t *Timers[K]) Set(at int64) {
	if err := t.set(at, t.k.key, t.k.hash); err != nil {
		t.k.fail(t.name, err)
	}
}

func (t *Timers[K]) set(at int64, key K, hash uint64) error {
	h := t.hashOf(at, hash)
	_, fresh, err := t.t.upsert(&timed[K]{at, key}, h)
	if err == nil && fresh {
		err = t.heap.push(timer{at, h})
	}
	return err
}

// Cancel takes a timer of the key in hand away; one that is not set is no error.
func (t *Timers[K]) Cancel(at int64) {
	t.remove(timed[K]{at, t.k.key}, t.hashOf(at, t.k.hash))
	t.forget()
}

// remove takes a timer away. One that was set in the present interval is in no snapshot.
func (t *Timers[K]) remove(x timed[K], hash uint64) {
	if stamp, ok := t.t.remove(&x, hash); ok && stamp != t.t.now && t.k.removing() {
		t.removed.add(removal[K]{interval: t.k.interval, space: x.At, group: t.k.ownGroup(hash), key: x.Key}, t.t.count)
	}
}

// forget makes the heap anew when most of it is of cancelled timers, so that it takes no more than in proportion.
func (t *Timers[K]) forget() {
	if n := t.heap.n; n < 1024 || n < 4*t.t.count {
		return
	}
	t.heap.n = 0
	for g := t.k.c.From; g < t.k.c.To; g++ {
		t.t.each(g, func(slot unsafe.Pointer, hash uint64) error {
			t.heap.append(timer{t.t.l.keyAt(t.space, slot, hash).At, hash})
			return nil
		})
	}
	t.heap.order()
}

// Next is the earliest time that is set, if any is.
func (t *Timers[K]) Next() (int64, bool) {
	for t.heap.n > 0 {
		top := t.heap.top()
		if t.named(top) != nil {
			return top.at, true
		}
		t.heap.pop()
	}
	return 0, false
}

// Due takes away all timers up to a time, in the order of their times, and calls fire with each, its key in hand. fire may set and cancel
// timers; those that are due are fired in the same call. After an error of fire the timers that it was not called with are still set.
func (t *Timers[K]) Due(upto int64, fire func(key K, hash uint64, at int64) error) error {
	t.k.tick()
	for t.heap.n > 0 && t.heap.top().at <= upto {
		top := t.heap.top()
		slot := t.named(top)
		if slot == nil {
			t.heap.pop()
			continue
		}
		// The heap's entry stays until the table has no more of its name: hashes of two timers may be equal.
		due := t.t.l.keyAt(t.space, slot, top.hash)
		t.remove(due, top.hash)
		hash := t.k.hasher(due.Key)
		t.k.Seek(due.Key, hash)
		if err := fire(due.Key, hash, due.At); err != nil {
			return err
		}
	}
	return nil
}

// named finds a slot of the set by what the heap knows.
func (t *Timers[K]) named(x timer) (found unsafe.Pointer) {
	p := t.t.dir[t.t.index(x.hash)]
	base := t.space.at(uint64(p.line) * lineSize)
	for i := t.t.l.home(x.hash, p.slots); ; {
		slot := t.t.slot(base, i)
		w := *word(slot)
		if w == 0 {
			return nil
		}
		if w^wordOf(x.hash) <= stampMask && t.t.l.keyAt(t.space, slot, x.hash).At == x.at {
			return slot
		}
		if i++; i == p.slots {
			i = 0
		}
	}
}

// Len is the number of timers that are set.
func (t *Timers[K]) Len() int { return t.t.count }

func (t *Timers[K]) table() checkpoint.Table { return t.io.table(t.name, checkpoint.Timers) }

func (t *Timers[K]) begin(s *saving, table int, after, upto int64) {
	rows := newRows(&t.io, &t.k.c, s, table, checkpoint.Timers)
	all := rows.begin(&t.removed, s, after, upto)
	t.t.begin(s, all, newCaptured[timed[K], struct{}](t.t.l, nil, &t.k.c, func(group int, _ int64, x *timed[K], none *struct{}) {
		rows.add(group, x.At, &x.Key, none)
	}), 0)
}

func (t *Timers[K]) sweep(budget int) int { return t.t.sweep(budget) }

func (t *Timers[K]) abort() { t.t.forget() }

func (t *Timers[K]) trim(interval int64) { t.removed.trim(interval) }
func (t *Timers[K]) restamp()            { t.t.restamp() }

func (t *Timers[K]) restore(group int, c checkpoint.Chunk) error {
	if c.Op == checkpoint.Clear {
		t.t.empty(group)
		return nil
	}
	return t.io.each(t.k, group, c, func(at int64, key *K, hash uint64, _ *struct{}) error {
		if c.Op == checkpoint.Delete {
			t.t.remove(&timed[K]{at, *key}, t.hashOf(at, hash))
			return nil
		}
		return t.set(at, *key, hash)
	})
}

func (t *Timers[K]) bytes() int64 { return t.space.bytes() + t.heap.bytes() }

func (t *Timers[K]) close() {
	t.space.close()
	t.heap.close()
}
