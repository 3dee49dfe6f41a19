package codec

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"unsafe"
)

// littleEndian: memory is in the format's byte order, so that columns that lie together are copied whole.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// fixed is a column of numbers or of arrays of numbers, count each: elements of width 1, 2, 4 or 8 bytes, little-endian, in memory order. A
// count of 1 without array is a plain number.
type fixed struct {
	name  string // of the element in the schema
	width int
	dims  []int // of the array, outermost first; none: a number
	count int   // product of dims
	bool  bool  // only 0 and 1 are values
}

func (f *fixed) min() int { return f.width * f.count }

func (f *fixed) schema(b []byte) []byte {
	for _, d := range f.dims {
		b = append(b, '[')
		b = strconv.AppendInt(b, int64(d), 10)
		b = append(b, ']')
	}
	return append(b, f.name...)
}

func (f *fixed) append(_ *encoder, dst []byte, v view) ([]byte, error) {
	size := f.min()
	if size == 0 {
		return dst, nil
	}
	at := len(dst)
	dst = slices.Grow(dst, v.n*size)[:at+v.n*size]
	for _, r := range v.runs {
		if r.n == 0 {
			continue
		}
		out := dst[at : at+r.n*size]
		at += len(out)
		if littleEndian && v.stride == uintptr(size) {
			copy(out, unsafe.Slice((*byte)(v.at(r, 0)), len(out)))
			continue
		}
		if f.count == 1 {
			f.gather(out, v, r)
			continue
		}
		for i := range r.n {
			toLittle(out[i*size:(i+1)*size], v.at(r, i), f.width)
		}
	}
	return dst, nil
}

// gather has one loop per width: this is where batches spend their time. The loops count down what is left, and add strides up, because bounds that are
// checked and indexes that are multiplied for each value take half of it.
func (f *fixed) gather(out []byte, v view, r run) {
	p, stride, off := v.at(r, 0), v.stride, uintptr(0)
	switch f.width {
	case 1:
		for i := range out {
			out[i] = *(*byte)(unsafe.Add(p, off))
			off += stride
		}
	case 2:
		for ; len(out) >= 2; out = out[2:] {
			binary.LittleEndian.PutUint16(out, *(*uint16)(unsafe.Add(p, off)))
			off += stride
		}
	case 4:
		for ; len(out) >= 4; out = out[4:] {
			binary.LittleEndian.PutUint32(out, *(*uint32)(unsafe.Add(p, off)))
			off += stride
		}
	default:
		for ; len(out) >= 8; out = out[8:] {
			binary.LittleEndian.PutUint64(out, *(*uint64)(unsafe.Add(p, off)))
			off += stride
		}
	}
}

func (f *fixed) decode(src []byte, t target) ([]byte, error) {
	size := f.min()
	if size == 0 {
		return src, nil
	}
	if t.n > len(src)/size {
		return nil, short(t.n*size, len(src))
	}
	in, rest := src[:t.n*size], src[t.n*size:]
	if f.bool {
		for _, b := range in {
			if b > 1 {
				return nil, fmt.Errorf("a bool of %d: %w", b, ErrCorrupt)
			}
		}
	}
	switch {
	case littleEndian && t.stride == uintptr(size):
		copy(unsafe.Slice((*byte)(t.p), len(in)), in)
	case f.count == 1:
		f.scatter(in, t)
	default:
		for i := range t.n {
			fromLittle(t.at(i), in[i*size:(i+1)*size], f.width)
		}
	}
	return rest, nil
}

// scatter is the way back, in has t.n values.
func (f *fixed) scatter(in []byte, t target) {
	p, stride, off := t.p, t.stride, uintptr(0)
	switch f.width {
	case 1:
		for _, b := range in {
			*(*byte)(unsafe.Add(p, off)) = b
			off += stride
		}
	case 2:
		for ; len(in) >= 2; in = in[2:] {
			*(*uint16)(unsafe.Add(p, off)) = binary.LittleEndian.Uint16(in)
			off += stride
		}
	case 4:
		for ; len(in) >= 4; in = in[4:] {
			*(*uint32)(unsafe.Add(p, off)) = binary.LittleEndian.Uint32(in)
			off += stride
		}
	default:
		for ; len(in) >= 8; in = in[8:] {
			*(*uint64)(unsafe.Add(p, off)) = binary.LittleEndian.Uint64(in)
			off += stride
		}
	}
}

// toLittle copies one array of numbers out of memory, fromLittle into it.
func toLittle(out []byte, p unsafe.Pointer, width int) {
	copy(out, unsafe.Slice((*byte)(p), len(out)))
	if !littleEndian {
		swap(out, width)
	}
}

func fromLittle(p unsafe.Pointer, in []byte, width int) {
	out := unsafe.Slice((*byte)(p), len(in))
	copy(out, in)
	if !littleEndian {
		swap(out, width)
	}
}

func swap(b []byte, width int) {
	for ; len(b) >= width; b = b[width:] {
		slices.Reverse(b[:width])
	}
}
