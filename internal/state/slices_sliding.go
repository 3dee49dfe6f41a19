package state

import (
	"math"
	"unsafe"
)

// Sliding is windows of several slices that overlap: a record is folded into one slice, and a window is merged out of its slices when it ends.
//
// What merging costs does not depend on the overlap. Slices come in blocks of one window's length, so a window is the end of one block and the
// beginning of the next, as in van Herk's and Gil and Werman's running extremes. Of the block that is being filled, back has all closed slices
// merged. When a block is full it is merged from its end, once: front has, per key, what is left of the block from the window's first slice on,
// and each slice keeps for each of its keys what comes behind it in the block: when the slice leaves the window, that is what front gets. So an
// entry of a slice is merged into back once, into front once, and put aside once; and a window costs one merge for each key that it has, which
// is given anyway.
//
//	          block n-1             block n
//	| s0 | s1 | s2 | s3 | s4 || s5 | s6 | s7 |  .  .
//	          '---- front ---''---- back ----'
//	          '-------- window of 6 ---------'
//
// Windows of one slice have nothing to merge. Memory is the slices', at most as much again for what comes behind them, and two tables of the keys of one window. Only the slices are in a
// checkpoint; the rest is made of them again.
type Sliding[K comparable, A any] struct {
	*Slices[K, A]
	length  int64 // slices of a window
	step    int64 // windows begin at slices that are multiples of this
	merge   func(a, b *A)
	begun   bool
	closed  int64 // the last closed slice, once begun
	front   derived[K, A]
	back    derived[K, A]
	behind  map[int64]*table[K] // in store behindS
	behindS *store[K, A]
	sum     A // scratch
}

// derived is a table that is made of others and in no checkpoint. Each has its own space, so that one may grow while another is walked.
type derived[K comparable, A any] struct {
	s *store[K, A]
	t *table[K]
}

// NewSliding declares slices of which windows have length, and begin every step. merge folds b, which is later, into a.
func NewSliding[K comparable, A any](k *Keyed[K], name string, length, step int64, merge func(a, b *A)) (*Sliding[K, A], error) {
	raw, err := newSlices[K, A](k, name)
	if err != nil {
		return nil, err
	}
	x := &Sliding[K, A]{Slices: raw, length: length, step: step, merge: merge, behind: map[int64]*table[K]{}}
	for _, s := range []**store[K, A]{&x.front.s, &x.back.s, &x.behindS} {
		if *s, err = newStore[K, A](&k.c); err != nil {
			return nil, err // which is only said of types, that of raw's before
		}
	}
	if err := k.add(x); err != nil || length == 1 {
		return x, err
	}
	if err := x.front.reset(&k.c); err != nil {
		return nil, err
	}
	return x, x.back.reset(&k.c)
}

// reset empties a table.
func (d *derived[K, A]) reset(c *Config) (err error) {
	if d.t != nil {
		if d.t.count == 0 {
			return nil
		}
		d.t.drop()
		d.s.space.trim()
	}
	d.t, err = newTable(d.s.l, d.s.space, c)
	return err
}

// get is the value of a key, or nil; of a boxed one a copy in hold.
func (d *derived[K, A]) get(key *K, hash uint64, hold *A) *A { return d.s.get(d.t, key, hash, hold) }

// get is the value of a key in a table, or nil; of a boxed one a copy in hold.
func (s *store[K, V]) get(t *table[K], key *K, hash uint64, hold *V) *V {
	slot := t.find(key, hash)
	switch {
	case slot == nil:
		return nil
	case !s.l.boxed:
		return s.inline(slot)
	}
	*hold = s.load(slot)
	return hold
}

// each visits the values of a range of key groups; of a boxed one a copy.
func (s *store[K, V]) each(t *table[K], from, to int, visit func(slot unsafe.Pointer, hash uint64, v *V) error) error {
	var v V // of a boxed value: one for all, as visit is given a pointer to it
	for g := from; g < to; g++ {
		if err := t.each(g, func(slot unsafe.Pointer, hash uint64) error {
			if !s.l.boxed {
				return visit(slot, hash, s.inline(slot))
			}
			v = s.load(slot)
			return visit(slot, hash, &v)
		}); err != nil {
			return err
		}
	}
	return nil
}

// walk is store.each over all own groups with keys that are valid inside visit only.
func (x *Sliding[K, A]) walk(s *store[K, A], t *table[K], visit func(key *K, hash uint64, a *A) error) error {
	if t == nil || t.count == 0 {
		return nil
	}
	var key K
	return s.each(t, x.k.c.From, x.k.c.To, func(slot unsafe.Pointer, hash uint64, a *A) error {
		key = s.l.keyView(s.space, slot, hash)
		return visit(&key, hash, a)
	})
}

func blockOf(slice, length int64) int64 {
	b := slice / length
	if slice%length < 0 {
		b--
	}
	return b
}

