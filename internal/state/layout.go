package state

import (
	"reflect"
	"unsafe"

	"github.com/thalweg-io/thalweg/internal/codec"
)

// A slot is one entry of a table:
//
//	0   word   u64   hash << 8 | 0x80 | stamp; 0: the slot is empty. The top 8 bits of the hash follow from the segment the slot is in.
//	8   key          nothing if the hash is the key; the key as it is in memory; or a ref to its encoded bytes
//	..  value        the value as it is in memory, or a ref to its encoded bytes
//
// The stamp (7 bits) is 0: it is there for snapshots beside the task.
const (
	occupied   = 0x80
	stampMask  = 0x7f
	hashInWord = 8
)

// keyMode is how a key lies in its slot.
type keyMode uint8

const (
	keyIsHash keyMode = iota // integers: the hash has an inverse
	keyInline
	keyText    // strings: a ref to their bytes
	keyEncoded // a ref to their bytes: packed. A key that can be hashed can be packed, unless it has an array of very many strings
)

// What is larger than this lies outside of the slot, so that probing does not walk over it.
const (
	maxInlineKey   = 64
	maxInlineValue = 128
)

// layout is how the slots of a table are made. keys and values of the same types always have the same.
type layout[K comparable] struct {
	mode   keyMode
	keyOff uintptr
	valOff uintptr
	boxed  bool    // the value is a ref
	size   uintptr // of a slot
	line   uint32  // slots that are compared together: probing begins at a multiple of this
	load   uint32  // of 128 slots, how many may be in use

	hash  func(K) uint64
	boxes boxes[K] // of keyEncoded
	texts codec.Texts
}

// newLayout lays out keys K and values of valSize bytes; boxed values are refs.
func newLayout[K comparable](valSize, valAlign uintptr, boxed bool) (*layout[K], error) {
	l := &layout[K]{boxed: boxed, line: 1, load: 83}
	var err error
	if l.hash, err = codec.Hasher[K](); err != nil {
		return nil, err
	}
	keys, err := codec.For[K]()
	if err != nil {
		return nil, err
	}
	size, fixed := codec.FixedSize[K]()
	end, align := uintptr(8), uintptr(1)
	switch {
	case codec.HashIsKey[K]():
		l.mode, size = keyIsHash, 0
	case fixed && size <= maxInlineKey:
		l.mode, align = keyInline, uintptr(reflect.TypeFor[K]().Align())
	case reflect.TypeFor[K]().Kind() == reflect.String:
		l.mode, size, align = keyText, 8, 8
	default:
		l.mode, size, align = keyEncoded, 8, 8
		l.boxes = newBoxes(keys)
	}
	l.keyOff = roundUp(end, align)
	end = l.keyOff + uintptr(size)
	if boxed {
		valSize, valAlign = 8, 8
	}
	l.valOff = roundUp(end, valAlign)
	if valSize == 0 {
		l.valOff = 0 // a pointer to nothing must still point into the slot
	}
	l.size = roundUp(max(end, l.valOff+valSize), 8)
	if lineSize%l.size == 0 {
		l.line, l.load = uint32(lineSize/l.size), 90 // a line of slots costs one miss, however full
	}
	return l, nil
}

// another is the same layout for use by another goroutine.
func (l *layout[K]) another() layout[K] {
	o := *l
	o.texts = codec.Texts{}
	if o.mode == keyEncoded {
		o.boxes = l.boxes.another()
	}
	return o
}

func roundUp(n, to uintptr) uintptr { return (n + to - 1) &^ (to - 1) }

// inlined reports whether a value of this type lies in its slot.
func inlined[V any]() (size, align uintptr, ok bool) {
	n, fixed := codec.FixedSize[V]()
	return uintptr(n), uintptr(reflect.TypeFor[V]().Align()), fixed && n <= maxInlineValue
}

// bytes are what a keyText or keyEncoded key is kept as; valid until the next call.
func (l *layout[K]) bytes(key *K) ([]byte, error) {
	if l.mode == keyText {
		s := *(*string)(unsafe.Pointer(key))
		return unsafe.Slice(unsafe.StringData(s), len(s)), nil
	}
	return l.boxes.box(key)
}

// keyAt is the key of a slot, a copy.
func (l *layout[K]) keyAt(s *space, slot unsafe.Pointer, hash uint64) K {
	switch l.mode {
	case keyIsHash:
		return codec.KeyOf[K](hash)
	case keyInline:
		return *(*K)(unsafe.Add(slot, l.keyOff))
	}
	return l.keyOf(s.blob(*(*ref)(unsafe.Add(slot, l.keyOff))))
}

// keyOf is the key of these bytes, a copy.
func (l *layout[K]) keyOf(b []byte) (k K) {
	if l.mode == keyText {
		str := l.texts.String(b)
		return *(*K)(unsafe.Pointer(&str))
	}
	l.boxes.unbox(b, &k)
	return k
}

// keyView is keyAt without the copy of a string: valid until the space changes.
func (l *layout[K]) keyView(s *space, slot unsafe.Pointer, hash uint64) K {
	if l.mode != keyText {
		return l.keyAt(s, slot, hash)
	}
	b := s.blob(*(*ref)(unsafe.Add(slot, l.keyOff)))
	str := unsafe.String(unsafe.SliceData(b), len(b))
	return *(*K)(unsafe.Pointer(&str))
}
