package flow

import (
	"math/bits"
	"unsafe"

	"github.com/thalweg-io/thalweg/internal/stream"
)

// partials are the partial aggregates that a combiner holds, in the order of their first records, as the batch that is sent of them. They lie in the
// Go heap: they live for one slice at most, and are sent where they lie.
type partials[K comparable, A any] struct {
	batch stream.Batch[partial[K, A]]
	// index finds the place of a slice and a key, by open addressing. Of an entry the low 16 bits are the place + 1, or 0: none; the others are
	// those of the hash, mixed with the slice: only if they are right the partial is looked at.
	index   []uint64
	all     []uint64 // memory of index
	shift   int      // of a hash to its home
	most    int      // partials
	records int      // that are in them
	bytes   int      // of those, where they can be of any size
	first   int64    // the least last moment of a slice of any
	plain   bool     // no partial has a pointer
}

// How much is held. What is held has to stay in the processor's second cache together with the index, or it costs as much as what it is to save.
const (
	mostPartials  = 16 << 10 // places have 16 bits, of which the index takes half
	leastPartials = 1 << 10
	heldBytes     = 512 << 10 // of partials
	leastIndex    = 1 << 8
	placeMask     = 1<<16 - 1
)

func newPartials[K comparable, A any](most int) partials[K, A] {
	p := partials[K, A]{most: most, first: stream.MaxWatermark, plain: fixedSize[partial[K, A]]()}
	p.batch.Split = -1
	p.resize(leastIndex)
	return p
}

// roomFor is how many partials of a type are held.
func roomFor[K comparable, A any]() int {
	each := int(unsafe.Sizeof(partial[K, A]{})) + 16
	return min(max(1<<(bits.Len(uint(heldBytes/each))-1), leastPartials), mostPartials)
}

// resize makes an empty index of a power of two.
func (p *partials[K, A]) resize(n int) {
	if n > len(p.all) {
		p.all = make([]uint64, n)
	}
	p.index = p.all[:n]
	clear(p.index)
	p.shift = 64 - bits.Len(uint(n-1))
}

// mixOf tells the slices of a key apart, by their last moments.
func mixOf(last int64) uint64 {
	x := uint64(last) * 0x9e3779b97f4a7c15
	return x ^ x>>32
}

// add makes a partial at the place of an index entry that is free, and gives its aggregate, a zero one, until the next add.
func (p *partials[K, A]) add(at int, mixed, hash uint64, last int64, key K) *A {
	p.batch.Values = append(p.batch.Values, partial[K, A]{Key: key})
	p.batch.Times = append(p.batch.Times, last)
	p.batch.Hashes = append(p.batch.Hashes, hash)
	n := len(p.batch.Values)
	p.index[at] = mixed&^placeMask | uint64(n)
	p.first = min(p.first, last)
	return &p.batch.Values[n-1].A
}

// grow makes the index larger if it is half full. lastOf is the last moment of a slice that a time is in.
func (p *partials[K, A]) grow(lastOf func(int64) int64) {
	if 2*len(p.batch.Values) < len(p.index) {
		return
	}
	p.resize(2 * len(p.index))
	for i, hash := range p.batch.Hashes {
		mixed := hash ^ mixOf(lastOf(p.batch.Times[i]))
		at := int(mixed >> p.shift)
		for p.index[at] != 0 {
			at = (at + 1) & (len(p.index) - 1)
		}
		p.index[at] = mixed&^placeMask | uint64(i+1)
	}
}

// empty forgets all. The index keeps the size that was of use.
func (p *partials[K, A]) empty() {
	n := len(p.batch.Values)
	if !p.plain {
		clear(p.batch.Values)
	}
	p.batch.Values, p.batch.Times, p.batch.Hashes = p.batch.Values[:0], p.batch.Times[:0], p.batch.Hashes[:0]
	p.records, p.bytes, p.first = 0, 0, stream.MaxWatermark
	p.resize(max(leastIndex, min(len(p.index), 4<<bits.Len(uint(n)))))
}
