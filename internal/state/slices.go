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
	k      *Keyed[K]
	name   string
	s      *store[K, A]
	tables map[int64]*table[K]
	order  []int64   // the slices that have a table, ascending
	last   int64     // slice of lastT: records of one slice come together
	lastT  *table[K] // nil: none
	io     columns[K, A]
}

// NewSlices declares slices under a name that is unique among the states of k. An A that cannot be encoded is an error that names the field.
func NewSlices[K comparable, A any](k *Keyed[K], name string) (*Slices[K, A], error) {
	s, err := newStore[K, A](&k.c)
	if err != nil {
		return nil, fmt.Errorf("state %q of operator %s: %w", name, k.c.Name, err)
	}
	x := &Slices[K, A]{k: k, name: name, s: s, tables: map[int64]*table[K]{}, io: columns[K, A]{keys: k.codec, vals: s.codec}}
	return x, k.add(x)
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
		t := x.tables[first]
		for g := x.k.c.From; g < x.k.c.To; g++ {
			if err := t.each(g, func(slot unsafe.Pointer, hash uint64) error {
				key := x.s.l.keyAt(x.s.space, slot, hash)
				if !x.s.l.boxed {
					return fn(first, key, hash, x.s.inline(slot))
				}
				a := x.s.load(slot)
				return fn(first, key, hash, &a)
			}); err != nil {
				return err
			}
		}
		x.drop(first)
	}
	return nil
}

func (x *Slices[K, A]) drop(first int64) {
	x.tables[first].drop()
	delete(x.tables, first)
	x.order = slices.Delete(x.order, 0, 1)
	x.lastT = nil
	x.s.space.trim()
}

// First is the earliest slice that has an entry, if there is one.
func (x *Slices[K, A]) First() (int64, bool) {
	if len(x.order) == 0 {
		return 0, false
	}
	return x.order[0], true
}

// Len is the number of entries in all slices.
func (x *Slices[K, A]) Len() int {
	n := 0
	for _, t := range x.tables {
		n += t.count
	}
	return n
}

func (x *Slices[K, A]) ahead(*[ahead]uint64, []uint64) {} // which slice is not known yet

func (x *Slices[K, A]) table() checkpoint.Table {
	return checkpoint.Table{Name: x.name, Kind: checkpoint.Slices, Key: x.k.codec.Schema().String(), Value: x.s.codec.Schema().String()}
}

func (x *Slices[K, A]) snapshot(w *checkpoint.FileWriter, table, group int) {
	out := x.io.writer(w, table, checkpoint.Slices)
	for _, slice := range x.order {
		x.tables[slice].each(group, func(slot unsafe.Pointer, hash uint64) error {
			out.add(slice, x.s.l.keyView(x.s.space, slot, hash), x.s.load(slot))
			return nil
		})
	}
	out.flush()
}

func (x *Slices[K, A]) restore(group int, c checkpoint.Chunk) error {
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
