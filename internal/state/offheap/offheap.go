// Package offheap gives out ranges of zeroed memory that the garbage collector neither scans nor counts, for state that may be larger than the
// heap should be.
//
// It owns the mappings: on Linux an anonymous mapping with huge pages where the system has them, reserved large and touched little by little;
// elsewhere, or where a mapping is refused, a slice on the Go heap. A range is one piece and is addressed by offset, because growing may move
// it. It never frees by itself: whoever made a range releases it. What lies in a range must hold no Go pointer.
package offheap

import (
	"sync/atomic"
	"unsafe"
)

// Range is a contiguous piece of memory. It belongs to one goroutine.
type Range struct {
	base    unsafe.Pointer
	size    int
	m       mapping
	owner   string       // who is told to have it, see Usage
	touched int          // bytes from the beginning
	held    atomic.Int64 // what that takes; read by Usage
}

// mapping is how a range is backed.
type mapping interface {
	// grow makes the memory at least size bytes; what was there is kept, what is new is zero.
	grow(size int) (base unsafe.Pointer, got int, err error)
	// supply comes before bytes up to n are written to for the first time.
	supply(n int)
	// discard makes [0, n) zero and gives its pages back. all: what lies behind has not been written to.
	discard(n int, all bool)
	// resident is the memory that n bytes from the beginning take, in whole pages, if all of them have been written to.
	resident(n int) int
	release()
}

// New makes an empty range, mapped if the system lets us. Its memory is accounted to owner.
func New(owner string) *Range {
	if m := newMapped(); m != nil {
		return &Range{m: m, owner: owner}
	}
	return NewOnHeap(owner)
}

// NewOnHeap makes an empty range on the Go heap.
func NewOnHeap(owner string) *Range { return &Range{m: &onHeap{}, owner: owner} }

// Base is where the range begins, aligned to 64 bytes at least (mapped: to a huge page). Pointers below it are valid until Grow.
func (r *Range) Base() unsafe.Pointer { return r.base }

// Size is how many bytes may be used.
func (r *Range) Size() int { return r.size }

// Grow makes the range at least size bytes. It may move it. An error (no memory, no address space) leaves it as it is.
func (r *Range) Grow(size int) error {
	if size <= r.size {
		return nil
	}
	base, got, err := r.m.grow(size)
	if err == nil {
		r.base, r.size = base, got
	}
	return err
}

// Discard makes the first n bytes zero and gives the memory back where it can. Whoever discards all that was touched has an empty range.
func (r *Range) Discard(n int) {
	all := inSteps(n) >= r.touched
	if n > 0 {
		r.m.discard(n, all)
	}
	if all {
		r.account(0)
	}
}

// Release gives everything back. The range is empty afterwards and may grow again.
func (r *Range) Release() {
	r.account(0)
	r.m.release()
	r.base, r.size = nil, 0
}

// onHeap is memory of the Go heap.
type onHeap struct{ words []uint64 }

const lineSize = 64

func (h *onHeap) grow(size int) (unsafe.Pointer, int, error) {
	size = max(size, 2*8*len(h.words), 64<<10)
	words := make([]uint64, (size+lineSize)/8)
	base := align(unsafe.Pointer(unsafe.SliceData(words)), lineSize)
	if old := h.used(); old != nil {
		copy(unsafe.Slice((*byte)(base), size), old)
	}
	h.words = words
	return base, len(h.used()), nil
}

// used is the aligned part.
func (h *onHeap) used() []byte {
	if len(h.words) == 0 {
		return nil
	}
	base := align(unsafe.Pointer(unsafe.SliceData(h.words)), lineSize)
	return unsafe.Slice((*byte)(base), 8*len(h.words)-lineSize)
}

func (h *onHeap) supply(int)            {}
func (h *onHeap) discard(n int, _ bool) { clear(h.used()[:n]) }
func (h *onHeap) release()              { h.words = nil }

// resident: the heap has all of it, touched or not.
func (h *onHeap) resident(n int) int {
	if n == 0 {
		return 0
	}
	return 8 * len(h.words)
}

// align moves p up to a multiple of to, a power of two.
func align(p unsafe.Pointer, to uintptr) unsafe.Pointer {
	return unsafe.Add(p, -uintptr(p)&(to-1))
}
