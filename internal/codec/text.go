package codec

import (
	"fmt"
	"slices"
	"unsafe"
)

// text is a column of strings: lengths, then all bytes. Decoding makes one string of all and cuts it.
type text struct{ path string }

func (*text) min() int               { return width16 }
func (*text) schema(b []byte) []byte { return append(b, "string"...) }

func (x *text) append(_ *encoder, dst []byte, v view) ([]byte, error) {
	longest, total := 0, 0
	for _, r := range v.runs {
		for i := range r.n {
			n := len(*(*string)(v.at(r, i)))
			longest, total = max(longest, n), total+n
		}
	}
	dst, width, ok := appendWidth(dst, longest, v.n)
	if !ok {
		return nil, fmt.Errorf("%s: a string of %d bytes: at most 4 GiB can be encoded", x.path, longest)
	}
	dst = slices.Grow(dst, v.n*width+total)
	for _, r := range v.runs {
		for i := range r.n {
			dst = appendLength(dst, width, len(*(*string)(v.at(r, i))))
		}
	}
	for _, r := range v.runs {
		for i := range r.n {
			dst = append(dst, *(*string)(v.at(r, i))...)
		}
	}
	return dst, nil
}

func (x *text) decode(src []byte, t target) ([]byte, error) {
	l, rest, err := takeLengths(src, t.n)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", x.path, err)
	}
	total := 0
	for i := range t.n {
		total += l.at(i)
	}
	if total > len(rest) {
		return nil, fmt.Errorf("%s: %w", x.path, short(total, len(rest)))
	}
	arena := string(rest[:total])
	at := 0
	for i := range t.n {
		n := l.at(i)
		*(*string)(t.at(i)) = arena[at : at+n]
		at += n
	}
	return rest[total:], nil
}

// blob is a column of byte slices: as strings, but a length is written one higher, and 0 is nil.
type blob struct{ path string }

func (*blob) min() int               { return width16 }
func (*blob) schema(b []byte) []byte { return append(b, "bytes"...) }

func (x *blob) append(_ *encoder, dst []byte, v view) ([]byte, error) {
	longest, total := 0, 0
	for _, r := range v.runs {
		for i := range r.n {
			n := len(*(*[]byte)(v.at(r, i)))
			longest, total = max(longest, n), total+n
		}
	}
	dst, width, ok := appendWidth(dst, longest+1, v.n)
	if !ok {
		return nil, fmt.Errorf("%s: a slice of %d bytes: at most 4 GiB can be encoded", x.path, longest)
	}
	dst = slices.Grow(dst, v.n*width+total)
	for _, r := range v.runs {
		for i := range r.n {
			dst = appendLength(dst, width, nullable(*(*[]byte)(v.at(r, i))))
		}
	}
	for _, r := range v.runs {
		for i := range r.n {
			dst = append(dst, *(*[]byte)(v.at(r, i))...)
		}
	}
	return dst, nil
}

func nullable(b []byte) int {
	if b == nil {
		return 0
	}
	return len(b) + 1
}

func (x *blob) decode(src []byte, t target) ([]byte, error) {
	l, rest, err := takeLengths(src, t.n)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", x.path, err)
	}
	total := l.elements(t.n)
	if total > len(rest) {
		return nil, fmt.Errorf("%s: %w", x.path, short(total, len(rest)))
	}
	arena := make([]byte, total)
	copy(arena, rest)
	at := 0
	for i := range t.n {
		n := l.at(i)
		if n == 0 {
			*(*[]byte)(t.at(i)) = nil
			continue
		}
		*(*[]byte)(t.at(i)) = arena[at : at+n-1 : at+n-1] // an append to one must not reach the next
		at += n - 1
	}
	return rest[total:], nil
}

// elements is the sum of lengths that were written one higher, 0 being nil.
func (l lengths) elements(n int) int {
	total := 0
	for i := range n {
		total += max(l.at(i)-1, 0)
	}
	return total
}

// sliceHeader is how Go lays out any slice; writing one through it has the write barriers that the collector needs.
type sliceHeader struct {
	p        unsafe.Pointer
	len, cap int
}
