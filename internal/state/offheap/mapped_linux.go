package offheap

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A mapping is reserved far larger than what most state needs, so that it hardly ever has to move. Reserving costs address space only.
const (
	reserved     = 16 << 30
	leastReserve = 64 << 20
	hugePage     = 2 << 20
)

// smallPages is how much of a range, at its beginning, is in small pages, so that a little state takes little memory: a huge page is taken whole
// at its first byte.
const smallPages = 256 << 10

// mapped is an anonymous private mapping. base + smallPages is aligned to a huge page.
type mapped struct {
	whole unsafe.Pointer // as mapped
	size  uintptr
	base  unsafe.Pointer
	large bool // huge pages are asked for
}

// newMapped maps as much as the system's limits let it; nil if that is too little.
func newMapped() mapping {
	for size := uintptr(reserved); size >= leastReserve; size /= 2 {
		if m, err := mapRange(size); err == nil {
			return m
		}
	}
	return nil
}

// mapRange maps size bytes, a multiple of a huge page, and what the small pages and aligning take.
func mapRange(size uintptr) (*mapped, error) {
	whole := size + hugePage + smallPages
	p, err := unix.MmapPtr(-1, 0, nil, whole, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes: %w", whole, err)
	}
	return &mapped{whole: p, size: whole, base: unsafe.Add(align(unsafe.Add(p, smallPages), hugePage), -smallPages)}, nil
}

// advise asks for huge pages: state is read at random, and each page of 4 KiB would be a miss of the translation cache as well. A kernel
// without them refuses, and then all still works.
func (m *mapped) advise() {
	m.large = true
	_ = unix.Madvise(unsafe.Slice((*byte)(m.base), m.usable()), unix.MADV_HUGEPAGE)
}

// usable is what lies from base on, the small pages and whole huge ones.
func (m *mapped) usable() int {
	return smallPages + int((m.size-m.before()-smallPages)&^(hugePage-1))
}

// before is what lies before base.
func (m *mapped) before() uintptr { return uintptr(m.base) - uintptr(m.whole) }

// grow moves the mapping if it is too small: see newMapped.
func (m *mapped) grow(size int) (unsafe.Pointer, int, error) {
	if m.whole == nil { // released before
		n, err := mapRange(max(uintptr(size+hugePage-1)&^(hugePage-1), leastReserve))
		if err != nil {
			return nil, 0, err
		}
		*m = *n
	}
	if size <= smallPages && !m.large {
		return m.base, smallPages, nil
	}
	if have := m.usable(); size <= have {
		m.advise()
		return m.base, have, nil
	}
	// The pages move, their content is not copied. They go to a place that is aligned, or huge pages would be torn.
	n, err := mapRange(uintptr(max(2*m.usable(), size+hugePage-1)) &^ (hugePage - 1))
	if err != nil {
		return nil, 0, err
	}
	old := uintptr(m.usable())
	if _, err := unix.MremapPtr(m.base, old, n.base, uintptr(n.usable()), unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED); err != nil {
		n.release()
		return nil, 0, fmt.Errorf("move %d bytes of state to a range of %d: %w", old, n.usable(), err)
	}
	n.advise()
	m.unmap(m.whole, m.before())
	m.unmap(unsafe.Add(m.base, old), m.size-old-m.before())
	*m = *n
	return m.base, m.usable(), nil
}

func (m *mapped) unmap(p unsafe.Pointer, n uintptr) {
	if n == 0 {
		return
	}
	if err := unix.MunmapPtr(p, n); err != nil {
		panic(fmt.Sprintf("offheap: unmap %d bytes at %p: %v", n, p, err)) // the bookkeeping is wrong
	}
}

func (m *mapped) discard(n int) {
	pages := n &^ (unix.Getpagesize() - 1)
	if pages > 0 && unix.Madvise(unsafe.Slice((*byte)(m.base), pages), unix.MADV_DONTNEED) != nil {
		pages = 0
	}
	clear(unsafe.Slice((*byte)(m.base), n)[pages:])
}

// resident: huge pages are taken whole at their first byte. Where the system has none this says up to one too much.
func (m *mapped) resident(n int) int {
	if n <= smallPages {
		return (n + unix.Getpagesize() - 1) &^ (unix.Getpagesize() - 1)
	}
	return smallPages + (n-smallPages+hugePage-1)&^(hugePage-1)
}

func (m *mapped) release() {
	if m.whole != nil {
		m.unmap(m.whole, m.size)
	}
	*m = mapped{}
}
