package state

import (
	"fmt"
	"math/bits"
	"unsafe"
)

// A ref names an encoded key or value in a space: the offset in units of 16 bytes, and the length. The zero ref is empty.
//
//	63            28 27         0
//	| offset / 16   | length    |
type ref uint64

const (
	refLengthBits = 28
	maxBlob       = 1<<refLengthBits - 1
	blobUnit      = 16
)

func (r ref) length() int    { return int(r & maxBlob) }
func (r ref) offset() uint64 { return uint64(r>>refLengthBits) * blobUnit }

// Blobs up to maxSlabbed bytes share slabs, one list of free places per class; larger ones are pieces of their own. Classes are four to a
// doubling, so that at most a fifth is lost: 16, 32, 48, 64, 80, 96, 112, 128, 160, ...
const (
	maxSlabbed  = 8 << 10
	blobClasses = 32
)

// slab is one class: the free places, and the unused rest of the newest slab.
type slab struct {
	free      []uint64
	next, end uint64
}

func blobClass(n int) int {
	units := (n + blobUnit - 1) / blobUnit // 1..512
	if units <= 4 {
		return units - 1
	}
	shift := bits.Len(uint(units-1)) - 3 // 5..8 -> 0, 9..16 -> 1
	return 4*shift + (units-1)>>shift
}

func blobSize(class int) int {
	if class < 4 {
		return (class + 1) * blobUnit
	}
	shift := class/4 - 1
	return (class%4 + 5) << shift * blobUnit
}

// blob is the content of a ref, in the space: valid until the next alloc or free.
func (s *space) blob(r ref) []byte {
	return unsafe.Slice((*byte)(s.at(r.offset())), r.length())
}

// putBlob copies b into the space.
func (s *space) putBlob(b []byte) (ref, error) {
	r, err := s.newBlob(len(b))
	if r != 0 {
		copy(s.blob(r), b)
	}
	return r, err
}

// newBlob is a place for n bytes; whatever was there before is in it.
func (s *space) newBlob(n int) (ref, error) {
	if n == 0 {
		return 0, nil
	}
	if n > maxBlob {
		return 0, fmt.Errorf("%d encoded bytes of one key or value; at most %d can be kept", n, maxBlob)
	}
	off, err := s.placeBlob(n)
	if err != nil {
		return 0, err
	}
	return ref(off/blobUnit<<refLengthBits) | ref(n), nil
}

func (s *space) placeBlob(n int) (uint64, error) {
	if n > maxSlabbed {
		off, _, err := s.alloc(n, false)
		return off, err
	}
	class := blobClass(n)
	c, size := &s.slabs[class], uint64(blobSize(class))
	s.small.live++
	if n := len(c.free); n > 0 {
		off := c.free[n-1]
		c.free = c.free[:n-1]
		return off, nil
	}
	if c.next+size > c.end {
		off, got, err := s.alloc(min(segmentSize, int(size)*64), false)
		if err != nil {
			s.small.live--
			return 0, err
		}
		s.small.held += got
		c.next, c.end = off, off+uint64(got)
	}
	off := c.next
	c.next += size
	return off, nil
}

func (s *space) freeBlob(r ref) {
	switch n := r.length(); {
	case n == 0:
	case n > maxSlabbed:
		s.release(r.offset(), 1<<bits.Len(uint(n-1)))
	default:
		c := &s.slabs[blobClass(n)]
		c.free = append(c.free, r.offset())
		s.small.live--
	}
}

// replaceBlob puts b where r was if the place is large enough and not far too large, else elsewhere.
func (s *space) replaceBlob(r ref, b []byte) (ref, error) {
	r, err := s.resizeBlob(r, len(b))
	if r != 0 {
		copy(s.blob(r), b)
	}
	return r, err
}

// resizeBlob makes the place of r one of n bytes, or finds another one. What is in it then must be written anew. r stays as it is on an error, which
// comes with no ref.
func (s *space) resizeBlob(r ref, n int) (ref, error) {
	if have := r.length(); have > 0 && n > 0 && have <= maxSlabbed && n <= maxSlabbed && blobClass(have) == blobClass(n) {
		return r&^maxBlob | ref(n), nil
	}
	place, err := s.newBlob(n)
	if err == nil {
		s.freeBlob(r)
	}
	return place, err
}
