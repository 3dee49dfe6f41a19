package state

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
)

// Slices is one A per slice of time and key: what windows are made of. Each slice has a table of its own, so that a slice that is over is given
// as a whole and dropped as a whole, and no key needs a timer.
type Slices[K comparable, A any] struct {
	k       *Keyed[K]
	name    string
	s       *store[K, A]
	tables  map[int64]*table[K]
	order   []int64   // the slices that have a table, ascending
	last    int64     // slice of lastT: records of one slice come together
	lastT   *table[K] // nil: none
	io      columns[K, A]
	removed removals[K]
	left    []*sliceTable[K] // tables that the snapshot being taken has not all of, in order
}

// sliceTable is a slice's table for a snapshot.
type sliceTable[K comparable] struct {
	t    *table[K]
	over bool // the slice is dropped: the table goes when it is saved
}

// NewSlices declares slices under a name that is unique among the states of k. An A that cannot be encoded is an error that names the field.
func NewSlices[K comparable, A any](k *Keyed[K], name string) (*Slices[K, A], error) {
	x, err := newSlices[K, A](k, name)
	if err != nil {
		return nil, err
	}
	return x, k.add(x)
}

// newSlices makes slices that nobody knows yet.
func newSlices[K comparable, A any](k *Keyed[K], name string) (*Slices[K, A], error) {
	s, err := newStore[K, A](&k.c)
	if err != nil {
		return nil, fmt.Errorf("state %q of operator %s: %w", name, k.c.Name, err)
	}
	return &Slices[K, A]{k: k, name: name, s: s, tables: map[int64]*table[K]{}, io: columns[K, A]{keys: k.codec, vals: s.codec}}, nil
}

// of is the table of a slice, made if there is none.
func (x *Slices[K, A]) of(slice int64) (*table[K], error) {
	if x.lastT != nil && x.last == slice {
		return x.lastT, nil
	}
	t := x.tables[slice]
	if t == nil {
		var err error
		if t, err = newTable(x.s.l, x.s.space, &x.k.c); err != nil {
			return nil, err
		}
		t.now = stampOf(x.k.interval)
		x.tables[slice] = t
		at, _ := slices.BinarySearch(x.order, slice)
		x.order = slices.Insert(x.order, at, slice)
	}
	x.last, x.lastT = slice, t
	return t, nil
}

// Update changes the A of a slice and the key in hand; a fresh one is zero. The pointer is valid inside f only.
func (x *Slices[K, A]) Update(slice int64, f func(a *A, fresh bool)) error {
	t, err := x.of(slice)
	if err == nil {
		err = x.s.update(t, &x.k.key, x.k.hash, f)
	}
	if err != nil {
		x.k.fail(x.name, err)
	}
	return x.k.err
}

// UpdateBatch is Update for each key of a batch whose records are all of one slice, in order, whatever key is in hand; f is told which one it
// is. hashes are those of keys. It allocates nothing once slice and keys are known (an A that is not kept as it is allocates what decoding it
// takes).
func (x *Slices[K, A]) UpdateBatch(slice int64, keys []K, hashes []uint64, f func(i int, a *A, fresh bool)) error {
	t, err := x.of(slice)
	if err == nil {
		err = x.s.updateBatch(t, keys, hashes, f)
	}
	if err != nil {
		x.k.fail(x.name, err)
	}
	return x.k.err
}

// UpdateRuns is UpdateBatch that gives the values of a run of keys at a time; its first is that of key number first of the batch.
func (x *Slices[K, A]) UpdateRuns(slice int64, keys []K, hashes []uint64, f func(first int, run *Slots[A])) error {
	t, err := x.of(slice)
	if err == nil {
		err = x.s.updateRuns(t, keys, hashes, f)
	}
	if err != nil {
		x.k.fail(x.name, err)
	}
	return x.k.err
}

// FireUpTo gives all slices up to one, in order, each whole and in no order of keys, and drops each after its last key. The pointer is valid
// inside fn only, where no other method of x may be called. After an error of fn the slice that it came from is still there, whole.
func (x *Slices[K, A]) FireUpTo(slice int64, fn func(slice int64, key K, hash uint64, a *A) error) error {
	for len(x.order) > 0 && x.order[0] <= slice {
		first := x.order[0]
		if err := x.Each(first, fn); err != nil {
			return err
		}
		x.drop(first)
	}
	return nil
}

