package codec

import (
	"fmt"
	"reflect"
	"strconv"
	"unsafe"
)

// record is a struct: its fields one after the other.
type record struct {
	fields []recordField
	least  int
}

type recordField struct {
	name string
	off  uintptr
	node node
}

func (s *record) min() int { return s.least }

func (s *record) schema(b []byte) []byte {
	b = append(b, '{')
	for i, f := range s.fields {
		if i > 0 {
			b = append(b, ';')
		}
		b = append(b, f.name...)
		b = append(b, ' ')
		b = f.node.schema(b)
	}
	return append(b, '}')
}

func (s *record) append(e *encoder, dst []byte, v view) (_ []byte, err error) {
	for i := range s.fields {
		f := &s.fields[i]
		if dst, err = f.node.append(e, dst, v.field(f.off)); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

func (s *record) decode(src []byte, t target) (_ []byte, err error) {
	for i := range s.fields {
		f := &s.fields[i]
		if src, err = f.node.decode(src, t.field(f.off)); err != nil {
			return nil, err
		}
	}
	return src, nil
}

// array is an array of what is not a number: like a struct with that many fields, so the first elements of all, then the second ones. Arrays of
// numbers are fixed.
type array struct {
	len  int
	size uintptr // of an element
	elem node
}

func (a *array) min() int { return a.len * a.elem.min() }

func (a *array) schema(b []byte) []byte {
	b = append(b, '[')
	b = strconv.AppendInt(b, int64(a.len), 10)
	return a.elem.schema(append(b, ']'))
}

func (a *array) append(e *encoder, dst []byte, v view) (_ []byte, err error) {
	if a.min() == 0 {
		return dst, nil
	}
	for i := range a.len {
		if dst, err = a.elem.append(e, dst, v.field(uintptr(i)*a.size)); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

func (a *array) decode(src []byte, t target) (_ []byte, err error) {
	if a.min() == 0 {
		return src, nil
	}
	for i := range a.len {
		if src, err = a.elem.decode(src, t.field(uintptr(i)*a.size)); err != nil {
			return nil, err
		}
	}
	return src, nil
}

// list is a column of slices: lengths, one higher, 0 being nil; then the elements of all of them as one column.
type list struct {
	path string
	typ  reflect.Type // of the slice
	size uintptr      // of an element
	elem node
}

func (*list) min() int                 { return width16 }
func (l *list) schema(b []byte) []byte { return l.elem.schema(append(b, "[]"...)) }

func (l *list) append(e *encoder, dst []byte, v view) ([]byte, error) {
	longest := 0
	for _, r := range v.runs {
		for i := range r.n {
			longest = max(longest, (*sliceHeader)(v.at(r, i)).len)
		}
	}
	dst, width, ok := appendWidth(dst, longest+1, v.n)
	if !ok {
		return nil, fmt.Errorf("%s: a slice of %d elements: at most %d can be encoded", l.path, longest, 1<<32-2)
	}
	total, mark := 0, len(e.runs)
	for _, r := range v.runs {
		for i := range r.n {
			h := (*sliceHeader)(v.at(r, i))
			n := 0
			if h.p != nil {
				n = h.len + 1
			}
			dst = appendLength(dst, width, n)
			if h.len > 0 {
				e.runs = append(e.runs, run{h.p, h.len})
				total += h.len
			}
		}
	}
	return e.child(dst, l.elem, mark, l.size, total)
}

// child appends the column of a node below: the runs that were pushed since mark.
func (e *encoder) child(dst []byte, n node, mark int, stride uintptr, total int) (_ []byte, err error) {
	if total > 0 {
		dst, err = n.append(e, dst, view{runs: e.runs[mark:len(e.runs):len(e.runs)], stride: stride, n: total})
	}
	e.runs = e.runs[:mark]
	return dst, err
}

func (l *list) decode(src []byte, t target) ([]byte, error) {
	ls, rest, err := takeLengths(src, t.n)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.path, err)
	}
	total := ls.elements(t.n)
	var elems unsafe.Pointer
	if total > 0 {
		if elems, rest, err = decodeFresh(rest, l.elem, l.typ, l.size, total); err != nil {
			return nil, fmt.Errorf("%s: %w", l.path, err)
		}
	}
	at := 0
	for i := range t.n {
		h := (*sliceHeader)(t.at(i))
		switch n := ls.at(i); n {
		case 0:
			*h = sliceHeader{}
		case 1:
			*h = sliceHeader{p: unsafe.Pointer(&nothing)}
		default:
			*h = sliceHeader{p: unsafe.Add(elems, uintptr(at)*l.size), len: n - 1, cap: n - 1}
			at += n - 1
		}
	}
	return rest, nil
}

// nothing is what empty slices point to, so that they are not nil.
var nothing [0]uint64

// decodeFresh decodes n > 0 values into memory of its own, after checking that src can hold so many.
func decodeFresh(src []byte, elem node, slice reflect.Type, size uintptr, n int) (unsafe.Pointer, []byte, error) {
	if need := elem.min(); need > 0 && n > len(src)/need {
		return nil, nil, short(n*need, len(src))
	}
	p := reflect.MakeSlice(slice, n, n).UnsafePointer()
	rest, err := elem.decode(src, target{p, size, n})
	return p, rest, err
}

// pointer is a column of pointers: a byte each, 0 for nil and 1; then what they point to, as one column. Two equal pointers become two values.
type pointer struct {
	path string
	typ  reflect.Type // of a slice of what is pointed to
	size uintptr
	elem node
}

func (*pointer) min() int                 { return 1 }
func (x *pointer) schema(b []byte) []byte { return x.elem.schema(append(b, '*')) }

func (x *pointer) append(e *encoder, dst []byte, v view) ([]byte, error) {
	total, mark := 0, len(e.runs)
	for _, r := range v.runs {
		for i := range r.n {
			p := *(*unsafe.Pointer)(v.at(r, i))
			if p == nil {
				dst = append(dst, 0)
				continue
			}
			dst = append(dst, 1)
			e.runs = append(e.runs, run{p, 1})
			total++
		}
	}
	return e.child(dst, x.elem, mark, x.size, total)
}

func (x *pointer) decode(src []byte, t target) ([]byte, error) {
	if t.n > len(src) {
		return nil, fmt.Errorf("%s: %w", x.path, short(t.n, len(src)))
	}
	present, rest := src[:t.n], src[t.n:]
	total := 0
	for _, b := range present {
		if b > 1 {
			return nil, fmt.Errorf("%s: a presence byte of %d: %w", x.path, b, ErrCorrupt)
		}
		total += int(b)
	}
	var elems unsafe.Pointer
	var err error
	if total > 0 {
		if elems, rest, err = decodeFresh(rest, x.elem, x.typ, x.size, total); err != nil {
			return nil, fmt.Errorf("%s: %w", x.path, err)
		}
	}
	at := 0
	for i, b := range present {
		if b == 0 {
			*(*unsafe.Pointer)(t.at(i)) = nil
			continue
		}
		*(*unsafe.Pointer)(t.at(i)) = unsafe.Add(elems, uintptr(at)*x.size)
		at++
	}
	return rest, nil
}
