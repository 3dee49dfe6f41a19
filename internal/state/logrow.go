package state

import (
	"fmt"
	"reflect"
	"unsafe"

	"github.com/thalweg-io/thalweg/internal/codec"
)

// A row is one record of a Log. It is not changed, but for its link, which says nothing outside of the call, or the index, that uses it:
//
//	0   hash       u64
//	8   time       i64
//	16  link       u64   offset of another row of the same key
//	24  size       u32   of all of it, a multiple of 8
//	28  interval   u32   that it was added in
//	32  lengths    2 u32 of the encoded key and the encoded value; only if there is one
//	..  key              as it is in memory, unless the hash is the key or it is encoded
//	..  value            as it is in memory, if it has no pointer
//	..  encoded key, encoded value
type logRow struct {
	hash           uint64
	at             int64
	link           uint64
	size, interval uint32
}

// rowForm is how the rows of a log are made.
type rowForm[K comparable, V any] struct {
	keys    *layout[K]
	vals    boxes[V] // if values are boxed
	boxed   bool
	lengths bool    // rows have lengths
	keyOff  uintptr // of what is in the row as it is in memory
	valOff  uintptr
	head    uintptr // size of a row, up to what is encoded

	one      [1]V // scratch: a boxed value
	keyBytes []byte
	valBytes []byte
}

func newRowForm[K comparable, V any](vals codec.Codec[V]) (f rowForm[K, V], err error) {
	if f.keys, err = newLayout[K](0, 1, false); err != nil {
		return f, err
	}
	size, fixed := codec.FixedSize[V]()
	f.boxed = !fixed
	f.lengths = f.boxed || f.keys.mode >= keyText
	end := unsafe.Sizeof(logRow{})
	if f.lengths {
		end += 8
	}
	f.keyOff = end
	if f.keys.mode == keyInline {
		f.keyOff = roundUp(end, uintptr(reflect.TypeFor[K]().Align()))
		end = f.keyOff + reflect.TypeFor[K]().Size()
	}
	f.valOff = end
	if f.boxed {
		f.vals = newBoxes(vals)
	} else {
		f.valOff = roundUp(end, uintptr(reflect.TypeFor[V]().Align()))
		end = f.valOff + uintptr(size)
		if size == 0 {
			f.valOff = 0 // a pointer to nothing must still point into the row
		}
	}
	f.head = roundUp(end, 8)
	return f, nil
}

// another is the same form for use by another goroutine.
func (f *rowForm[K, V]) another() rowForm[K, V] {
	o := *f
	keys := f.keys.another()
	o.keys, o.keyBytes, o.valBytes = &keys, nil, nil
	if o.boxed {
		o.vals = f.vals.another()
	}
	return o
}

// measure encodes what has to be, and gives the size of the row. put must follow.
func (f *rowForm[K, V]) measure(key *K, v *V) (size int, err error) {
	f.keyBytes = nil
	if f.keys.mode >= keyText {
		if f.keyBytes, err = f.keys.bytes(key); err != nil {
			return 0, err
		}
	}
	if f.boxed {
		if f.valBytes, err = f.vals.box(v); err != nil {
			return 0, err
		}
	}
	n := len(f.valBytes)
	if n > maxBlob || len(f.keyBytes) > maxBlob {
		return 0, fmt.Errorf("a record of %d bytes: one can have %d", n+len(f.keyBytes), maxBlob)
	}
	return int(roundUp(f.head+uintptr(len(f.keyBytes)+n), 8)), nil
}

// put writes key and value to a row.
func (f *rowForm[K, V]) put(row unsafe.Pointer, key *K, v *V) {
	if f.keys.mode == keyInline {
		*(*K)(unsafe.Add(row, f.keyOff)) = *key
	}
	if !f.boxed {
		*(*V)(unsafe.Add(row, f.valOff)) = *v
	}
	if !f.lengths {
		return
	}
	lengths, n := f.lengthsOf(row), len(f.keyBytes)
	lengths[0], lengths[1] = uint32(n), 0
	copy(f.rest(row, 0, n), f.keyBytes)
	if f.boxed {
		lengths[1] = uint32(len(f.valBytes))
		copy(f.rest(row, n, len(f.valBytes)), f.valBytes)
	}
}

func (f *rowForm[K, V]) lengthsOf(row unsafe.Pointer) *[2]uint32 {
	return (*[2]uint32)(unsafe.Add(row, unsafe.Sizeof(logRow{})))
}

// rest is n bytes of what is encoded.
func (f *rowForm[K, V]) rest(row unsafe.Pointer, from, n int) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(row, f.head+uintptr(from))), n)
}

// holds compares the key of a row whose hash is right.
func (f *rowForm[K, V]) holds(row unsafe.Pointer, key *K) bool {
	switch f.keys.mode {
	case keyIsHash:
		return true
	case keyInline:
		return *(*K)(unsafe.Add(row, f.keyOff)) == *key
	case keyText:
		return string(f.text(row)) == *(*string)(unsafe.Pointer(key))
	}
	b, err := f.keys.boxes.box(key)
	return err == nil && string(f.text(row)) == string(b)
}

// text is the encoded key of a row.
func (f *rowForm[K, V]) text(row unsafe.Pointer) []byte {
	return f.rest(row, 0, int(f.lengthsOf(row)[0]))
}

// box is the encoded value of a row, if values are boxed.
func (f *rowForm[K, V]) box(row unsafe.Pointer) []byte {
	lengths := f.lengthsOf(row)
	return f.rest(row, int(lengths[0]), int(lengths[1]))
}

// same compares the key of a row with that of another one, of a form with the same keys. Their hashes are equal.
func sameKey[K comparable, A, B any](a *rowForm[K, A], x unsafe.Pointer, b *rowForm[K, B], y unsafe.Pointer) bool {
	switch a.keys.mode {
	case keyIsHash:
		return true
	case keyInline:
		return *(*K)(unsafe.Add(x, a.keyOff)) == *(*K)(unsafe.Add(y, b.keyOff))
	}
	return string(a.text(x)) == string(b.text(y))
}

// key is that of a row, a copy.
func (f *rowForm[K, V]) key(row unsafe.Pointer) (k K) {
	switch f.keys.mode {
	case keyIsHash:
		return codec.KeyOf[K]((*logRow)(row).hash)
	case keyInline:
		return *(*K)(unsafe.Add(row, f.keyOff))
	}
	return f.keys.keyOf(f.text(row))
}

// value is that of a row; of a boxed one a copy, valid until the next call.
func (f *rowForm[K, V]) value(row unsafe.Pointer) *V {
	if !f.boxed {
		return (*V)(unsafe.Add(row, f.valOff))
	}
	f.vals.unbox(f.box(row), &f.one[0])
	return &f.one[0]
}