// last reports whether a window ends with this slice.
func (x *Sliding[K, A]) last(slice int64) bool { return (slice+1-x.length)%x.step == 0 }

// LastWindow is the last slice of the last window that a slice is in; false: it is in none, because windows are further apart than they are long.
func (x *Sliding[K, A]) LastWindow(slice int64) (int64, bool) {
	begin := blockOf(slice, x.step) * x.step // of the last window that begins up to slice
	return begin + x.length - 1, slice < begin+x.length
}

// Close closes all slices up to one and calls fire with each key of each window that ends there, in order of windows. The pointer is valid
// inside fire only, where no other method of x may be called. Slices stay until DropUpTo. MaxInt64 closes whatever has something.
func (x *Sliding[K, A]) Close(upto int64, fire func(last int64, key K, hash uint64, a *A) error) error {
	for !x.begun || x.closed < upto {
		if x.length == 1 || x.front.t.count == 0 && x.back.t.count == 0 { // nothing to slide over what is empty
			next, some := x.First()
			if x.begun {
				next, some = x.After(x.closed)
			}
			if !some || next > upto {
				break
			}
			x.begun, x.closed = true, next-1
		}
		if err := x.closeNext(x.closed+1, fire); err != nil {
			return err
		}
	}
	if upto < math.MaxInt64 && (!x.begun || x.closed < upto) {
		x.begun, x.closed = true, upto
	}
	return x.k.err
}

func (x *Sliding[K, A]) closeNext(slice int64, fire func(last int64, key K, hash uint64, a *A) error) error {
	if x.length == 1 { // a window is a slice
		x.closed = slice
		if !x.last(slice) {
			return nil
		}
		return x.Each(slice, fire)
	}
	begin := blockOf(slice, x.length) * x.length
	if slice == begin {
		if err := x.turn(slice-x.length+1, begin-1); err != nil {
			return err
		}
	}
	x.closed = slice
	if err := x.addTo(&x.back, slice); err != nil {
		return err
	}
	if x.last(slice) {
		if err := x.fire(slice, fire); err != nil {
			return err
		}
	}
	return x.leave(slice - x.length + 1)
}

// addTo merges a slice into what holds earlier ones.
func (x *Sliding[K, A]) addTo(d *derived[K, A], slice int64) error {
	return x.walk(x.s, x.tables[slice], func(key *K, hash uint64, a *A) error {
		return d.s.update(d.t, key, hash, func(sum *A, fresh bool) {
			if fresh {
				*sum = *a
			} else {
				x.merge(sum, a)
			}
		})
	})
}

// turn begins a block: the slices first to last of the one before become front.
func (x *Sliding[K, A]) turn(first, last int64) error {
	if err := x.back.reset(&x.k.c); err != nil {
		return err
	}
	if err := x.front.reset(&x.k.c); err != nil {
		return err
	}
	for slice := range x.behind {
		x.forget(slice)
	}
	for slice := last; slice >= first; slice-- {
		if err := x.prepend(slice); err != nil {
			return err
		}
	}
	return nil
}

// prepend merges a slice into front, before what is there, which it keeps for its keys.
func (x *Sliding[K, A]) prepend(slice int64) error {
	return x.walk(x.s, x.tables[slice], func(key *K, hash uint64, a *A) (err error) {
		x.sum = *a
		if e := x.front.s.update(x.front.t, key, hash, func(rest *A, fresh bool) {
			if !fresh {
				err = x.keep(slice, key, hash, rest)
				x.merge(&x.sum, rest)
			}
			*rest = x.sum
		}); e != nil {
			return e
		}
		return err
	})
}

// keep notes what comes behind a slice for one of its keys.
func (x *Sliding[K, A]) keep(slice int64, key *K, hash uint64, rest *A) (err error) {
	t := x.behind[slice]
	if t == nil {
		if t, err = newTable(x.behindS.l, x.behindS.space, &x.k.c); err != nil {
			return err
		}
		x.behind[slice] = t
	}
	return x.behindS.update(t, key, hash, func(b *A, _ bool) { *b = *rest })
}

func (x *Sliding[K, A]) forget(slice int64) {
	if t := x.behind[slice]; t != nil {
		t.drop()
		delete(x.behind, slice)
		x.behindS.space.trim()
	}
}

// leave takes a slice out of front. One of the block that is being filled is not in it: the block is turned without it.
func (x *Sliding[K, A]) leave(slice int64) error {
	if blockOf(slice, x.length) == blockOf(x.closed, x.length) {
		return nil
	}
	behind := x.behind[slice]
	var hold A
	err := x.walk(x.s, x.tables[slice], func(key *K, hash uint64, _ *A) error {
		var rest *A
		if behind != nil {
			rest = x.behindS.get(behind, key, hash, &hold)
		}
		if rest == nil {
			x.front.t.remove(key, hash)
			return nil
		}
		return x.front.s.update(x.front.t, key, hash, func(a *A, _ bool) { *a = *rest })
	})
	x.forget(slice)
	return err
}

