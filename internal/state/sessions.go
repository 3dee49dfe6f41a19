package state

import (
	"fmt"
	"math"
	"unsafe"
)

// Sessions is, per key, records that follow each other within a gap, folded into one A per session.
//
// The newest session of a key, which nearly every record belongs to, is a value of the key: one lookup per record. What is older and has not been
// dropped yet lies in a table by (id, key), as a list from the newest on: a session's id is where it began when it was put there, and Prev is the
// id of the one before. Sessions of a key do not touch, so a session covers its id for as long as it lives, and two never have the same; they end
// in the order in which they begin, so what is dropped is the end of the list, and a Prev that leads nowhere is that end.
//
// Each session has one place in a heap, by its Due. When that comes and the session has been extended meanwhile, it is put back: a record that
// extends a session does not touch the heap. What a heap names and no session has as its Due is of a session that was merged into another.
type Sessions[K comparable, A any] struct {
	k    *Keyed[K]
	gap  int64
	keep int64 // how long a session stays behind its end, for records that are late
	now  int64 // the watermark
	// Reached is how far sessions of a key by its hash had been given; not less than the watermark. nil: up to the watermark.
	Reached func(hash uint64) int64
	newest  *Value[K, Session[A]]
	older   *spaced[K, Session[A]]
	heap    timerHeap // of newest, by its hashes
	olderH  timerHeap // of older, by its hashes
	f       Folding[K, A]
	run     func(first int, run *Slots[Session[A]])

	// The call in hand.
	ending Session[A] // the session whose time has come: Fire is given a pointer to it
	from   int        // number in the batch of the run's first key
	times  []int64
	keys   []K
	hashes []uint64
	err    error
}

// Session is one session: the time of its first record, that of its last and the gap, and what they were folded into.
type Session[A any] struct {
	Begin, End int64
	Prev       int64 // id of the session before; noSession: none
	Due        int64 // up to its last moment: then it is given; beyond it: it has been given, and is dropped then
	A          A
}

const noSession = math.MinInt64

// Folding is what Sessions does with records and sessions. None of its functions may use the state.
type Folding[K comparable, A any] struct {
	Add   func(i int, a *A, fresh bool) // record i of the batch
	Merge func(a, b *A)                 // folds b, which is later, into a
	Late  func(i int) error             // record i belongs to no session that is still there
	Fire  func(key K, hash uint64, s *Session[A]) error
}

// NewSessions declares sessions under a name that is unique among the states of k.
func NewSessions[K comparable, A any](k *Keyed[K], name string, gap, keep int64, f Folding[K, A]) (*Sessions[K, A], error) {
	x := &Sessions[K, A]{k: k, gap: gap, keep: keep, now: math.MinInt64, f: f, heap: newTimerHeap(&k.c), olderH: newTimerHeap(&k.c)}
	x.run = x.foldRun
	var err error
	if x.newest, err = NewValue[K, Session[A]](k, name); err != nil {
		return nil, err
	}
	if x.older, err = newSpaced[K, Session[A]](k, name+": older"); err != nil {
		return nil, err
	}
	x.older.closing = func() { x.heap.close(); x.olderH.close() }
	return x, nil
}

// last is the last moment of a record that a session would still take, which is its end: the watermark that gives it. At a nanosecond less such a
// record may come yet, and would be alone or not as the timing is.
func (s *Session[A]) last() int64 { return s.End }

// given reports whether a session has been given already: it only waits for what is late.
func (s *Session[A]) given() bool { return s.Due > s.last() }

// until is the moment at which a session that ends then is dropped.
func (x *Sessions[K, A]) until(last int64) int64 {
	if last > math.MaxInt64-x.keep {
		return math.MaxInt64
	}
	return last + x.keep
}

// reached is how far sessions of a key have been given.
func (x *Sessions[K, A]) reached(hash uint64) int64 {
	if x.Reached == nil {
		return x.now
	}
	return x.Reached(hash)
}

// late reports whether a session that began and ended with a record at this time would be gone.
func (x *Sessions[K, A]) late(at int64, hash uint64) bool {
	return x.until(at+x.gap) <= x.reached(hash)
}

// Add folds a batch of records. hashes are those of keys. It allocates nothing once the keys are known.
func (x *Sessions[K, A]) Add(times []int64, keys []K, hashes []uint64) error {
	for from := 0; from < len(times) && x.err == nil; {
		upto := from
		for upto < len(times) && !x.late(times[upto], hashes[upto]) {
			upto++
		}
		if upto > from {
			x.from, x.times, x.keys, x.hashes = from, times[from:upto], keys[from:upto], hashes[from:upto]
			if err := x.newest.UpdateRuns(x.keys, x.hashes, x.run); err != nil {
				return err
			}
		}
		for ; upto < len(times) && x.late(times[upto], hashes[upto]) && x.err == nil; upto++ {
			x.err = x.addLate(upto, times[upto], keys[upto], hashes[upto])
		}
		from = upto
	}
	x.times, x.keys, x.hashes = nil, nil, nil
	return x.outcome()
}

