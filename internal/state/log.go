package state

import (
	"fmt"
	"math"
	"slices"
	"unsafe"

	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
)

// Log is records by key and time: any number of them for a key, added in any order and never changed. It is what joins keep of an input.
//
// A record is a row, in a bucket of time. A bucket is dropped as a whole when its time is over, so that no record needs a timer. A small bucket is one part,
// a large one has many, by ranges of the hash; rows of a part lie one behind another in the order in which they came. So to add one is to write to the end of
// a part, wherever its key is otherwise, and two logs are paired part by part, each small enough for the processor's cache (Pair). A log that is asked for the
// records of a key as they come has an index in each part (Near).
//
// A checkpoint has the rows; a delta those that were added since its base. That a bucket was dropped is in none: whoever drops does so by a time that it
// restores, and drops again.
type Log[K comparable, V any] struct {
	k       *Keyed[K]
	name    string
	space   *space
	io      columns[K, V]
	form    rowForm[K, V]
	grid    Grid
	indexed bool
	buckets map[int64]*bucket
	order   []*bucket // by time
	last    *bucket   // that of the last record, nil: none
	low     uint64    // the upper half of the lowest own hash
	widths  uint64    // of the parts of a large bucket: the reciprocal
	saving  *logSaving[K, V]
	slots   []pairing // scratch of Pair
}

// Grid is how time is cut into cells, the buckets of a log or slices: they are Width long, and one begins at Offset.
type Grid struct{ Width, Offset int64 }

// Of is the number of the cell that a time falls into.
func (g Grid) Of(at int64) int64 {
	at -= g.Offset
	q := at / g.Width
	if at%g.Width < 0 {
		q--
	}
	return q
}

// bucket is the rows of a stretch of time.
type bucket struct {
	number int64
	begin  int64  // the first moment of it
	end    int64  // the last one
	latest int64  // the latest time that a row has
	newest uint32 // the interval that the newest row is of
	rows   int
	parts  []part // one, or partsOfBucket
	widths uint64 // as Log's; 0: there is one part
	left   bool   // the snapshot being taken has not all of it
	over   bool   // dropped, but the snapshot wants it
}

const (
	// A bucket with more rows than this is divided into parts.
	rowsUndivided = 4096
	partsOfBucket = 128
)

// part is pieces of memory with rows, each twice as large as the one before up to a bound:
//
//	0   next   u64   offset of the next piece; 0: none
//	8   size   u32
//	12  used   u32   unless it is the newest
//	16  rows
type part struct {
	first, last uint64 // pieces; 0: there is none
	at, end     uint64 // where the next row comes, and where its piece ends
	rows        int
	index       uint64 // see logindex.go
	slots       uint32
	keys        uint32
}

const (
	pieceHeader   = 16
	smallestPiece = 512
	largestPiece  = 16 << 10 // but for a single row
)

type pieceHead struct {
	next       uint64
	size, used uint32
}

func (x *Log[K, V]) piece(off uint64) *pieceHead { return (*pieceHead)(x.space.at(off)) }

// NewLog declares a log under a name that is unique among the states of k. A V that cannot be encoded is an error that names the field.
func NewLog[K comparable, V any](k *Keyed[K], name string, grid Grid, indexed bool) (*Log[K, V], error) {
	fail := func(err error) (*Log[K, V], error) {
		return nil, fmt.Errorf("state %q of operator %s: %w", name, k.c.Name, err)
	}
	x := &Log[K, V]{k: k, name: name, space: newSpace(&k.c), grid: grid, indexed: indexed, buckets: map[int64]*bucket{}}
	values, err := codec.For[V]()
	if err != nil {
		return fail(err)
	}
	if x.form, err = newRowForm[K, V](values); err != nil {
		return fail(err)
	}
	x.io = columns[K, V]{keys: k.codec, vals: values}
	groups := uint64(k.c.MaxParallelism)
	lowest := func(group int) uint64 { return (uint64(group)<<32 + groups - 1) / groups }
	x.low = lowest(k.c.From)
	x.widths = partsOfBucket << 32 / (lowest(k.c.To) - x.low)
	if err := x.space.ready(); err != nil {
		return fail(err)
	}
	return x, k.add(x)
}