// Each gives one slice in no order of keys. The pointer is valid inside fn only, where no other method of x may be called.
func (x *Slices[K, A]) Each(slice int64, fn func(slice int64, key K, hash uint64, a *A) error) error {
	t := x.tables[slice]
	if t == nil {
		return nil
	}
	return x.s.each(t, x.k.c.From, x.k.c.To, func(slot unsafe.Pointer, hash uint64, a *A) error {
		return fn(slice, x.s.l.keyAt(x.s.space, slot, hash), hash, a)
	})
}

// Get is a copy of the A of a slice and a key; false: there is none.
func (x *Slices[K, A]) Get(slice int64, key K, hash uint64) (a A, ok bool) {
	t := x.tables[slice]
	if t == nil {
		return a, false
	}
	slot := t.find(&key, hash)
	if slot == nil {
		return a, false
	}
	return x.s.load(slot), true
}

// DropUpTo drops all slices up to one.
func (x *Slices[K, A]) DropUpTo(slice int64) {
	for len(x.order) > 0 && x.order[0] <= slice {
		x.drop(x.order[0])
	}
}

func (x *Slices[K, A]) drop(first int64) {
	t := x.tables[first]
	delete(x.tables, first)
	x.order = slices.Delete(x.order, 0, 1)
	x.lastT = nil
	if x.k.removing() {
		x.removed.add(removal[K]{interval: x.k.interval, space: first, dropped: true}, x.Len())
	}
	if t.save == nil {
		t.drop()
		x.s.space.trim()
		return
	}
	for _, l := range x.left { // a snapshot wants it as it is
		if l.t == t {
			l.over = true
		}
	}
}

// First is the earliest slice that has an entry, if there is one.
func (x *Slices[K, A]) First() (int64, bool) {
	if len(x.order) == 0 {
		return 0, false
	}
	return x.order[0], true
}

// After is the earliest slice behind one that has an entry, if there is one.
func (x *Slices[K, A]) After(slice int64) (int64, bool) {
	at, found := slices.BinarySearch(x.order, slice)
	if found {
		at++
	}
	if at == len(x.order) {
		return 0, false
	}
	return x.order[at], true
}

// Len is the number of entries in all slices.
func (x *Slices[K, A]) Len() int {
	n := 0
	for _, t := range x.tables {
		n += t.count
	}
	return n
}

func (x *Slices[K, A]) table() checkpoint.Table { return x.io.table(x.name, checkpoint.Slices) }

func (x *Slices[K, A]) begin(s *saving, table int, after, upto int64) {
	rows := newRows(&x.io, &x.k.c, s, table, checkpoint.Slices)
	all := rows.begin(&x.removed, s, after, upto)
	maker := newCaptured(x.s.l, x.s.codec, &x.k.c, rows.add)
	x.left = x.left[:0]
	for _, slice := range x.order {
		t := x.tables[slice]
		x.left = append(x.left, &sliceTable[K]{t: t})
		t.begin(s, all, maker, slice)
	}
}

func (x *Slices[K, A]) sweep(budget int) int {
	for budget > 0 && len(x.left) > 0 {
		if budget = x.left[0].t.sweep(budget); budget > 0 {
			x.saved(x.left[0])
			x.left = x.left[1:]
		}
	}
	return budget
}

// saved frees a table that only the snapshot wanted.
func (x *Slices[K, A]) saved(l *sliceTable[K]) {
	if l.over {
		l.t.drop()
		x.s.space.trim()
	}
}

func (x *Slices[K, A]) abort() {
	for _, l := range x.left {
		l.t.forget()
		x.saved(l)
	}
	x.left = nil
}

func (x *Slices[K, A]) trim(interval int64) { x.removed.trim(interval) }

func (x *Slices[K, A]) restamp() {
	for _, t := range x.tables {
		t.restamp()
	}
}

func (x *Slices[K, A]) restore(group int, c checkpoint.Chunk) error {
	switch c.Op {
	case checkpoint.Clear:
		for _, t := range x.tables {
			t.empty(group)
		}
		return nil
	case checkpoint.Drop:
		dropped, err := spacesOf(c)
		for _, slice := range dropped {
			if t := x.tables[slice]; t != nil {
				t.empty(group)
			}
		}
		return err
	}
	return x.io.each(x.k, group, c, func(slice int64, key *K, hash uint64, a *A) error {
		if c.Op == checkpoint.Delete {
			if t := x.tables[slice]; t != nil {
				t.remove(key, hash)
			}
			return nil
		}
		t, err := x.of(slice)
		if err != nil {
			return err
		}
		return x.s.update(t, key, hash, func(p *A, _ bool) { *p = *a })
	})
}

func (x *Slices[K, A]) bytes() int64 { return x.s.space.bytes() }
func (x *Slices[K, A]) close()       { x.s.space.close() }