// outcome gives the error of a call.
func (x *Sessions[K, A]) outcome() (err error) {
	err, x.err = x.err, nil
	if err == nil {
		err = x.k.err
	}
	return err
}

// addLate folds a record that makes no session of its own: if there is none that it belongs to, it is left out.
func (x *Sessions[K, A]) addLate(i int, at int64, key K, hash uint64) error {
	if x.newest.t.find(&key, hash) == nil {
		return x.f.Late(i)
	}
	err := error(nil)
	if e := x.newest.s.update(x.newest.t, &key, hash, func(s *Session[A], _ bool) { err = x.fold(i, at, key, hash, s) }); e != nil {
		return e
	}
	return err
}

// foldRun folds a run of the batch in hand.
func (x *Sessions[K, A]) foldRun(first int, run *Slots[Session[A]]) {
	if x.err != nil {
		return
	}
	n, gap, add := run.Len(), x.gap, x.f.Add
	fresh := run.AnyFresh()
	for i, at := range x.times[first : first+n] {
		s := run.At(i)
		if at >= s.Begin && at <= s.End && s.Due <= s.End && s.Begin < s.End { // a fresh one is all zero
			s.End = max(s.End, at+gap)
			add(x.from+first+i, &s.A, false)
			continue
		}
		key, hash := x.keys[first+i], x.hashes[first+i]
		if fresh && run.Fresh(i) {
			x.check(x.start(x.from+first+i, s, at, noSession, key, hash))
			x.check(x.heap.push(timer{s.Due, hash}))
			continue
		}
		x.check(x.fold(x.from+first+i, at, key, hash, s))
	}
}

func (x *Sessions[K, A]) check(err error) {
	if err != nil && x.err == nil {
		x.err = err
	}
}

// start makes a session of one record. If it has ended already, and only stays for what is late, it is given at once.
func (x *Sessions[K, A]) start(i int, s *Session[A], at, prev int64, key K, hash uint64) error {
	*s = Session[A]{Begin: at, End: at + x.gap, Prev: prev, Due: at + x.gap}
	x.f.Add(i, &s.A, true)
	if s.last() > x.reached(hash) {
		return nil
	}
	s.Due = x.until(s.last())
	return x.f.Fire(key, hash, s)
}

// fold folds a record into the session of its key that it belongs to, s being the newest.
func (x *Sessions[K, A]) fold(i int, at int64, key K, hash uint64, s *Session[A]) error {
	switch {
	case at > s.End:
		return x.follow(i, at, key, hash, s)
	case at+x.gap >= s.Begin:
		if err := x.extend(i, at, key, hash, s); err != nil {
			return err
		}
		return x.extended(key, hash, s, &x.heap, hash)
	}
	return x.foldOlder(i, at, key, hash, &s.Prev)
}

// follow begins a session behind the newest, which becomes an older one.
func (x *Sessions[K, A]) follow(i int, at int64, key K, hash uint64, s *Session[A]) error {
	id, due := s.Begin, s.Due
	if err := x.putOlder(id, key, hash, s); err != nil {
		return err
	}
	if err := x.start(i, s, at, id, key, hash); err != nil {
		return err
	}
	if due <= s.Due && !s.given() {
		s.Due = due // which the heap has
		return nil
	}
	return x.heap.push(timer{s.Due, hash})
}

func (x *Sessions[K, A]) putOlder(id int64, key K, hash uint64, s *Session[A]) error {
	h := spread(x.k, id, hash)
	if err := x.older.update(id, key, h, func(o *Session[A], _ bool) { *o = *s }); err != nil {
		return err
	}
	return x.olderH.push(timer{s.Due, h})
}

// extend folds a record into a session that it touches. The session may grow into those before it.
func (x *Sessions[K, A]) extend(i int, at int64, key K, hash uint64, s *Session[A]) error {
	given := s.given()
	s.Begin, s.End = min(s.Begin, at), max(s.End, at+x.gap)
	for s.Prev != noSession {
		h := spread(x.k, s.Prev, hash)
		p, ok := x.older.get(s.Prev, key, h)
		if !ok {
			s.Prev = noSession
			break
		}
		if p.End < s.Begin {
			break
		}
		x.f.Merge(&p.A, &s.A)
		x.older.remove(s.Prev, key, h)
		s.Begin, s.Prev, s.A = p.Begin, p.Prev, p.A
	}
	x.f.Add(i, &s.A, false)
	if given && !s.given() { // its place in the heap is behind its new end
		s.Due = math.MaxInt64
	}
	return nil
}

// extended sees to it that a session that was given before it was extended is given once more: now, or at its new end.
func (x *Sessions[K, A]) extended(key K, hash uint64, s *Session[A], heap *timerHeap, name uint64) error {
	switch {
	case !s.given():
		return nil
	case s.last() <= x.reached(hash):
		return x.f.Fire(key, hash, s)
	}
	s.Due = s.last()
	return heap.push(timer{s.Due, name})
}

