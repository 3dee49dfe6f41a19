package codec

import (
	"encoding"
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"time"
)

// moment is a column of time.Time: a byte each that says how, then 8 bytes each, then 4 bytes for each far one. A time comes back in UTC,
// without its monotonic reading.
type moment struct{ path string }

const (
	momentNear = 0 // nanoseconds since 1970
	momentZero = 1 // the zero Time; its 8 bytes are 0
	momentFar  = 2 // seconds since 1970; nanoseconds follow after the column
)

func (*moment) min() int               { return 9 }
func (*moment) schema(b []byte) []byte { return append(b, "time"...) }

// What fits into 64 bits of nanoseconds: 1677 to 2262.
var earliest, latest = time.Unix(0, -1<<63), time.Unix(0, 1<<63-1)

func momentKind(t time.Time) byte {
	switch {
	case t.IsZero():
		return momentZero
	case t.Before(earliest) || t.After(latest):
		return momentFar
	}
	return momentNear
}

func (*moment) append(_ *encoder, dst []byte, v view) ([]byte, error) {
	dst = slices.Grow(dst, v.n*9)
	far := 0
	for _, r := range v.runs {
		for i := range r.n {
			k := momentKind(*(*time.Time)(v.at(r, i)))
			dst = append(dst, k)
			if k == momentFar {
				far++
			}
		}
	}
	for _, r := range v.runs {
		for i := range r.n {
			var x int64
			switch t := (*time.Time)(v.at(r, i)); momentKind(*t) {
			case momentNear:
				x = t.UnixNano()
			case momentFar:
				x = t.Unix()
			}
			dst = binary.LittleEndian.AppendUint64(dst, uint64(x))
		}
	}
	for i := 0; far > 0 && i < len(v.runs); i++ {
		for j := range v.runs[i].n {
			if t := (*time.Time)(v.at(v.runs[i], j)); momentKind(*t) == momentFar {
				dst = binary.LittleEndian.AppendUint32(dst, uint32(t.Nanosecond()))
			}
		}
	}
	return dst, nil
}

func (x *moment) decode(src []byte, t target) ([]byte, error) {
	if t.n > len(src)/9 {
		return nil, fmt.Errorf("%s: %w", x.path, short(t.n*9, len(src)))
	}
	kinds, values, rest := src[:t.n], src[t.n:9*t.n], src[9*t.n:]
	for i, k := range kinds {
		v := int64(binary.LittleEndian.Uint64(values[8*i:]))
		at := time.Time{}
		switch k {
		case momentNear:
			at = time.Unix(0, v).UTC()
		case momentZero:
			if v != 0 {
				return nil, fmt.Errorf("%s: a zero time of %d: %w", x.path, v, ErrCorrupt)
			}
		case momentFar:
			if len(rest) < 4 {
				return nil, fmt.Errorf("%s: %w", x.path, short(4, len(rest)))
			}
			ns := binary.LittleEndian.Uint32(rest)
			if ns >= 1e9 {
				return nil, fmt.Errorf("%s: %d nanoseconds of a second: %w", x.path, ns, ErrCorrupt)
			}
			at, rest = time.Unix(v, int64(ns)).UTC(), rest[4:]
		default:
			return nil, fmt.Errorf("%s: a time of kind %d: %w", x.path, k, ErrCorrupt)
		}
		*(*time.Time)(t.at(i)) = at
	}
	return rest, nil
}

// opaque is a column of a type that marshals itself: lengths, then all bytes, as for strings.
type opaque struct {
	path string
	typ  reflect.Type
}

var (
	marshaler   = reflect.TypeFor[encoding.BinaryMarshaler]()
	unmarshaler = reflect.TypeFor[encoding.BinaryUnmarshaler]()
)

// marshalsItself reports whether a *T has the pair of methods; T's own methods are among them.
func marshalsItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return t.Kind() != reflect.Interface && p.Implements(marshaler) && p.Implements(unmarshaler)
}

func (*opaque) min() int { return width16 }

func (x *opaque) schema(b []byte) []byte {
	b = append(b, "binary("...)
	return append(strconv.AppendQuote(b, x.typ.PkgPath()+"."+x.typ.Name()), ')')
}

func (x *opaque) append(_ *encoder, dst []byte, v view) ([]byte, error) {
	var all []byte
	ends := make([]int, 0, v.n)
	longest := 0
	for _, r := range v.runs {
		for i := range r.n {
			b, err := reflect.NewAt(x.typ, v.at(r, i)).Interface().(encoding.BinaryMarshaler).MarshalBinary()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", x.path, err)
			}
			all = append(all, b...)
			longest = max(longest, len(b))
			ends = append(ends, len(all))
		}
	}
	dst, width, ok := appendWidth(dst, longest, v.n)
	if !ok {
		return nil, fmt.Errorf("%s: MarshalBinary gave %d bytes: at most 4 GiB can be encoded", x.path, longest)
	}
	begin := 0
	for _, end := range ends {
		dst = appendLength(dst, width, end-begin)
		begin = end
	}
	return append(dst, all...), nil
}

func (x *opaque) decode(src []byte, t target) ([]byte, error) {
	l, rest, err := takeLengths(src, t.n)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", x.path, err)
	}
	for i := range t.n {
		n := l.at(i)
		if n > len(rest) {
			return nil, fmt.Errorf("%s: %w", x.path, short(n, len(rest)))
		}
		// UnmarshalBinary must copy what it keeps, and may rely on a zero value, as by encoding/gob.
		p := reflect.NewAt(x.typ, t.at(i))
		p.Elem().SetZero()
		if err := p.Interface().(encoding.BinaryUnmarshaler).UnmarshalBinary(rest[:n:n]); err != nil {
			return nil, fmt.Errorf("%s: %w: %w", x.path, ErrCorrupt, err)
		}
		rest = rest[n:]
	}
	return rest, nil
}
