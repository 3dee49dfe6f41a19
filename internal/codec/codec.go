// Package codec turns batches of Go values into bytes and back, column by column, and gives keys their stable hash.
//
// A codec is derived from a type once, by reflection, into a tree of column loops over field offsets; encoding a batch then uses no reflection
// (maps aside) and allocates nothing per value: what decoding allocates is one piece of memory per column of strings, byte slices, slices or
// pointers. The package owns the byte layout of a batch (docs/format/columns.md), the canonical schema text, and the hash of keys
// (docs/format/hash.md). All three are written to checkpoints, so they never change under a version of those.
//
// It never frames, checksums or counts: how many values follow is the caller's to write. It does no I/O and starts no goroutine.
package codec

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"unsafe"
)

// ErrCorrupt marks every error that says that bytes are not what an encoder wrote.
var ErrCorrupt = errors.New("corrupt")

// int and uint travel as 8 bytes and must have 8 here.
const _ uint = 1 << 63

// A Codec encodes batches of T. It is safe for concurrent use.
type Codec[T any] interface {
	// Append appends the columns of vs to dst: each field of all values whole, then the next field. No values are no bytes. It keeps neither
	// argument. An error (a string of 4 GiB, a failing MarshalBinary) names the field; the bytes returned with it are dst's.
	Append(dst []byte, vs []T) ([]byte, error)

	// Decode fills dst[:len(dst)], whatever was in it, and returns what follows in src. Strings and slices point into fresh memory, never into
	// src. Bytes that no encoder wrote are an error marked ErrCorrupt, never a panic; dst is then undefined. The caller bounds len(dst) by
	// Schema.MinSize before it allocates; what Decode itself allocates is at most 16 times len(src), but for maps, which cost what a Go map
	// of that many entries costs.
	Decode(src []byte, dst []T) (rest []byte, err error)

	// Schema describes the type as it is encoded.
	Schema() Schema
}

// For derives the codec of T: bool, integers, floats, string, []byte, time.Time (as UTC), arrays, slices, maps, pointers and structs of these,
// and types with MarshalBinary and UnmarshalBinary of their own. Anything else is an error that names the field. The codec is derived once per
// type and process.
func For[T any]() (Codec[T], error) {
	t := reflect.TypeFor[T]()
	if c, ok := codecs.Load(t); ok {
		return c.(*columns[T]), nil
	}
	root, err := derive(t)
	if err != nil {
		return nil, err
	}
	c, _ := codecs.LoadOrStore(t, &columns[T]{root: root, schema: newSchema(root)})
	return c.(*columns[T]), nil
}

var codecs sync.Map // reflect.Type -> *columns[T]

// columns is the derived codec.
type columns[T any] struct {
	root   node
	schema Schema
}

func (c *columns[T]) Schema() Schema { return c.schema }

func (c *columns[T]) Append(dst []byte, vs []T) ([]byte, error) {
	if len(vs) == 0 {
		return dst, nil
	}
	e := encoders.Get().(*encoder)
	defer e.release()
	runs := append(e.runs, run{unsafe.Pointer(unsafe.SliceData(vs)), len(vs)})
	e.runs = runs
	out, err := c.root.append(e, dst, view{runs: runs, stride: unsafe.Sizeof(vs[0]), n: len(vs)})
	if err != nil {
		return dst, fmt.Errorf("codec: %w", err)
	}
	return out, nil
}

func (c *columns[T]) Decode(src []byte, dst []T) ([]byte, error) {
	if len(dst) == 0 {
		return src, nil
	}
	if need := c.root.min(); need > 0 && len(dst) > len(src)/need {
		return nil, fmt.Errorf("codec: %d values of %d bytes or more in %d bytes: %w", len(dst), need, len(src), ErrCorrupt)
	}
	rest, err := c.root.decode(src, target{unsafe.Pointer(unsafe.SliceData(dst)), unsafe.Sizeof(dst[0]), len(dst)})
	if err != nil {
		return nil, fmt.Errorf("codec: %w", err)
	}
	return rest, nil
}

// FixedSize tells the size in memory of a T that holds no Go pointer, so that its bytes may lie outside of the Go heap; otherwise ok is false.
// Such a T is still encoded by its codec: memory has padding and a byte order, files have not.
func FixedSize[T any]() (size int, ok bool) {
	t := reflect.TypeFor[T]()
	return int(t.Size()), pointerFree(t)
}

func pointerFree(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		return true
	case reflect.Array:
		return t.Len() == 0 || pointerFree(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if !pointerFree(t.Field(i).Type) {
				return false
			}
		}
		return true
	}
	return false
}