// foldOlder folds a record that lies before a session and does not touch it. prev is where that session names the one before.
func (x *Sessions[K, A]) foldOlder(i int, at int64, key K, hash uint64, prev *int64) error {
	id := *prev
	h := spread(x.k, id, hash)
	var p Session[A]
	some := false
	if id != noSession {
		p, some = x.older.get(id, key, h)
	}
	switch {
	case !some || at > p.End: // between the two
		if x.late(at, hash) {
			return x.f.Late(i)
		}
		var s Session[A]
		if !some {
			id = noSession
		}
		if err := x.start(i, &s, at, id, key, hash); err != nil {
			return err
		}
		*prev = at
		return x.putOlder(at, key, hash, &s)
	case at+x.gap >= p.Begin:
		if err := x.extend(i, at, key, hash, &p); err != nil {
			return err
		}
		if err := x.extended(key, hash, &p, &x.olderH, h); err != nil {
			return err
		}
	default:
		before := p.Prev
		if err := x.foldOlder(i, at, key, hash, &p.Prev); err != nil || p.Prev == before {
			return err
		}
	}
	return x.older.update(id, key, h, func(o *Session[A], _ bool) { *o = p })
}

// Advance gives the sessions that end up to now, and drops those that stay no longer.
func (x *Sessions[K, A]) Advance(now int64) error {
	x.now = now
	for x.olderH.n > 0 && x.olderH.top().at <= now && x.err == nil {
		top := x.olderH.top()
		x.olderH.pop()
		x.check(x.dueOlder(top))
	}
	for x.heap.n > 0 && x.heap.top().at <= now && x.err == nil {
		top := x.heap.top()
		x.heap.pop()
		x.check(x.dueNewest(top))
	}
	return x.outcome()
}

func (x *Sessions[K, A]) dueNewest(top timer) error {
	t, s, v := x.newest.t, x.newest.s, &x.ending
	slot := t.named(top.hash, func(slot unsafe.Pointer) bool { *v = s.load(slot); return v.Due == top.at })
	if slot == nil {
		return nil
	}
	key := s.l.keyAt(s.space, slot, top.hash)
	again, err := x.due(key, top.hash, v)
	switch {
	case err != nil:
		return err
	case !again:
		x.k.Seek(key, top.hash)
		x.newest.Clear()
		return nil
	}
	if err := s.update(t, &key, top.hash, func(o *Session[A], _ bool) { o.Due = v.Due }); err != nil {
		return err
	}
	return x.heap.push(timer{v.Due, top.hash})
}

func (x *Sessions[K, A]) dueOlder(top timer) error {
	t, s, v := x.older.t, x.older.s, &x.ending
	slot := t.named(top.hash, func(slot unsafe.Pointer) bool { *v = s.load(slot); return v.Due == top.at })
	if slot == nil {
		return nil
	}
	name := s.l.keyAt(s.space, slot, top.hash)
	again, err := x.due(name.Key, x.k.hasher(name.Key), v)
	switch {
	case err != nil:
		return err
	case !again:
		x.older.remove(name.At, name.Key, top.hash)
		return nil
	}
	if err := x.older.update(name.At, name.Key, top.hash, func(o *Session[A], _ bool) { o.Due = v.Due }); err != nil {
		return err
	}
	return x.olderH.push(timer{v.Due, top.hash})
}

// due looks at a session whose time has come, and reports whether it will come again, at its new Due.
func (x *Sessions[K, A]) due(key K, hash uint64, s *Session[A]) (again bool, err error) {
	if s.last() > x.now {
		s.Due = s.last()
		return true, nil
	}
	if !s.given() {
		if err := x.f.Fire(key, hash, s); err != nil {
			return false, err
		}
	}
	s.Due = x.until(s.last())
	return s.Due > x.now, nil
}

// Resume goes on behind a restore.
func (x *Sessions[K, A]) Resume(now int64) error {
	x.now = now
	x.heap.n, x.olderH.n = 0, 0
	if err := x.newest.s.each(x.newest.t, x.k.c.From, x.k.c.To, func(_ unsafe.Pointer, hash uint64, s *Session[A]) error {
		return x.heap.append(timer{s.Due, hash})
	}); err != nil {
		return err
	}
	if err := x.older.s.each(x.older.t, x.k.c.From, x.k.c.To, func(_ unsafe.Pointer, hash uint64, s *Session[A]) error {
		return x.olderH.append(timer{s.Due, hash})
	}); err != nil {
		return err
	}
	x.heap.order()
	x.olderH.order()
	return nil
}

// Next is the earliest time at which Advance may have something to do, if there is one.
func (x *Sessions[K, A]) Next() (at int64, some bool) {
	for _, h := range []*timerHeap{&x.heap, &x.olderH} {
		if h.n > 0 && (!some || h.top().at < at) {
			at, some = h.top().at, true
		}
	}
	return at, some
}

// Len is the number of sessions.
func (x *Sessions[K, A]) Len() int { return x.newest.t.count + x.older.t.count }

func (s *Session[A]) String() string { return fmt.Sprintf("[%d, %d) %v", s.Begin, s.End, s.A) }
