package linebuckets

import (
	"fmt"
	"math/bits"
	"unsafe"

	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/state/bareloop"
	"github.com/thalweg-io/thalweg/internal/state/offheap"
	"github.com/thalweg-io/thalweg/internal/state/prefetch"
)

const (
	// ahead is how many lines are asked for before the first of them is looked at.
	ahead = 64
	// cached is a size of table up to which asking costs more than it gains.
	cached = 1 << 20
	// largePages is a size from which a range has huge pages.
	largePages = 4 << 20
)

// line is a bucket. The hash is a bijection of 64-bit integers, so equal hashes are equal keys; a hash of 0 is an empty slot, and no key has it.
//
//	64 bytes: | hash count | hash count | hash count | hash count |
type line [4]struct {
	hash  uint64
	count int64
}

const lineSize = uint64(unsafe.Sizeof(line{}))

// Source gives the next keys, each from 1.
type Source func(dst []uint64)

// Table counts keys. It belongs to one goroutine.
type Table struct {
	next   Source
	memory *offheap.Range
	lines  []line
	shift  uint // of a hash: its top bits are the index
	fetch  bool
	keys   [ahead]uint64
	at     [ahead]uint64 // offsets of home lines
	hashes [ahead]uint64
}

// New makes a table with the keys 1 to n in it, in at least twice as many slots, that counts what next gives. A nil next is the bare loop's
// generator.
func New(n uint64, next Source) (*Table, error) {
	if next == nil {
		g := bareloop.NewGenerator(n)
		next = func(dst []uint64) {
			own := g
			for i := range dst {
				dst[i] = own.Next()
			}
			g = own
		}
	}
	lines := max(2, uint64(1)<<bits.Len64(2*n-1)/4)
	t := &Table{next: next, memory: offheap.New("line buckets"), shift: uint(65 - bits.Len64(lines)), fetch: lines*lineSize > cached}
	if err := t.memory.Grow(max(int(lines*lineSize), largePages)); err != nil {
		return nil, fmt.Errorf("line buckets of %d keys: %w", n, err)
	}
	t.lines = unsafe.Slice((*line)(t.memory.Base()), lines)
	for key := range n {
		*t.slot(codec.Mix(key + 1)) = 0
	}
	return t, nil
}

// slot is the count of a hash, in the first line with room if it is new.
func (t *Table) slot(hash uint64) *int64 {
	mask := uint64(len(t.lines) - 1)
	for i := hash >> t.shift; ; i = (i + 1) & mask {
		for j := range t.lines[i] {
			if s := &t.lines[i][j]; s.hash == hash || s.hash == 0 {
				s.hash = hash
				return &s.count
			}
		}
	}
}

// Run counts n records. The home lines of 64 are asked for together, and then each is compared as a whole, without a branch that waits for memory.
func (t *Table) Run(n int) {
	base, shift := unsafe.Pointer(unsafe.SliceData(t.lines)), t.shift&63
	for n > 0 {
		m := min(n, ahead)
		t.next(t.keys[:m])
		for i, key := range t.keys[:m] {
			hash := codec.Mix(key)
			t.hashes[i], t.at[i] = hash, hash>>shift*lineSize
		}
		if t.fetch {
			prefetch.Lines(base, t.at[:m])
		}
		for i, hash := range t.hashes[:m] {
			l := (*line)(unsafe.Add(base, t.at[i]))
			found := 4
			if l[0].hash == hash {
				found = 0
			}
			if l[1].hash == hash {
				found = 1
			}
			if l[2].hash == hash {
				found = 2
			}
			if l[3].hash == hash {
				found = 3
			}
			if found < 4 {
				l[found&3].count++
			} else {
				*t.slot(hash)++ // in a line behind
			}
		}
		n -= m
	}
}

// Count is how often a key was counted.
func (t *Table) Count(key uint64) int64 { return *t.slot(codec.Mix(key)) }

// Close gives the memory back.
func (t *Table) Close() {
	t.memory.Release()
	t.lines = nil
}