// part is that of a hash.
func (b *bucket) part(low, hash uint64) *part {
	return &b.parts[(hash>>32-low)*b.widths>>32]
}

// has reports whether a time falls into the bucket.
func (b *bucket) has(at int64) bool { return at >= b.begin && at <= b.end }

// of is the bucket of a time, made if there is none.
func (x *Log[K, V]) of(at int64) *bucket {
	if b := x.last; b != nil && b.has(at) {
		return b
	}
	number := x.grid.Of(at)
	b := x.buckets[number]
	if b == nil {
		into := (at - x.grid.Offset) % x.grid.Width
		if into < 0 {
			into += x.grid.Width
		}
		begin := Span(at, -into)
		b = &bucket{number: number, begin: begin, end: Span(begin, x.grid.Width-1), latest: at, parts: make([]part, 1)}
		x.buckets[number] = b
		x.order = slices.Insert(x.order, x.place(number), b)
	}
	x.last = b
	return b
}

// place is that of the first bucket from a number on.
func (x *Log[K, V]) place(number int64) int {
	at, _ := slices.BinarySearchFunc(x.order, number, func(b *bucket, number int64) int {
		switch {
		case b.number < number:
			return -1
		case b.number > number:
			return 1
		}
		return 0
	})
	return at
}

// Add adds a record for each key. hashes are those of keys. It keeps copies.
func (x *Log[K, V]) Add(times []int64, keys []K, hashes []uint64, values []V) error {
	interval := uint32(x.k.interval)
	for i, at := range times {
		if x.indexed && i%ahead == 0 {
			x.ask(times[i:], hashes[i:])
		}
		if err := x.add(x.of(at), at, &keys[i], hashes[i], &values[i], interval); err != nil {
			x.k.fail(x.name, err)
			break
		}
	}
	return x.k.err
}

func (x *Log[K, V]) add(b *bucket, at int64, key *K, hash uint64, v *V, interval uint32) error {
	size := uint64(x.form.head)
	if x.form.lengths {
		n, err := x.form.measure(key, v)
		if err != nil {
			return err
		}
		size = uint64(n)
	}
	p := b.part(x.low, hash)
	if p.end-p.at < size {
		if err := x.extend(p, size); err != nil {
			return err
		}
	}
	off := p.at
	r := (*logRow)(x.space.at(off))
	r.hash, r.at, r.link, r.size, r.interval = hash, at, 0, uint32(size), interval
	x.form.put(unsafe.Pointer(r), key, v)
	p.at += size
	p.rows++
	b.rows++
	b.latest, b.newest = max(b.latest, at), interval
	if x.indexed {
		if err := x.enter(p, off, hash); err != nil {
			return err
		}
	}
	if b.rows == rowsUndivided && len(b.parts) == 1 {
		return x.divide(b)
	}
	return nil
}

// extend gives a part a new piece, with room for a row.
func (x *Log[K, V]) extend(p *part, size uint64) error {
	want := uint64(smallestPiece)
	if p.last != 0 {
		want = min(2*uint64(x.piece(p.last).size), largestPiece)
	}
	if want = max(want, size+pieceHeader); want > math.MaxUint32/2 {
		return fmt.Errorf("a record of %d bytes: one can have %d", size, math.MaxUint32/2-pieceHeader)
	}
	off, got, err := x.space.alloc(int(want), false)
	if err != nil {
		return err
	}
	*x.piece(off) = pieceHead{size: uint32(got)}
	if p.last == 0 {
		p.first = off
	} else {
		h := x.piece(p.last)
		h.next, h.used = off, uint32(p.at-p.last)
	}
	p.last, p.at, p.end = off, off+pieceHeader, off+uint64(got)
	return nil
}

