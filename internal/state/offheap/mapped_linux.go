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

	// Behind the small pages come chunks. The first ones are decided: their pages are pretouched ones, or the system gives them one by one.
	decided int
	lent    map[int]bool // chunks with pretouched pages
	pieces  int          // so many chunks may be mappings of their own to the system, as those are that are lent, or were
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
	n.decided, n.lent, n.pieces = m.decided, m.lent, m.pieces
	if err := m.moveTo(n); err != nil {
		n.lent = nil
		n.release()
		return nil, 0, fmt.Errorf("move %d bytes of state to a range of %d: %w", m.usable(), n.usable(), err)
	}
	n.advise()
	m.unmap(m.whole, m.before())
	m.unmap(unsafe.Add(m.base, m.usable()), m.size-uintptr(m.usable())-m.before())
	*m = *n
	return m.base, m.usable(), nil
}

// moveTo moves all pages to the beginning of a larger range, each piece by itself: systems before Linux 6.17 move no two mappings at once.
func (m *mapped) moveTo(n *mapped) error {
	cuts := []int{0}
	if m.pieces > 0 {
		for i := range m.pieces + 1 {
			cuts = append(cuts, chunkAt(i))
		}
	}
	if last := cuts[len(cuts)-1]; last < m.usable() {
		cuts = append(cuts, m.usable())
	}
	move := func(from, to unsafe.Pointer, i int) error {
		size := uintptr(cuts[i+1] - cuts[i])
		_, err := unix.MremapPtr(unsafe.Add(from, cuts[i]), size, unsafe.Add(to, cuts[i]), size, unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED)
		return err
	}
	for i := range len(cuts) - 1 {
		if err := move(m.base, n.base, i); err != nil {
			for i--; i >= 0; i-- {
				if back := move(n.base, m.base, i); back != nil {
					panic(fmt.Sprintf("offheap: state cannot be moved, %v, and what was moved not back: %v", err, back))
				}
			}
			return err
		}
	}
	return nil
}

func (m *mapped) unmap(p unsafe.Pointer, n uintptr) {
	if n == 0 {
		return
	}
	if err := unix.MunmapPtr(p, n); err != nil {
		panic(fmt.Sprintf("offheap: unmap %d bytes at %p: %v", n, p, err)) // the bookkeeping is wrong
	}
}

// chunkAt is where a chunk begins.
func chunkAt(i int) int { return smallPages + i*chunkSize }

// supply puts pretouched pages where they are about to be needed, as long as there are some.
func (m *mapped) supply(n int) {
	for n > chunkAt(m.decided) && chunkAt(m.decided+1) <= m.usable() {
		if takeChunk(unsafe.Add(m.base, chunkAt(m.decided))) {
			if m.lent == nil {
				m.lent = map[int]bool{}
			}
			m.lent[m.decided] = true
			m.pieces = max(m.pieces, m.decided+1)
		}
		m.decided++
	}
}

func (m *mapped) discard(n int, all bool) {
	if all {
		m.giveBack()
	}
	pages := n &^ (unix.Getpagesize() - 1)
	if pages > 0 && unix.Madvise(unsafe.Slice((*byte)(m.base), pages), unix.MADV_DONTNEED) != nil {
		pages = 0
	}
	clear(unsafe.Slice((*byte)(m.base), n)[pages:])
}

// giveBack returns what is lent. Nothing that lies in chunks is needed any more, and they are decided anew.
func (m *mapped) giveBack() {
	for i := range m.lent {
		giveChunk(unsafe.Add(m.base, chunkAt(i)))
	}
	m.decided, m.lent = 0, nil
}

// resident: huge pages are taken whole at their first byte, and so are chunks that are lent. Where the system has no huge pages this says up to one too much.
func (m *mapped) resident(n int) int {
	if n <= smallPages {
		return (n + unix.Getpagesize() - 1) &^ (unix.Getpagesize() - 1)
	}
	if last := (n - smallPages - 1) / chunkSize; m.lent[last] {
		return chunkAt(last + 1)
	}
	return smallPages + (n-smallPages+hugePage-1)&^(hugePage-1)
}

func (m *mapped) release() {
	if m.whole != nil {
		m.giveBack()
		m.unmap(m.whole, m.size)
	}
	*m = mapped{}
}
