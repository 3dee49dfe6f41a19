package codec

import (
	"reflect"
	"unsafe"
)

// Weights tell how many bytes values take when they are encoded, before they are: who frames batches needs it to bound what it makes. Lengths count
// as if each were alone, so a batch may take up to twice its weight, in lengths of long strings. What marshals itself weighs its least.
type Weights[T any] struct {
	each int  // of every value, if root is nil
	root node // nil: all values weigh the same, or nothing is known of them
}

// WeightsOf a codec. Of one that For has not derived only the least is known.
func WeightsOf[T any](c Codec[T]) Weights[T] {
	w := Weights[T]{each: c.Schema().MinSize()}
	if d, ok := c.(*columns[T]); ok && !evenly(d.root) {
		w.root = d.root
	}
	return w
}

// Each is the weight of every value, or, unless even, the least one.
func (w Weights[T]) Each() (n int, even bool) { return w.each, w.root == nil }

// Of fills dst[:len(vs)] with the values' weights.
func (w Weights[T]) Of(dst []int, vs []T) {
	dst = dst[:len(vs)]
	for i := range dst {
		dst[i] = w.each
	}
	if w.root != nil && len(vs) > 0 {
		weigh(w.root, dst, target{unsafe.Pointer(unsafe.SliceData(vs)), unsafe.Sizeof(vs[0]), len(vs)})
	}
}

// evenly: all values of a column take equally many bytes.
func evenly(n node) bool {
	switch n := n.(type) {
	case *fixed, *moment, *opaque:
		return true
	case *array:
		return n.len == 0 || evenly(n.elem)
	case *record:
		for _, f := range n.fields {
			if !evenly(f.node) {
				return false
			}
		}
		return true
	}
	return false
}

// weigh adds what each value of a column takes beyond its least.
func weigh(n node, dst []int, t target) {
	switch n := n.(type) {
	case *record:
		for i := range n.fields {
			weigh(n.fields[i].node, dst, t.field(n.fields[i].off))
		}
	case *array:
		for i := range n.len {
			weigh(n.elem, dst, t.field(uintptr(i)*n.size))
		}
	case *text:
		for i := range dst {
			dst[i] += len(*(*string)(t.at(i)))
		}
	case *blob:
		for i := range dst {
			dst[i] += len(*(*[]byte)(t.at(i)))
		}
	case *list:
		for i := range dst {
			h := (*sliceHeader)(t.at(i))
			dst[i] += below(n.elem, target{h.p, n.size, h.len})
		}
	case *pointer:
		for i := range dst {
			if p := *(*unsafe.Pointer)(t.at(i)); p != nil {
				dst[i] += below(n.elem, target{p, n.size, 1})
			}
		}
	case *dict:
		for i := range dst {
			dst[i] += n.weigh(reflect.NewAt(n.typ, t.at(i)).Elem())
		}
	}
}

// below is what the values of a target weigh together.
func below(n node, t target) int {
	sum := t.n * n.min()
	if evenly(n) {
		return sum
	}
	for i := range t.n {
		one := [1]int{}
		weigh(n, one[:], target{t.at(i), t.stride, 1})
		sum += one[0]
	}
	return sum
}

// weigh is what the entries of a map weigh. Only entries of even types are not looked at one by one.
func (d *dict) weigh(m reflect.Value) int {
	sum := m.Len() * (d.key.min() + d.val.min())
	if sum == 0 || evenly(d.key) && evenly(d.val) {
		return sum
	}
	key, val := reflect.New(d.keys.Elem()), reflect.New(d.vals.Elem())
	for iter := m.MapRange(); iter.Next(); {
		key.Elem().SetIterKey(iter)
		val.Elem().SetIterValue(iter)
		one := [1]int{}
		weigh(d.key, one[:], target{key.UnsafePointer(), 0, 1})
		weigh(d.val, one[:], target{val.UnsafePointer(), 0, 1})
		sum += one[0]
	}
	return sum
}
