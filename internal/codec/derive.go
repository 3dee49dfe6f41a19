package codec

import (
	"fmt"
	"reflect"
	"slices"
	"time"
)

// deriver makes the nodes of a type and remembers where it is, for the errors.
type deriver struct {
	root  reflect.Type
	above []reflect.Type // the structs around, to find one inside itself
}

func derive(t reflect.Type) (node, error) {
	d := deriver{root: t}
	name := t.Name()
	if name == "" {
		name = "value"
	}
	return d.node(t, name)
}

// refuse is the error of a type that cannot be encoded; path is the field.
func (d *deriver) refuse(path string, t reflect.Type, why string) error {
	return fmt.Errorf("codec: type %s cannot be encoded: %s (%s): %s", d.root, path, t, why)
}

const remedy = "; give its type MarshalBinary and UnmarshalBinary, or leave it out"

var numbers = map[reflect.Kind]struct {
	name  string
	width int
}{
	reflect.Bool: {"bool", 1}, reflect.Int8: {"i8", 1}, reflect.Int16: {"i16", 2}, reflect.Int32: {"i32", 4}, reflect.Int64: {"i64", 8},
	reflect.Int: {"i64", 8}, reflect.Uint8: {"u8", 1}, reflect.Uint16: {"u16", 2}, reflect.Uint32: {"u32", 4}, reflect.Uint64: {"u64", 8},
	reflect.Uint: {"u64", 8}, reflect.Float32: {"f32", 4}, reflect.Float64: {"f64", 8},
}

func (d *deriver) node(t reflect.Type, path string) (node, error) {
	if t == reflect.TypeFor[time.Time]() {
		return &moment{path}, nil
	}
	if marshalsItself(t) && t.Name() != "" {
		return &opaque{path, t}, nil
	}
	if n, ok := numbers[t.Kind()]; ok {
		return &fixed{name: n.name, width: n.width, count: 1, bool: n.name == "bool"}, nil
	}
	switch t.Kind() {
	case reflect.String:
		return &text{path}, nil
	case reflect.Slice:
		if e := t.Elem(); e.Kind() == reflect.Uint8 && !marshalsItself(e) {
			return &blob{path}, nil
		}
		elem, err := d.element(t.Elem(), path+"[]")
		if err != nil {
			return nil, err
		}
		return &list{path, reflect.SliceOf(t.Elem()), t.Elem().Size(), elem}, nil
	case reflect.Pointer:
		elem, err := d.element(t.Elem(), path)
		if err != nil {
			return nil, err
		}
		return &pointer{path, reflect.SliceOf(t.Elem()), t.Elem().Size(), elem}, nil
	case reflect.Map:
		key, err := d.element(t.Key(), path+"[key]")
		if err != nil {
			return nil, err
		}
		val, err := d.element(t.Elem(), path+"[value]")
		if err != nil {
			return nil, err
		}
		return &dict{path, t, reflect.SliceOf(t.Key()), reflect.SliceOf(t.Elem()), key, val}, nil
	case reflect.Array:
		return d.array(t, path)
	case reflect.Struct:
		return d.record(t, path)
	case reflect.Interface:
		return nil, d.refuse(path, t, "an interface does not say which type it holds"+remedy)
	}
	return nil, d.refuse(path, t, "a "+t.Kind().String()+" has no encoding"+remedy)
}

// maxInflation bounds how much memory a type takes for a byte that it is read from.
const maxInflation = 16

// element derives what decoding makes memory for.
func (d *deriver) element(t reflect.Type, path string) (node, error) {
	n, err := d.node(t, path)
	if err == nil && int(t.Size()) > maxInflation*n.min() {
		err = d.refuse(path, t, fmt.Sprintf("%d bytes of memory for as few as %d encoded ones: it is mostly padding", t.Size(), n.min()))
	}
	return n, err
}

// array makes one column of bytes out of arrays of numbers, however nested.
func (d *deriver) array(t reflect.Type, path string) (node, error) {
	elem, err := d.node(t.Elem(), path+"[]")
	if err != nil {
		return nil, err
	}
	if f, ok := elem.(*fixed); ok {
		g := *f
		g.dims, g.count = slices.Concat([]int{t.Len()}, f.dims), f.count*t.Len()
		return &g, nil
	}
	return &array{t.Len(), t.Elem().Size(), elem}, nil
}

func (d *deriver) record(t reflect.Type, path string) (node, error) {
	if slices.Contains(d.above, t) {
		return nil, d.refuse(path, t, "the type contains itself"+remedy)
	}
	d.above = append(d.above, t)
	defer func() { d.above = d.above[:len(d.above)-1] }()
	s := &record{}
	for i := range t.NumField() {
		f := t.Field(i)
		at := path + "." + f.Name
		if !f.IsExported() && !(f.Anonymous && f.Type.Kind() == reflect.Struct) {
			return nil, d.refuse(at, f.Type, "the field is not exported; export it, or give "+t.String()+" MarshalBinary and UnmarshalBinary")
		}
		n, err := d.node(f.Type, at)
		if err != nil {
			return nil, err
		}
		s.fields = append(s.fields, recordField{f.Name, f.Offset, n})
		s.least += n.min()
	}
	return s, nil
}
