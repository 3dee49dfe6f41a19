package state

import (
	"unsafe"

	"github.com/thalweg-io/thalweg/internal/state/offheap"
)

// timer is an entry of the heap: see Timers.
type timer struct {
	at   int64
	hash uint64
}

// before orders by time; by hash among equal times, so that the order is the same after a restore.
func (x timer) before(y timer) bool { return x.at < y.at || x.at == y.at && x.hash < y.hash }

// timerHeap is a heap with four children to a node (one cache line), in a range of its own: it grows without copying.
type timerHeap struct {
	r *offheap.Range
	n int
}

const timerSize = int(unsafe.Sizeof(timer{}))

func newTimerHeap(c *Config) timerHeap { return timerHeap{r: newRange(c)} }

// all are the entries; valid until the next append.
func (h *timerHeap) all() []timer { return unsafe.Slice((*timer)(h.r.Base()), h.n) }

func (h *timerHeap) top() timer { return *(*timer)(h.r.Base()) }

// append adds an entry out of order; order must follow.
func (h *timerHeap) append(x timer) error {
	if need := (h.n + 1) * timerSize; need > h.r.Size() {
		if err := h.r.Grow(need); err != nil {
			return err
		}
	}
	h.n++
	h.r.Touched(h.n * timerSize)
	h.all()[h.n-1] = x
	return nil
}

func (h *timerHeap) push(x timer) error {
	if err := h.append(x); err != nil {
		return err
	}
	a := h.all()
	i := len(a) - 1
	for i > 0 {
		up := (i - 1) / 4
		if !x.before(a[up]) {
			break
		}
		a[i], i = a[up], up
	}
	a[i] = x
	return nil
}

func (h *timerHeap) pop() {
	a := h.all()
	last := a[len(a)-1]
	h.n--
	if h.n > 0 {
		down(a[:h.n], 0, last)
	}
}

// down puts x into the empty place i or below.
func down(a []timer, i int, x timer) {
	for {
		first := 4*i + 1
		if first >= len(a) {
			break
		}
		least := first
		for c := first + 1; c < min(first+4, len(a)); c++ {
			if a[c].before(a[least]) {
				least = c
			}
		}
		if !a[least].before(x) {
			break
		}
		a[i], i = a[least], least
	}
	a[i] = x
}

// order makes a heap of entries in any order.
func (h *timerHeap) order() {
	a := h.all()
	for i := (len(a) - 2) / 4; i >= 0 && len(a) > 1; i-- {
		down(a, i, a[i])
	}
}

func (h *timerHeap) bytes() int64 { return int64(h.n * timerSize) }
func (h *timerHeap) close()       { h.n = 0; h.r.Release() }
