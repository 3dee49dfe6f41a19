package codec

import (
	"fmt"
	"reflect"
	"sync"
	"unsafe"
)

// Hasher derives the stable hash of a key type: bool, integers, string, and arrays and structs of these. Anything else is an error that names
// the field: equal floats or times may have different bytes, an interface or a pointer may hold anything. An integer or bool alone hashes by Mix
// of its value, a string by HashString; arrays and structs fold their parts.
func Hasher[K comparable]() (func(K) uint64, error) {
	l, err := layoutOf(reflect.TypeFor[K]())
	if err != nil {
		return nil, err
	}
	switch l.lone {
	case keyNumber8:
		return func(k K) uint64 { return Mix(*(*uint64)(unsafe.Pointer(&k))) }, nil
	case keyString:
		return func(k K) uint64 { return HashString(*(*string)(unsafe.Pointer(&k))) }, nil
	}
	return func(k K) uint64 { return l.hash(unsafe.Pointer(&k)) }, nil
}

// BatchHasher derives the same hash for batches: the function fills dst[:len(keys)] and allocates nothing.
func BatchHasher[K comparable]() (func(dst []uint64, keys []K), error) {
	l, err := layoutOf(reflect.TypeFor[K]())
	if err != nil {
		return nil, err
	}
	switch l.lone {
	case keyNumber8:
		return func(dst []uint64, keys []K) {
			dst = dst[:len(keys)]
			for i := range keys {
				dst[i] = Mix(*(*uint64)(unsafe.Pointer(&keys[i])))
			}
		}, nil
	case keyString:
		return func(dst []uint64, keys []K) {
			dst = dst[:len(keys)]
			for i := range keys {
				dst[i] = HashString(*(*string)(unsafe.Pointer(&keys[i])))
			}
		}, nil
	}
	if l.lone != keyOther {
		return func(dst []uint64, keys []K) {
			dst = dst[:len(keys)]
			for i := range keys {
				dst[i] = l.hash(unsafe.Pointer(&keys[i]))
			}
		}, nil
	}
	// Part by part of the whole batch: what a part is is asked once, and no key waits for the products of the one before.
	return func(dst []uint64, keys []K) {
		dst = dst[:len(keys)]
		clear(dst)
		for j := range l.parts {
			p := &l.parts[j]
			if p.kind == keyNumber8 {
				for i := range keys {
					dst[i] = Mix(dst[i] ^ *(*uint64)(unsafe.Add(unsafe.Pointer(&keys[i]), p.off)))
				}
				continue
			}
			for i := range keys {
				dst[i] = Mix(dst[i] ^ p.value(unsafe.Pointer(&keys[i])))
			}
		}
	}, nil
}

// HashIsKey reports whether K is an integer or bool, or a named type of one: its hash is a bijection of its value, so that equal hashes are
// equal keys and KeyOf finds the key from the hash.
func HashIsKey[K comparable]() bool {
	l, err := layoutOf(reflect.TypeFor[K]())
	return err == nil && l.lone >= keyNumber1
}

// KeyOf is the key that has this hash, for a K with HashIsKey.
func KeyOf[K comparable](hash uint64) (k K) {
	v := Unmix(hash)
	switch p := unsafe.Pointer(&k); unsafe.Sizeof(k) {
	case 1:
		*(*uint8)(p) = uint8(v)
	case 2:
		*(*uint16)(p) = uint16(v)
	case 4:
		*(*uint32)(p) = uint32(v)
	default:
		*(*uint64)(p) = v
	}
	return k
}

// keyLayout is where the parts of a key lie. It is walked with a switch, not with calls, so that the key stays on the caller's stack.
type keyLayout struct {
	lone  keyKind // what the key is if it is a single number or string, and no array or struct
	parts []keyPart
}

type keyPart struct {
	kind keyKind
	off  uintptr
	len  int // of keyBytes
}

type keyKind uint8

