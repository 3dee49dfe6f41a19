package flow

import (
	"fmt"

	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/stream"
)

// combiner stands before the router of an exchange to a window operator, and folds records that belong together before they are sent. It keeps
// nothing for longer than its receivers can do without: partials leave before a watermark that ends their slice, before a barrier (so it has no
// state), before the channel is said to be idle, at the end, and when there are too many. What it holds is of slices that its own watermark has not
// passed, so no receiver takes it for late that would not have taken the records so; records that come later than that go through one by one.
type combiner[K comparable, T, A, R any] struct {
	stream.Base
	next      stream.Input[partial[K, A]]
	node      *node // of the window operator
	key       func(T) K
	hash      func([]uint64, []K)
	a         Aggregator[T, A, R]
	grid      grid
	timeless  bool // windows are not of event time: all is one slice
	clock     bool // they are of the receiver's clock: nothing is held for longer than mostTurns
	watermark int64
	idle      bool // the receivers have been told so and nothing else since: what comes has to be shown to them
	held      partials[K, A]
	trial     trial
	turns     int               // of the task's work since something is held
	hashed    bool              // the router asks for hashes
	weights   *codec.Weights[T] // of records; nil: partials do not grow with them
	weight    []int

	// Scratch of one batch.
	keys   []K
	hashes []uint64
	// unhashed: all records of the batch in hand go through, to a router that does not ask for hashes.
	unhashed bool
	single   stream.Batch[partial[K, A]] // records that are not combined
	lifted   int                         // where single's records begin in the batch in hand
	ones     []A
}

// mostTurns is for how many slices of the task's work, each a batch or less, records wait for others where windows go by the clock. A task that has
// no other work takes them one after the other at once.
const mostTurns = 16

// heavy is how many bytes of records may be in partials that grow with them: a partial must fit into a frame.
const heavy = 256 << 10

func newCombiner[K comparable, T, A, R any](n *node, key func(T) K, a Aggregator[T, A, R], w Window, next stream.Input[partial[K, A]]) (*combiner[K, T, A, R], error) {
	o := &combiner[K, T, A, R]{next: next, node: n, key: key, a: a, watermark: stream.NoTime,
		timeless: w.kind == global || w.processing, clock: w.processing, held: newPartials[K, A](roomFor[K, A]())}
	o.single.Split = -1
	router, asks := next.(interface{ NeedsHashes() bool })
	o.hashed = !asks || router.NeedsHashes()
	if !o.timeless {
		o.grid = gridOf(w)
	}
	var err error
	if o.hash, err = codec.BatchHasher[K](); err != nil {
		return nil, err
	}
	if !fixedSize[A]() {
		c, err := codec.For[T]()
		if err != nil {
			return nil, err
		}
		weights := codec.WeightsOf(c)
		o.weights = &weights
	}
	return o, nil
}

func (o *combiner[K, T, A, R]) clocked() bool { return o.clock }

func (o *combiner[K, T, A, R]) Push(b *stream.Batch[T]) error {
	n := len(b.Values)
	o.keys, o.hashes = keysOf(o.keys, b.Values, o.key), room(o.hashes, n)
	if o.unhashed = !o.hashed && o.trial.passing >= n; !o.unhashed {
		o.hash(o.hashes, o.keys)
	}
	if o.weights != nil {
		o.weight = room(o.weight, n)
		o.weights.Of(o.weight, b.Values)
	}
	for from := 0; from < n; {
		upto, last, err := o.run(b.Times, from, n)
		if err != nil {
			return err
		}
		if err := o.take(b.Values, from, upto, last); err != nil {
			return err
		}
		from = upto
	}
	if err := o.pass(); err != nil {
		return err
	}
	if o.idle {
		return o.send()
	}
	return nil
}

// run finds the records from one on that are of the same slice, and its last moment.
func (o *combiner[K, T, A, R]) run(times []int64, from, n int) (upto int, last int64, err error) {
	if o.timeless {
		return n, stream.NoTime, nil
	}
	at := times[from]
	if at == stream.NoTime {
		return 0, 0, fmt.Errorf("window %s: a record has no event time", o.node.name)
	}
	last = o.grid.last(at)
	begin := last - o.grid.Width + 1
	for upto = from + 1; upto < n && times[upto] >= begin && times[upto] <= last; upto++ {
	}
	return upto, last, nil
}

// take takes the records [from, upto) of the batch in hand, which are of one slice.
func (o *combiner[K, T, A, R]) take(values []T, from, upto int, last int64) error {
	if !o.timeless && last <= o.watermark { // a receiver may have given its windows: it gives them again for each record
		o.lift(values, from, upto, last)
		return nil
	}
	for from < upto {
		if o.trial.passing > 0 {
			k := min(upto-from, o.trial.passing)
			o.lift(values, from, from+k, last)
			o.trial.passed(k)
			from += k
			continue
		}
		if err := o.pass(); err != nil { // those before it come first
			return err
		}
		var err error
		if from, err = o.combine(values, from, upto, last); err != nil {
			return err
		}
	}
	return nil
}

// combine folds records from one on, until no more are to be held; it reports where it has come to.
func (o *combiner[K, T, A, R]) combine(values []T, from, upto int, last int64) (int, error) {
	if o.weights != nil {
		upto = o.affordable(from, upto)
	}
	n := from + o.fold(values[from:upto], o.keys[from:upto], o.hashes[from:upto], last)
	o.held.records += n - from
	if len(o.held.batch.Values) >= o.held.most || o.held.bytes >= heavy {
		return n, o.send()
	}
	return n, nil
}

