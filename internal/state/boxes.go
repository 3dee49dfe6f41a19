package state

import (
	"fmt"
	"slices"

	"github.com/thalweg-io/thalweg/internal/codec"
)

// boxes turn single values T, which cannot lie in memory as they are, into bytes and back: packed, or what the codec gives if they cannot be. Only this
// package writes such bytes, and reads no others. They are used by one goroutine.
type boxes[T any] struct {
	codec codec.Codec[T]
	pack  *codec.Packer[T] // nil: there is none for T
	one   [1]T             // scratch of the codec: an own variable would be an allocation
	buf   []byte
}

func newBoxes[T any](c codec.Codec[T]) boxes[T] {
	p, _ := codec.PackerOf[T]()
	return boxes[T]{codec: c, pack: p}
}

// another is the same for use by another goroutine.
func (x *boxes[T]) another() boxes[T] { return newBoxes(x.codec) }

// box gives the bytes of v; valid until the next call.
func (x *boxes[T]) box(v *T) ([]byte, error) {
	if x.pack != nil {
		n := x.pack.Size(v)
		x.buf = slices.Grow(x.buf[:0], n)[:n]
		x.pack.Pack(x.buf, v)
		return x.buf, nil
	}
	x.one[0] = *v
	b, err := x.codec.Append(x.buf[:0], x.one[:])
	clear(x.one[:])
	if err != nil {
		return nil, err
	}
	x.buf = b
	return b, nil
}

// unbox overwrites v with the value of these bytes. No bytes are the zero value: one that was added and not set.
func (x *boxes[T]) unbox(b []byte, v *T) { x.fill(b, v, false) }

// refill is unbox for a v whose slices nobody else has: their memory is used again.
func (x *boxes[T]) refill(b []byte, v *T) { x.fill(b, v, true) }

func (x *boxes[T]) fill(b []byte, v *T, again bool) {
	switch {
	case len(b) == 0:
		var zero T
		*v = zero
	case x.pack == nil:
		if _, err := x.codec.Decode(b, x.one[:]); err != nil {
			panic(fmt.Sprintf("state: %d bytes of a %T do not decode: %v", len(b), *v, err))
		}
		*v = x.one[0]
		clear(x.one[:])
	case again:
		x.pack.Refill(b, v)
	default:
		x.pack.Unpack(b, v)
	}
}