const (
	keyOther  keyKind = iota
	keyString         // HashString
	keyBytes          // an array of bytes: HashBytes
	keyNumber1
	keyNumber2
	keyNumber4
	keyNumber8
	keySigned1 // signed ones are widened with their sign, so that equal numbers of any type are equal keys
	keySigned2
	keySigned4
)

var keyKinds = map[reflect.Kind]keyKind{
	reflect.Bool: keyNumber1, reflect.Uint8: keyNumber1, reflect.Uint16: keyNumber2, reflect.Uint32: keyNumber4, reflect.Uint64: keyNumber8,
	reflect.Uint: keyNumber8, reflect.Int: keyNumber8, reflect.Int64: keyNumber8, reflect.Int8: keySigned1, reflect.Int16: keySigned2,
	reflect.Int32: keySigned4, reflect.String: keyString,
}

// hash folds the parts; a lone number or string is hashed as it is.
func (l *keyLayout) hash(key unsafe.Pointer) uint64 {
	if l.lone != keyOther {
		v := l.parts[0].value(key)
		if l.lone == keyString {
			return v
		}
		return Mix(v)
	}
	h := uint64(0)
	for i := range l.parts {
		h = Mix(h ^ l.parts[i].value(key))
	}
	return h
}

// value is a part as 64 bits: the number, or the hash of the bytes.
func (p *keyPart) value(key unsafe.Pointer) uint64 {
	at := unsafe.Add(key, p.off)
	switch p.kind {
	case keyString:
		return HashString(*(*string)(at))
	case keyBytes:
		return HashBytes(unsafe.Slice((*byte)(at), p.len))
	case keyNumber1:
		return uint64(*(*uint8)(at))
	case keyNumber2:
		return uint64(*(*uint16)(at))
	case keyNumber4:
		return uint64(*(*uint32)(at))
	case keySigned1:
		return uint64(*(*int8)(at))
	case keySigned2:
		return uint64(*(*int16)(at))
	case keySigned4:
		return uint64(*(*int32)(at))
	}
	return *(*uint64)(at)
}

type laidOut struct {
	layout *keyLayout
	err    error
}

var layouts sync.Map // reflect.Type -> laidOut

func layoutOf(t reflect.Type) (*keyLayout, error) {
	if l, ok := layouts.Load(t); ok {
		return l.(laidOut).layout, l.(laidOut).err
	}
	name := t.Name()
	if name == "" {
		name = "key"
	}
	l := &keyLayout{lone: keyKinds[t.Kind()]}
	err := l.lay(t, t, name, 0)
	if err != nil {
		l = nil
	}
	layouts.Store(t, laidOut{l, err})
	return l, err
}

// lay appends the parts of a type that lies at off.
func (l *keyLayout) lay(root, t reflect.Type, path string, off uintptr) error {
	if k, ok := keyKinds[t.Kind()]; ok {
		l.parts = append(l.parts, keyPart{kind: k, off: off})
		return nil
	}
	switch t.Kind() {
	case reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			l.parts = append(l.parts, keyPart{kind: keyBytes, off: off, len: t.Len()})
			return nil
		}
		for i := range t.Len() {
			if err := l.lay(root, t.Elem(), path+"[]", off+uintptr(i)*t.Elem().Size()); err != nil {
				return err
			}
		}
		if t.Len() > 0 {
			return nil
		}
		return (&keyLayout{}).lay(root, t.Elem(), path+"[]", 0) // its element must be a key all the same
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			at := path + "." + f.Name
			if !f.IsExported() && !(f.Anonymous && f.Type.Kind() == reflect.Struct) {
				return fmt.Errorf("codec: type %s cannot be a key: %s is not exported, so it cannot be stored: export it", root, at)
			}
			if err := l.lay(root, f.Type, at, off+f.Offset); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("codec: type %s cannot be a key: %s is of type %s; a key is a bool, an integer, a string, or an array or struct of these",
		root, path, t)
}
