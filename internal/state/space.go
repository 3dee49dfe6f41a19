package state

import (
	"fmt"
	"math/bits"
	"unsafe"

	"github.com/thalweg-io/thalweg/internal/state/offheap"
)

// space hands out pieces of one off-heap range: segments of tables and, in slabs, encoded keys and values. Pieces are named by offset; getting a
// piece may move the range, and with it every pointer into it, so pointers are never kept over alloc.
//
// Pieces are powers of two from one cache line on, aligned to their size up to a segment. A free piece is taken from the list of its size, or
// cut from a larger one, or from the end. Nothing is joined again: tables only grow, and what they leave is what smaller tables begin with.
type space struct {
	r     *offheap.Range
	base  unsafe.Pointer
	end   int          // what was ever handed out lies below; above it all is zero
	inUse int          // bytes in pieces that are not free
	free  [48][]uint64 // by log2 of the size, offsets; their content is dirty
	slabs [blobClasses]slab
	small struct { // encoded keys and values in slabs
		live int // how many
		held int // bytes of all slabs, in use or not
	}
}

const (
	lineSize = 64
	// segmentSize is where segments split instead of growing, and how much is taken from the range at a time.
	segmentSize = 64 << 10
	// nowhere is at the beginning of each space: memory that stays zero, where lookups end in a part of a table that has no segment.
	nowhere = segmentSize
	// maxSpace is what directories can name: lines in 32 bits.
	maxSpace = lineSize << 32
)

func newSpace(c *Config) *space { return &space{r: newRange(c)} }

// newRange makes memory that is accounted to the operator.
func newRange(c *Config) *offheap.Range {
	if c.onHeap {
		return offheap.NewOnHeap(c.Name)
	}
	return offheap.New(c.Name)
}

// at is the address of an offset. It is valid until the next alloc.
func (s *space) at(off uint64) unsafe.Pointer { return unsafe.Add(s.base, off) }

// alloc returns a piece of at least size bytes and its true size. It is zero only if it is asked to be.
func (s *space) alloc(size int, zero bool) (off uint64, got int, err error) {
	class := bits.Len(uint(max(size, lineSize) - 1))
	got = 1 << class
	off, dirty, ok := s.reuse(class)
	if !ok {
		if off, err = s.extend(class); err != nil {
			return 0, 0, err
		}
	}
	if zero && dirty {
		clear(unsafe.Slice((*byte)(s.at(off)), got))
	}
	s.inUse += got
	return off, got, nil
}

// reuse finds a free piece of the class, or halves a larger one up to a segment.
func (s *space) reuse(class int) (off uint64, dirty, ok bool) {
	last := max(class, bits.Len(segmentSize-1))
	for c := class; c <= last; c++ {
		n := len(s.free[c])
		if n == 0 {
			continue
		}
		off = s.free[c][n-1]
		s.free[c] = s.free[c][:n-1]
		for ; c > class; c-- {
			s.free[c-1] = append(s.free[c-1], off+1<<(c-1))
		}
		return off, true, true
	}
	return 0, false, false
}

// extend takes a piece from the end; of a small one the rest of a whole segment becomes free.
func (s *space) extend(class int) (uint64, error) {
	size := max(1<<class, segmentSize)
	begin := s.end
	if begin == 0 {
		begin = nowhere
	}
	if begin+size > maxSpace {
		return 0, fmt.Errorf("%d bytes of state are in use; one handle of a subtask can have %d: raise the parallelism", s.inUse, maxSpace)
	}
	if err := s.r.Grow(begin + size); err != nil {
		return 0, err
	}
	s.base = s.r.Base()
	s.end = begin + size
	s.r.Touched(s.end)
	for c := bits.Len(uint(size - 1)); c > class; c-- {
		s.free[c-1] = append(s.free[c-1], uint64(begin+1<<(c-1)))
	}
	return uint64(begin), nil
}

// release takes a piece of this true size back.
func (s *space) release(off uint64, size int) {
	class := bits.Len(uint(size - 1))
	s.free[class] = append(s.free[class], off)
	s.inUse -= size
}

// trim starts again from nothing if nothing is in use, and gives the memory back.
func (s *space) trim() {
	if s.inUse > s.small.held || s.small.live > 0 || s.end == 0 {
		return
	}
	s.r.Discard(s.end)
	s.end, s.inUse, s.small.held = 0, 0, 0
	for i := range s.free {
		s.free[i] = nil
	}
	s.slabs = [blobClasses]slab{}
}

// ready makes nowhere addressable.
func (s *space) ready() error {
	if s.base != nil {
		return nil
	}
	if err := s.r.Grow(nowhere); err != nil {
		return err
	}
	s.base = s.r.Base()
	return nil
}

func (s *space) close() {
	s.r.Release()
	*s = space{r: s.r}
}

// bytes is the memory that is held, in use or not.
func (s *space) bytes() int64 { return int64(s.end) }