// affordable is up to where records may be added to what is held.
func (o *combiner[K, T, A, R]) affordable(from, upto int) int {
	for from < upto && o.held.bytes < heavy {
		o.held.bytes += o.weight[from]
		from++
	}
	return from
}

// fold folds records of one slice into what is held, until it is full; it reports how many.
func (o *combiner[K, T, A, R]) fold(values []T, keys []K, hashes []uint64, last int64) int {
	p, add, mix, length := &o.held, o.a.Add, mixOf(last), uint64(max(o.grid.Width, 1))
	keys, hashes = keys[:len(values)], hashes[:len(values)]
	for i, v := range values {
		mixed := hashes[i] ^ mix
		at := int(mixed >> p.shift)
		place := -1
		for {
			e := p.index[at]
			if e == 0 {
				break
			}
			if e^mixed <= placeMask {
				k := int(e&placeMask) - 1
				if behind := uint64(last - p.batch.Times[k]); behind < length && p.batch.Values[k].Key == keys[i] {
					if behind+1 < length {
						p.batch.Times[k]--
					}
					place = k
					break
				}
			}
			at = (at + 1) & (len(p.index) - 1)
		}
		if place >= 0 {
			add(&p.batch.Values[place].A, v)
			continue
		}
		o.one(p.add(at, mixed, hashes[i], last, keys[i]), v)
		if n := len(p.batch.Values); n >= p.most {
			return i + 1
		}
		p.grow(o.last)
	}
	return len(values)
}

// last is the last moment of the slice that a time is in.
func (o *combiner[K, T, A, R]) last(at int64) int64 {
	if o.timeless {
		return at
	}
	return o.grid.last(at)
}

// one makes the zero a what comes of one record.
func (o *combiner[K, T, A, R]) one(a *A, v T) {
	if o.a.New != nil {
		*a = o.a.New()
	}
	o.a.Add(a, v)
}

// lift makes each record an aggregate of its own. It is given records that follow each other, until pass.
func (o *combiner[K, T, A, R]) lift(values []T, from, upto int, last int64) {
	b, n := &o.single, upto-from
	at := len(b.Values)
	if at == 0 {
		o.lifted = from
	}
	b.Values, b.Times = longer(b.Values, n), longer(b.Times, n)
	if !o.unhashed {
		b.Hashes = o.hashes[o.lifted:upto]
	}
	out, times, keys := b.Values[at:], b.Times[at:], o.keys[from:upto]
	for i := range times {
		times[i] = last
	}
	if o.a.ones != nil {
		o.ones = room(o.ones, n)
		o.a.ones(values[from:upto], o.ones)
		for i, a := range o.ones[:len(out)] {
			out[i] = partial[K, A]{keys[i], a}
		}
		return
	}
	for i, v := range values[from:upto] {
		out[i] = partial[K, A]{Key: keys[i]}
		o.one(&out[i].A, v)
	}
}

// longer makes s longer by n, of any content.
func longer[E any](s []E, n int) []E {
	if cap(s)-len(s) < n {
		s = append(make([]E, 0, max(len(s)+n, batchSize)), s...)
	}
	return s[:len(s)+n]
}

// pass sends the records that are not combined.
func (o *combiner[K, T, A, R]) pass() error {
	b := &o.single
	if len(b.Values) == 0 {
		return nil
	}
	err := o.next.Push(b)
	if !o.held.plain {
		clear(b.Values)
	}
	b.Values, b.Times, b.Hashes = b.Values[:0], b.Times[:0], nil
	return err
}

// send sends all that is held.
func (o *combiner[K, T, A, R]) send() error {
	p := &o.held
	o.turns = 0
	if len(p.batch.Values) == 0 {
		return nil
	}
	o.trial.combined(p.records, len(p.batch.Values))
	err := o.next.Push(&p.batch)
	p.empty()
	return err
}

// Watermark goes on behind what it passes.
func (o *combiner[K, T, A, R]) Watermark(at int64) error {
	o.watermark, o.idle = max(o.watermark, at), false
	if at >= o.held.first || at == stream.MaxWatermark {
		if err := o.send(); err != nil {
			return err
		}
	}
	return o.next.Watermark(at)
}

// Idle lets the receivers' watermarks pass this one's, so nothing is held from here on.
func (o *combiner[K, T, A, R]) Idle() error {
	o.idle = true
	if err := o.send(); err != nil {
		return err
	}
	return o.next.Idle()
}

func (o *combiner[K, T, A, R]) SplitEnd(split int32) error { return o.next.SplitEnd(split) }

func (o *combiner[K, T, A, R]) End() error {
	if err := o.send(); err != nil {
		return err
	}
	return o.next.End()
}

// Snapshot sends what is held before the barrier: there is no state.
func (o *combiner[K, T, A, R]) Snapshot(*stream.Snapshot) error { return o.send() }

// Next implements stream.Alarm, for windows that go by the clock: while something is held, each turn counts.
func (o *combiner[K, T, A, R]) Next() (int64, bool) {
	return 0, len(o.held.batch.Values) > 0
}

// Ring implements stream.Alarm.
func (o *combiner[K, T, A, R]) Ring(int64) error {
	if o.turns++; o.turns < mostTurns {
		return nil
	}
	return o.send()
}