// divide makes many parts of one. The rows stay in their order.
func (x *Log[K, V]) divide(b *bucket) error {
	if len(b.parts) > 1 {
		return nil
	}
	whole := b.parts[0]
	b.parts, b.widths = make([]part, partsOfBucket), x.widths
	var failed error
	x.each(&whole, func(off uint64, from *logRow) bool {
		size := uint64(from.size)
		p := b.part(x.low, from.hash)
		if p.end-p.at < size {
			if failed = x.extend(p, size); failed != nil {
				return false
			}
			from = (*logRow)(x.space.at(off)) // the space may have moved
		}
		to := p.at
		copy(unsafe.Slice((*byte)(x.space.at(to)), size), unsafe.Slice((*byte)(unsafe.Pointer(from)), size))
		p.at += size
		p.rows++
		if x.indexed {
			failed = x.enter(p, to, from.hash)
		}
		return failed == nil
	})
	x.free(&whole)
	return failed
}

// each visits the rows of a part, in their order, until visit says that it is enough. visit may add pieces to other parts.
func (x *Log[K, V]) each(p *part, visit func(off uint64, r *logRow) bool) {
	for piece := p.first; piece != 0; {
		end := x.endOf(p, piece)
		for off := piece + pieceHeader; off < end; {
			r := (*logRow)(x.space.at(off))
			next := off + uint64(r.size)
			if !visit(off, r) {
				return
			}
			off = next
		}
		piece = x.piece(piece).next
	}
}

// endOf is where the rows of a piece end.
func (x *Log[K, V]) endOf(p *part, piece uint64) uint64 {
	if piece == p.last {
		return p.at
	}
	return piece + uint64(x.piece(piece).used)
}

// free gives the memory of a part back.
func (x *Log[K, V]) free(p *part) {
	for piece := p.first; piece != 0; {
		h := *x.piece(piece)
		x.space.release(piece, int(h.size))
		piece = h.next
	}
	if p.slots > 0 {
		x.space.release(p.index, 8*int(p.slots))
	}
	*p = part{}
}

// From is the first bucket from a number on that has something, if there is one.
func (x *Log[K, V]) From(number int64) (int64, bool) {
	at := x.place(number)
	if at == len(x.order) {
		return 0, false
	}
	return x.order[at].number, true
}

// DropBefore drops all buckets before one.
func (x *Log[K, V]) DropBefore(number int64) { x.drop(x.place(number)) }

// DropUpTo drops the buckets that have no record later than a time.
func (x *Log[K, V]) DropUpTo(at int64) {
	n := 0
	for n < len(x.order) && x.order[n].latest <= at {
		n++
	}
	x.drop(n)
}

// drop drops the first n buckets.
func (x *Log[K, V]) drop(n int) {
	if n == 0 {
		return
	}
	for _, b := range x.order[:n] {
		delete(x.buckets, b.number)
		if b.over = true; !b.left {
			x.release(b)
		}
	}
	x.order = slices.Delete(x.order, 0, n)
	x.last = nil
	x.space.trim()
}

func (x *Log[K, V]) release(b *bucket) {
	for i := range b.parts {
		x.free(&b.parts[i])
	}
}

// Len is the number of records.
func (x *Log[K, V]) Len() int {
	n := 0
	for _, b := range x.order {
		n += b.rows
	}
	return n
}

func (x *Log[K, V]) table() checkpoint.Table { return x.io.table(x.name, checkpoint.Logs) }

// trim and restamp have nothing to do: rows know their interval, and nothing is noted of what was dropped.
func (x *Log[K, V]) trim(int64) {}
func (x *Log[K, V]) restamp()   {}

func (x *Log[K, V]) restore(group int, c checkpoint.Chunk) error {
	interval := uint32(x.k.interval)
	return x.io.each(x.k, group, c, func(at int64, key *K, hash uint64, v *V) error {
		return x.add(x.of(at), at, key, hash, v, interval)
	})
}

func (x *Log[K, V]) bytes() int64 { return x.space.bytes() }
func (x *Log[K, V]) close()       { x.space.close() }