// fire gives the window that ends with a slice.
func (x *Sliding[K, A]) fire(slice int64, fire func(last int64, key K, hash uint64, a *A) error) error {
	f, b := &x.front, &x.back
	from, to := x.k.c.From, x.k.c.To
	var hold A
	var key K
	if f.t.count > 0 {
		if err := f.s.each(f.t, from, to, func(slot unsafe.Pointer, hash uint64, a *A) error {
			key = f.s.l.keyAt(f.s.space, slot, hash)
			x.sum = *a
			if more := b.get(&key, hash, &hold); more != nil {
				x.merge(&x.sum, more)
			}
			return fire(slice, key, hash, &x.sum)
		}); err != nil {
			return err
		}
	}
	if b.t.count == 0 {
		return nil
	}
	return b.s.each(b.t, from, to, func(slot unsafe.Pointer, hash uint64, a *A) error {
		key = b.s.l.keyAt(b.s.space, slot, hash)
		if f.t.count > 0 && f.t.find(&key, hash) != nil {
			return nil
		}
		return fire(slice, key, hash, a)
	})
}

// Next is the earliest slice that is still to be closed and may have something to give, if there is one.
func (x *Sliding[K, A]) Next() (int64, bool) {
	if x.begun && x.length > 1 && x.front.t.count+x.back.t.count > 0 {
		return x.closed + 1, true
	}
	if x.begun {
		return x.After(x.closed)
	}
	return x.First()
}

// Late is Update for a slice that is closed: windows that have not ended yet get the record, too. It looks into as many slices as a window has.
func (x *Sliding[K, A]) Late(slice int64, key K, hash uint64, add func(a *A, fresh bool)) error {
	x.k.Seek(key, hash)
	added := false
	if err := x.Update(slice, func(a *A, fresh bool) { added = fresh; add(a, fresh) }); err != nil {
		return err
	}
	err := x.lateDerived(slice, &key, hash, added, add)
	if err != nil {
		x.k.fail(x.name, err)
	}
	return x.k.err
}

func (x *Sliding[K, A]) lateDerived(slice int64, key *K, hash uint64, added bool, add func(a *A, fresh bool)) error {
	begin := blockOf(x.closed, x.length) * x.length
	first := x.closed - x.length + 2 // of the next window
	switch {
	case slice < first && slice < begin || x.length == 1:
		return nil // has left
	case slice >= begin:
		return x.back.s.update(x.back.t, key, hash, add)
	}
	for s := first; s < slice; s++ {
		t := x.tables[s]
		if t == nil || t.find(key, hash) == nil {
			continue
		}
		var rest, hold A
		fresh := true
		if b := x.behind[s]; b != nil {
			if a := x.behindS.get(b, key, hash, &hold); a != nil {
				rest, fresh = *a, false
			}
		}
		add(&rest, fresh)
		if err := x.keep(s, key, hash, &rest); err != nil {
			return err
		}
	}
	if added {
		if rest, ok := x.merged(slice+1, begin-1, *key, hash); ok {
			if err := x.keep(slice, key, hash, &rest); err != nil {
				return err
			}
		}
	}
	return x.front.s.update(x.front.t, key, hash, add)
}

// Window is what the window that ends with a slice has of a key, made of the slices that are still there.
func (x *Sliding[K, A]) Window(last int64, key K, hash uint64) (A, bool) {
	return x.merged(last-x.length+1, last, key, hash)
}

func (x *Sliding[K, A]) merged(first, last int64, key K, hash uint64) (sum A, some bool) {
	for slice := first; slice <= last; slice++ {
		a, ok := x.Get(slice, key, hash)
		switch {
		case !ok:
		case !some:
			sum, some = a, true
		default:
			x.merge(&sum, &a)
		}
	}
	return sum, some
}

// Resume says, behind a restore, which slices were closed.
func (x *Sliding[K, A]) Resume(closed int64) error {
	x.begun, x.closed = true, closed
	if x.length == 1 {
		return nil
	}
	begin := blockOf(closed, x.length) * x.length
	if err := x.turn(closed-x.length+2, begin-1); err != nil {
		return err
	}
	for slice := begin; slice <= closed; slice++ {
		if err := x.addTo(&x.back, slice); err != nil {
			return err
		}
	}
	return nil
}

// bytes counts what is derived, too.
func (x *Sliding[K, A]) bytes() int64 {
	return x.Slices.bytes() + x.front.s.space.bytes() + x.back.s.space.bytes() + x.behindS.space.bytes()
}

func (x *Sliding[K, A]) close() {
	x.Slices.close()
	x.front.s.space.close()
	x.back.s.space.close()
	x.behindS.space.close()
}
