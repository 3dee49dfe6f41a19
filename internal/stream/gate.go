package stream

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/thalweg-io/thalweg/internal/codec"
)

// Gate is the typed head of a chain for one incoming edge.
type Gate interface {
	// push takes records. By value: a pointer through an interface would put every element on the heap.
	push(e element) (records int, err error)
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

func (g *gate[T]) push(e element) (int, error) {
	if e.batch != nil {
		b := e.batch.(*Batch[T])
		n := len(b.Values)
		err := g.next.Push(b)
		if e.home != nil {
			b.Reset()
			e.home.Put(b)
		}
		return n, err
	}
	b := &g.batch
	plain, frees, err := e.unpack()
	if err == nil {
		err = decodeBatch(plain, g.codec, b)
	}
	if frees != nil { // nothing that was decoded points into it
		frees.free()
	}
	if err != nil {
		return 0, err
	}
	n := len(b.Values)
	err = g.next.Push(b)
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

// recordsHeader is count and flags.
const recordsHeader = 5

// noTimes is what a batch without times is filled from.
var noTimes = func() (t [BatchSize]int64) {
	for i := range t {
		t[i] = NoTime
	}
	return t
}()

// timesOf says how a column of times is encoded, and what is the least one.
func timesOf(times []int64) (flags byte, first int64) {
	timed := 0
	for timed < len(times) && times[timed] == NoTime {
		timed++
	}
	if timed == len(times) {
		return 0, 0
	}
	first, last := times[0], times[0]
	for _, t := range times {
		first, last = min(first, t), max(last, t)
	}
	if first == NoTime || uint64(last)-uint64(first) > 1<<32-1 {
		return hasTimes | rawTimes, first
	}
	return hasTimes, first
}

func appendBatch[T any](dst []byte, c codec.Codec[T], b *Batch[T]) ([]byte, error) {
	le := binary.LittleEndian
	flags, first := timesOf(b.Times)
	if len(b.Hashes) > 0 {
		flags |= hasHashes
	}
	dst = append(le.AppendUint32(dst, uint32(len(b.Values))), flags)
	switch {
	case flags&rawTimes != 0:
		dst = appendWords(dst, b.Times)
	case flags&hasTimes != 0:
		dst = le.AppendUint64(dst, uint64(first))
		var out []byte
		dst, out = extend(dst, 4*len(b.Times))
		for i, t := range b.Times {
			le.PutUint32(out[4*i:], uint32(t-first))
		}
	}
	return c.Append(appendWords(dst, b.Hashes), b.Values)
}

// extend makes dst longer by n bytes, which are also given by themselves.
func extend(dst []byte, n int) (longer, added []byte) {
	at := len(dst)
	dst = slices.Grow(dst, n)[:at+n]
	return dst, dst[at:]
}

func appendWords[E int64 | uint64](dst []byte, words []E) []byte {
	dst, out := extend(dst, 8*len(words))
	for i, w := range words {
		binary.LittleEndian.PutUint64(out[8*i:], uint64(w))
	}
	return dst
}

// takeWords fills words from the start of src and gives the rest; ok: src is long enough.
func takeWords[E int64 | uint64](words []E, src []byte) (rest []byte, ok bool) {
	if len(src) < 8*len(words) {
		return nil, false
	}
	for i := range words {
		words[i] = E(binary.LittleEndian.Uint64(src[8*i:]))
	}
	return src[8*len(words):], true
}

func decodeBatch[T any](src []byte, c codec.Codec[T], b *Batch[T]) error {
	le := binary.LittleEndian
	if len(src) < recordsHeader {
		return badRecords("shorter than its header")
	}
	n, flags := int(le.Uint32(src)), src[4]
	src = src[recordsHeader:]
	if flags&^(hasTimes|rawTimes|hasHashes) != 0 || flags&(hasTimes|rawTimes) == rawTimes {
		return badRecords("flags %#x", flags)
	}
	if n == 0 || n > BatchSize {
		return badRecords("%d records, not 1 to %d", n, BatchSize)
	}
	if least := c.Schema().MinSize(); n*least > len(src) {
		return badRecords("%d records of at least %d bytes in %d", n, least, len(src))
	}
	b.Values, b.Times, b.Hashes, b.Split = sized(b.Values, n), sized(b.Times, n), b.Hashes[:0], -1
	src, ok := takeTimes(b.Times, flags, src)
	if !ok {
		return badRecords("it ends within the times")
	}
	if flags&hasHashes != 0 {
		b.Hashes = sized(b.Hashes, n)
		if src, ok = takeWords(b.Hashes, src); !ok {
			return badRecords("it ends within the hashes")
		}
	}
	rest, err := c.Decode(src, b.Values)
	if err != nil {
		return err
	}
	if len(rest) != 0 {
		return badRecords("%d bytes too many", len(rest))
	}
	return nil
}

func takeTimes(times []int64, flags byte, src []byte) (rest []byte, ok bool) {
	n := len(times)
	switch {
	case flags&rawTimes != 0:
		return takeWords(times, src)
	case flags&hasTimes != 0:
		if len(src) < 8+4*n {
			return nil, false
		}
		first := int64(binary.LittleEndian.Uint64(src))
		src = src[8:]
		for i := range times {
			times[i] = first + int64(binary.LittleEndian.Uint32(src[4*i:]))
		}
		return src[4*n:], true
	}
	copy(times, noTimes[:])
	return src, true
}

func badRecords(format string, args ...any) error {
	return fmt.Errorf("a frame of records: %s: %w", fmt.Sprintf(format, args...), codec.ErrCorrupt)
}

// sized gives n elements, in s if it has room; else there is room for every batch.
func sized[E any](s []E, n int) []E {
	if cap(s) < n {
		return make([]E, n, max(n, BatchSize))
	}
	return s[:n]
}
