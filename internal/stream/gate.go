package stream

import (
	"encoding/binary"
	"fmt"

	"github.com/thalweg-io/thalweg/internal/codec"
)

// Gate is the typed head of a chain for one incoming edge.
type Gate interface {
	push(e *element) (records int, err error)
	control() Control
}

type gate[T any] struct {
	codec codec.Codec[T]
	next  Input[T]
	batch Batch[T] // decoded into, again and again
}

// NewGate makes the head of a chain for an incoming edge; edge is its id.
func NewGate[T any](t *TaskContext, edge int, c codec.Codec[T], next Input[T]) Gate {
	return &gate[T]{codec: c, next: next}
}

func (g *gate[T]) control() Control { return g.next }

func (g *gate[T]) push(e *element) (int, error) {
	if e.batch != nil {
		b := e.batch.(*Batch[T])
		n := len(b.Values)
		err := g.next.Push(b)
		e.release()
		return n, err
	}
	b := &g.batch
	if err := decodeBatch(e.frame, g.codec, b); err != nil {
		return 0, err
	}
	n := len(b.Values)
	err := g.next.Push(b)
	b.Reset()
	return n, err
}

// The body of a frame of records, docs/format/exchange.md:
//
//	count u32 | flags u8 (1: times, 2: times are raw, 4: hashes) | times | hashes | columns of the codec
//	times: first i64, then count x u32 nanoseconds over it; raw: count x i64; absent: every record has NoTime
const (
	hasTimes  = 1
	rawTimes  = 2
	hasHashes = 4
)

// maxRecords bounds the count of a frame: what a sender may put into one batch.
const maxRecords = 4 * BatchSize

func appendBatch[T any](dst []byte, c codec.Codec[T], b *Batch[T]) ([]byte, error) {
	le := binary.LittleEndian
	n := len(b.Values)
	flags := byte(0)
	first, last := int64(0), int64(0)
	none := true
	for i, t := range b.Times {
		if t != NoTime {
			none = false
		}
		if i == 0 || t < first {
			first = t
		}
		if i == 0 || t > last {
			last = t
		}
	}
	if !none {
		flags |= hasTimes
		if first == NoTime || uint64(last)-uint64(first) > 1<<32-1 {
			flags |= rawTimes
		}
	}
	if len(b.Hashes) > 0 {
		flags |= hasHashes
	}
	dst = le.AppendUint32(dst, uint32(n))
	dst = append(dst, flags)
	switch {
	case flags&rawTimes != 0:
		for _, t := range b.Times {
			dst = le.AppendUint64(dst, uint64(t))
		}
	case flags&hasTimes != 0:
		dst = le.AppendUint64(dst, uint64(first))
		for _, t := range b.Times {
			dst = le.AppendUint32(dst, uint32(t-first))
		}
	}
	for _, h := range b.Hashes {
		dst = le.AppendUint64(dst, h)
	}
	return c.Append(dst, b.Values)
}

func decodeBatch[T any](src []byte, c codec.Codec[T], b *Batch[T]) error {
	le := binary.LittleEndian
	bad := func(what string) error {
		return fmt.Errorf("a frame of records: %s: %w", what, codec.ErrCorrupt)
	}
	if len(src) < 5 {
		return bad("shorter than its header")
	}
	n, flags := int(le.Uint32(src)), src[4]
	src = src[5:]
	if flags&^(hasTimes|rawTimes|hasHashes) != 0 || flags&(hasTimes|rawTimes) == rawTimes {
		return bad(fmt.Sprintf("flags %#x", flags))
	}
	if n == 0 || n > maxRecords {
		return bad(fmt.Sprintf("%d records", n))
	}
	if least := c.Schema().MinSize(); n*least > len(src) {
		return bad(fmt.Sprintf("%d records of at least %d bytes in %d", n, least, len(src)))
	}
	b.Values, b.Times, b.Hashes, b.Split = sized(b.Values, n), sized(b.Times, n), b.Hashes[:0], -1
	switch {
	case flags&rawTimes != 0:
		if len(src) < 8*n {
			return bad("it ends within the times")
		}
		for i := range n {
			b.Times[i] = int64(le.Uint64(src[8*i:]))
		}
		src = src[8*n:]
	case flags&hasTimes != 0:
		if len(src) < 8+4*n {
			return bad("it ends within the times")
		}
		first := int64(le.Uint64(src))
		src = src[8:]
		for i := range n {
			b.Times[i] = first + int64(le.Uint32(src[4*i:]))
		}
		src = src[4*n:]
	default:
		for i := range n {
			b.Times[i] = NoTime
		}
	}
	if flags&hasHashes != 0 {
		if len(src) < 8*n {
			return bad("it ends within the hashes")
		}
		b.Hashes = sized(b.Hashes, n)
		for i := range n {
			b.Hashes[i] = le.Uint64(src[8*i:])
		}
		src = src[8*n:]
	}
	rest, err := c.Decode(src, b.Values)
	if err != nil {
		return err
	}
	if len(rest) != 0 {
		return bad(fmt.Sprintf("%d bytes too many", len(rest)))
	}
	return nil
}

func sized[E any](s []E, n int) []E {
	if cap(s) < n {
		return make([]E, n)
	}
	return s[:n]
}
