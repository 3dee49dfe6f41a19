package codec

import (
	"fmt"
	"reflect"
)

// dict is a column of maps: numbers of entries, one higher, 0 being nil; then all keys as one column, then all values. The order of a map's
// entries is not fixed. Only here does a record cost reflection: Go has no other way into a map whose type is not known.
type dict struct {
	path       string
	typ        reflect.Type
	keys, vals reflect.Type // slices of the key and value types
	key, val   node
}

func (*dict) min() int { return width16 }

func (d *dict) schema(b []byte) []byte {
	b = d.key.schema(append(b, "map["...))
	return d.val.schema(append(b, ']'))
}

func (d *dict) append(e *encoder, dst []byte, v view) ([]byte, error) {
	largest, total := 0, 0
	for _, r := range v.runs {
		for i := range r.n {
			n := reflect.NewAt(d.typ, v.at(r, i)).Elem().Len()
			largest, total = max(largest, n), total+n
		}
	}
	dst, width, ok := appendWidth(dst, largest+1, v.n)
	if !ok {
		return nil, fmt.Errorf("%s: a map of %d entries: at most %d can be encoded", d.path, largest, 1<<32-2)
	}
	keys, vals := reflect.MakeSlice(d.keys, total, total), reflect.MakeSlice(d.vals, total, total)
	at := 0
	var iter reflect.MapIter
	for _, r := range v.runs {
		for i := range r.n {
			m := reflect.NewAt(d.typ, v.at(r, i)).Elem()
			n := 0
			if !m.IsNil() {
				n = m.Len() + 1
			}
			dst = appendLength(dst, width, n)
			for iter.Reset(m); iter.Next(); at++ {
				keys.Index(at).SetIterKey(&iter)
				vals.Index(at).SetIterValue(&iter)
			}
		}
	}
	mark := len(e.runs)
	e.runs = append(e.runs, run{keys.UnsafePointer(), total})
	dst, err := e.child(dst, d.key, mark, d.keys.Elem().Size(), total)
	if err != nil {
		return nil, err
	}
	e.runs = append(e.runs, run{vals.UnsafePointer(), total})
	return e.child(dst, d.val, mark, d.vals.Elem().Size(), total)
}

func (d *dict) decode(src []byte, t target) ([]byte, error) {
	ls, rest, err := takeLengths(src, t.n)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.path, err)
	}
	total := ls.elements(t.n)
	switch least := d.key.min() + d.val.min(); {
	case least > 0 && total > len(rest)/least:
		return nil, fmt.Errorf("%s: %w", d.path, short(total*least, len(rest)))
	case least == 0 && total > t.n: // keys without bytes are all equal
		return nil, fmt.Errorf("%s: %d equal keys in %d maps: %w", d.path, total, t.n, ErrCorrupt)
	}
	keys, vals := reflect.MakeSlice(d.keys, total, total), reflect.MakeSlice(d.vals, total, total)
	if total > 0 {
		if rest, err = d.key.decode(rest, target{keys.UnsafePointer(), d.keys.Elem().Size(), total}); err != nil {
			return nil, fmt.Errorf("%s: key: %w", d.path, err)
		}
		if rest, err = d.val.decode(rest, target{vals.UnsafePointer(), d.vals.Elem().Size(), total}); err != nil {
			return nil, fmt.Errorf("%s: value: %w", d.path, err)
		}
	}
	at := 0
	for i := range t.n {
		n := ls.at(i)
		if n == 0 {
			reflect.NewAt(d.typ, t.at(i)).Elem().SetZero()
			continue
		}
		m := reflect.MakeMapWithSize(d.typ, n-1)
		for range n - 1 {
			m.SetMapIndex(keys.Index(at), vals.Index(at))
			at++
		}
		if m.Len() != n-1 {
			return nil, fmt.Errorf("%s: a map of %d entries has %d equal keys: %w", d.path, n-1, n-1-m.Len(), ErrCorrupt)
		}
		reflect.NewAt(d.typ, t.at(i)).Elem().Set(m)
	}
	return rest, nil
}
