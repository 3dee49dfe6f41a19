package codec

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"sync"
	"unsafe"
)

// A node encodes one column: the values of one field of all records of a batch, wherever in memory they lie. Nodes are immutable.
type node interface {
	// append is called with at least one value.
	append(e *encoder, dst []byte, v view) ([]byte, error)
	// decode is called with at least one value. It must check every length before it allocates or loops by it.
	decode(src []byte, t target) (rest []byte, err error)
	// min is the least number of bytes of one value; 0 if values have none at all.
	min() int
	// schema appends the canonical text (schema.go).
	schema(b []byte) []byte
}

// A view is what is to be encoded: n values, in runs of equally spaced ones. Batches are one run; the elements of a column of slices are one
// run per slice, so that they need not be gathered.
type view struct {
	runs   []run
	off    uintptr // of the field within a run's elements
	stride uintptr // size of a run's element
	n      int     // sum of the runs' lengths
}

// A run is n elements that lie one after the other. p is a Go pointer, so the memory stays alive.
type run struct {
	p unsafe.Pointer
	n int
}

func (v view) field(off uintptr) view { v.off += off; return v }

// at is the address of the i-th value of a run.
func (v view) at(r run, i int) unsafe.Pointer { return unsafe.Add(r.p, uintptr(i)*v.stride+v.off) }

// A target is where values are decoded to: n fields, stride bytes apart. Decoding always fills one run, because it makes the memory itself.
type target struct {
	p      unsafe.Pointer
	stride uintptr
	n      int
}

func (t target) field(off uintptr) target { t.p = unsafe.Add(t.p, off); return t }
func (t target) at(i int) unsafe.Pointer  { return unsafe.Add(t.p, uintptr(i)*t.stride) }

// An encoder holds the runs of the columns in hand, as a stack, so that encoding allocates nothing in the long run.
type encoder struct{ runs []run }

var encoders = sync.Pool{New: func() any { return new(encoder) }}

// release forgets the user's memory before the encoder waits in the pool.
func (e *encoder) release() {
	clear(e.runs[:cap(e.runs)])
	e.runs = e.runs[:0]
	encoders.Put(e)
}

// Lengths are written first for the whole column: one byte that says how wide they are, then each. A length of zero bytes is never written, so
// that a short input cannot stand for a large column.
const (
	width16 = 2
	width32 = 4
)

func appendWidth(dst []byte, longest, n int) ([]byte, int, bool) {
	switch {
	case longest <= math.MaxUint16:
		return append(slices.Grow(dst, 1+n*width16), width16), width16, true
	case longest <= math.MaxUint32:
		return append(slices.Grow(dst, 1+n*width32), width32), width32, true
	}
	return dst, 0, false
}

func appendLength(dst []byte, width, length int) []byte {
	if width == width16 {
		return binary.LittleEndian.AppendUint16(dst, uint16(length))
	}
	return binary.LittleEndian.AppendUint32(dst, uint32(length))
}

// lengths is the column of lengths at the head of src.
type lengths struct {
	b     []byte
	width int
}

func takeLengths(src []byte, n int) (l lengths, rest []byte, err error) {
	if len(src) == 0 {
		return l, nil, short(1, 0)
	}
	l.width = int(src[0])
	if l.width != width16 && l.width != width32 {
		return l, nil, fmt.Errorf("lengths of %d bytes: %w", l.width, ErrCorrupt)
	}
	src = src[1:]
	if n > len(src)/l.width {
		return l, nil, short(n*l.width, len(src))
	}
	l.b = src[:n*l.width]
	return l, src[n*l.width:], nil
}

func (l lengths) at(i int) int {
	if l.width == width16 {
		return int(binary.LittleEndian.Uint16(l.b[2*i:]))
	}
	return int(binary.LittleEndian.Uint32(l.b[4*i:]))
}

func short(need, have int) error {
	return fmt.Errorf("%d bytes needed, %d left: %w", need, have, ErrCorrupt)
}
