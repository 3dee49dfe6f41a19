// Package bareloop is the measure of the engine's speed: counting keys in a hash table as fast as one goroutine can in plain Go, with nothing
// around it. What the engine does per record is judged as a part of what this loop does on the same machine at the same time.
//
// It owns the loop, the generator of keys that both sides use, and the way in which the two are timed beside each other. It is used by
// benchmarks only and never by the engine.
package bareloop

import (
	"fmt"
	"math/bits"
	"unsafe"

	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/state/offheap"
)

// Generator makes keys 1 to Keys, uniformly: xorshift64 (Marsaglia's 13, 7, 17), scaled by the high word of a product.
type Generator struct {
	X    uint64 // state, never 0
	Keys uint64
}

// NewGenerator starts at a state that both sides of a comparison share.
func NewGenerator(keys uint64) Generator { return Generator{X: 0x2545f4914f6cdd1d, Keys: keys} }

// Next is the next key.
func (g *Generator) Next() uint64 {
	g.X ^= g.X << 13
	g.X ^= g.X >> 7
	g.X ^= g.X << 17
	high, _ := bits.Mul64(g.X, g.Keys)
	return high + 1
}

// slot is an entry of the loop's table; key 0 is none.
type slot struct {
	key   uint64
	count int64
}

// largePages is a size from which a range has huge pages.
const largePages = 4 << 20

// Loop counts keys in a power of two of slots, at least twice as many as keys, in memory with huge pages off the Go heap, by linear probing.
// It belongs to one goroutine.
type Loop struct {
	g      Generator
	memory *offheap.Range
	slots  []slot
	shift  uint // of a hash: its top bits are the index
}

// New makes the loop, with every key in the table already.
func New(keys uint64) (*Loop, error) {
	n := uint64(1) << bits.Len64(2*keys-1)
	l := &Loop{g: NewGenerator(keys), memory: offheap.New("bare loop"), shift: uint(65 - bits.Len64(n))}
	if err := l.memory.Grow(max(int(n*uint64(unsafe.Sizeof(slot{}))), largePages)); err != nil {
		return nil, fmt.Errorf("bare loop over %d keys: %w", keys, err)
	}
	l.slots = unsafe.Slice((*slot)(l.memory.Base()), n)
	for key := range keys {
		l.find(key + 1).key = key + 1
	}
	return l, nil
}

// find is the slot of a key, or the empty one where it belongs.
func (l *Loop) find(key uint64) *slot {
	mask := uint64(len(l.slots) - 1)
	for i := codec.Mix(key) >> l.shift; ; i = (i + 1) & mask {
		if s := &l.slots[i]; s.key == key || s.key == 0 {
			return s
		}
	}
}

// Run counts n records. All of it stands in this one function, and there is no prefetch: that is its definition.
func (l *Loop) Run(n int) {
	x, keys, shift := l.g.X, l.g.Keys, l.shift&63
	base, mask := unsafe.Pointer(unsafe.SliceData(l.slots)), uint64(len(l.slots)-1)
	for range n {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		key, _ := bits.Mul64(x, keys)
		key++
		for i := codec.Mix(key) >> shift; ; i = (i + 1) & mask {
			if s := (*slot)(unsafe.Add(base, i*uint64(unsafe.Sizeof(slot{})))); s.key == key {
				s.count++
				break
			}
		}
	}
	l.g.X = x
}

// RunKeys counts keys that were drawn beforehand, of a distribution that is dearer to draw from than to count. It is Run otherwise.
func (l *Loop) RunKeys(drawn []uint64) {
	shift := l.shift & 63
	base, mask := unsafe.Pointer(unsafe.SliceData(l.slots)), uint64(len(l.slots)-1)
	for _, key := range drawn {
		for i := codec.Mix(key) >> shift; ; i = (i + 1) & mask {
			if s := (*slot)(unsafe.Add(base, i*uint64(unsafe.Sizeof(slot{})))); s.key == key {
				s.count++
				break
			}
		}
	}
}

// Count is how often a key was counted.
func (l *Loop) Count(key uint64) int64 { return l.find(key).count }

// Close gives the memory back.
func (l *Loop) Close() {
	l.memory.Release()
	l.slots = nil
}
