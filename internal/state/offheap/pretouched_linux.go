package offheap

import (
	"context"
	"fmt"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pooled is memory that has been touched before anything lies in it. The first touch of a page is the dearest moment of its life: the system zeroes it,
// and a virtual machine's host may have to find it first, which was measured to take one to four milliseconds for a huge page. So state can be laid on
// pages that were touched when the process began: they are moved to the range that needs them, a chunk at a time, and moved back when it is released.
//
// All chunks in free are zero. Ranges belong to many goroutines; mu guards the lists, never a system call.
var pooled struct {
	mu      sync.Mutex
	free    []slot // with pages
	empty   []slot // whose pages are in a range
	cleaner bool   // clean runs
	dirty   []slot // with pages of a range that was released
}

// chunkSize is what is moved at a time. To the system each piece is a mapping of its own, of which a process has some 65,000; and a range of a little
// state takes a whole one.
const chunkSize = 8 << 20

// slot is a place for the pages of a chunk, aligned to a huge page. Its addresses stay mapped while its pages are elsewhere: what was unmapped
// there, somebody else could be given.
type slot struct {
	at unsafe.Pointer
	of *pretouched
}

// pretouched is one reservation.
type pretouched struct {
	whole  unsafe.Pointer
	size   uintptr
	closed bool           // guarded by pooled.mu: its slots are not used any more
	busy   sync.WaitGroup // those whose slots are being worked on
}

// Pretouch touches n bytes, rounded up to whole chunks of 8 MiB, for the ranges of this process to lie on, and returns when all are touched or ctx has
// ended. Each chunk can be used as soon as it is touched. They count as held, by Pretouched while no range has them. release gives back what no range
// has; what ranges still have is theirs then.
func Pretouch(ctx context.Context, n int64) (release func(), err error) {
	count := (n + chunkSize - 1) / chunkSize
	if count <= 0 {
		return func() {}, nil
	}
	size := uintptr(count)*chunkSize + hugePage
	whole, err := unix.MmapPtr(-1, 0, nil, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes to touch them: %w", size, err)
	}
	p := &pretouched{whole: whole, size: size}
	base := align(whole, hugePage)
	_ = unix.Madvise(unsafe.Slice((*byte)(base), int(count)*chunkSize), unix.MADV_HUGEPAGE)
	for i := range count {
		if ctx.Err() != nil {
			break
		}
		s := slot{unsafe.Add(base, i*chunkSize), p}
		s.touch()
		put(&pooled.free, s, chunkSize)
	}
	return p.release, nil
}

// touch makes the system find and zero the pages.
func (s slot) touch() {
	b := unsafe.Slice((*byte)(s.at), chunkSize)
	if unix.Madvise(b, unix.MADV_POPULATE_WRITE) == nil {
		return
	}
	for i := 0; i < len(b); i += 4096 { // an older system
		b[i] = 0
	}
}

func (s slot) clear() { clear(unsafe.Slice((*byte)(s.at), chunkSize)) }

// put adds a slot to one of the lists; held says by how much what the pool holds changes. False: the reservation is closed.
func put(list *[]slot, s slot, held int64) bool {
	pooled.mu.Lock()
	defer pooled.mu.Unlock()
	if s.of.closed {
		return false
	}
	*list = append(*list, s)
	count(held)
	return true
}

// count changes what the pool holds.
func count(held int64) {
	ledger.mapped.Add(held)
	ledger.pretouched.Add(held)
}

// get takes a slot from a list and keeps its reservation from going meanwhile: Done must follow.
func get(list *[]slot, held int64) (slot, bool) {
	pooled.mu.Lock()
	defer pooled.mu.Unlock()
	n := len(*list)
	if n == 0 {
		return slot{}, false
	}
	s := (*list)[n-1]
	*list = (*list)[:n-1]
	s.of.busy.Add(1)
	count(held)
	return s, true
}

// takeChunk puts touched pages at to, where nothing was written to yet. False: there are none, and the system gives some as ever.
func takeChunk(to unsafe.Pointer) bool {
	s, ok := get(&pooled.free, -chunkSize)
	if !ok {
		if s, ok = get(&pooled.dirty, -chunkSize); !ok {
			return false
		}
		s.clear() // which costs no more than the system's zeroing
	}
	defer s.of.busy.Done()
	if moveChunk(s.at, to) != nil { // a system that cannot, or has no more mappings for us
		put(&pooled.free, s, chunkSize)
		return false
	}
	put(&pooled.empty, s, 0)
	return true
}

// giveChunk takes the pages of a chunk of a range, which is zero afterwards. False: nobody wants them.
func giveChunk(from unsafe.Pointer) bool {
	s, ok := get(&pooled.empty, 0)
	if !ok {
		return false
	}
	defer s.of.busy.Done()
	if moveChunk(from, s.at) != nil {
		put(&pooled.empty, s, 0)
		return false
	}
	put(&pooled.dirty, s, chunkSize)
	pooled.mu.Lock()
	defer pooled.mu.Unlock()
	if !pooled.cleaner && len(pooled.dirty) > 0 {
		pooled.cleaner = true
		go clean()
	}
	return true
}

// moveChunk moves pages, not their content. Both places stay mapped.
func moveChunk(from, to unsafe.Pointer) error {
	_, err := unix.MremapPtr(from, chunkSize, to, chunkSize, unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED|unix.MREMAP_DONTUNMAP)
	return err
}

// clean zeroes what came back, beside those who gave it.
func clean() {
	for {
		s, ok := get(&pooled.dirty, 0)
		if !ok {
			pooled.mu.Lock()
			more := len(pooled.dirty) > 0
			pooled.cleaner = more
			pooled.mu.Unlock()
			if !more {
				return
			}
			continue
		}
		s.clear()
		if !put(&pooled.free, s, 0) {
			count(-chunkSize)
		}
		s.of.busy.Done()
	}
}

func (p *pretouched) release() {
	pooled.mu.Lock()
	p.closed = true
	for _, list := range []*[]slot{&pooled.free, &pooled.dirty, &pooled.empty} {
		kept := (*list)[:0]
		for _, s := range *list {
			switch {
			case s.of != p:
				kept = append(kept, s)
			case list != &pooled.empty:
				count(-chunkSize)
			}
		}
		*list = kept
	}
	pooled.mu.Unlock()
	p.busy.Wait()
	if err := unix.MunmapPtr(p.whole, p.size); err != nil {
		panic(fmt.Sprintf("offheap: unmap %d bytes at %p: %v", p.size, p.whole, err)) // the bookkeeping is wrong
	}
}
