package stream

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"time"

	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/stream/align"
)

// A frame on a data connection, docs/format/exchange.md; all numbers are little-endian:
//
//	length u32 | crc32c u32 | channel u32 | type u8 | body
//
// length counts what follows the checksum, which covers the same bytes.
type frameType uint8

const (
	frameOpen      frameType = iota + 1 // edge u32 | from u32 | to u32: what this number means from now on
	frameRecords                        // see gate.go
	frameWatermark                      // at i64
	frameIdle
	frameBarrier // epoch u64 | id i64 | base i64 | deadline i64 ns | final u8
	frameCancel  // id i64
	frameEnd
	frameFinished
	frameAssign // the split
	frameNoMore
	frameCredit  // to the sender: batches consumed u32
	frameRequest // to the sender: ended u8 | the event
)

const (
	frameHeader = 13
	maxFrame    = 64 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func beginFrame(dst []byte, channel uint32, t frameType) []byte {
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint32(dst, channel)
	return append(dst, byte(t))
}

// endFrame fills in length and checksum of a frame that begins at dst[0].
func endFrame(dst []byte) []byte {
	binary.LittleEndian.PutUint32(dst, uint32(len(dst)-8))
	binary.LittleEndian.PutUint32(dst[4:], crc32.Checksum(dst[8:], castagnoli))
	return dst
}

// readFrame reads one frame into buf, which it grows as needed but never beyond what a frame may have.
func readFrame(r *bufio.Reader, buf []byte) (channel uint32, t frameType, body, grown []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, 0, nil, buf, err
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n < frameHeader-8 || n > maxFrame {
		return 0, 0, nil, buf, fmt.Errorf("a frame of %d bytes: %w", n, codec.ErrCorrupt)
	}
	if buf, err = readBody(r, buf, int(n)); err != nil {
		return 0, 0, nil, buf, err
	}
	if got, want := crc32.Checksum(buf, castagnoli), binary.LittleEndian.Uint32(head[4:]); got != want {
		return 0, 0, nil, buf, fmt.Errorf("a frame with checksum %08x, computed %08x: %w", want, got, codec.ErrCorrupt)
	}
	return binary.LittleEndian.Uint32(buf), frameType(buf[4]), buf[5:], buf, nil
}

// trusted is how much is allocated because a length says so; beyond it, memory grows only with what has arrived.
const trusted = 1 << 20

func readBody(r io.Reader, buf []byte, n int) ([]byte, error) {
	for got := 0; got < n; {
		step := min(n-got, max(cap(buf)-got, trusted))
		buf = slices.Grow(buf[:got], step)[:got+step]
		if _, err := io.ReadFull(r, buf[got:]); err != nil {
			return buf, err
		}
		got += step
	}
	return buf, nil
}

// appendElement encodes all but records.
func appendElement(dst []byte, channel uint32, e element) []byte {
	le := binary.LittleEndian
	switch e.kind {
	case watermark:
		dst = le.AppendUint64(beginFrame(dst, channel, frameWatermark), uint64(e.at))
	case idle:
		dst = beginFrame(dst, channel, frameIdle)
	case barrier:
		b := e.barrier
		dst = beginFrame(dst, channel, frameBarrier)
		for _, v := range []uint64{b.Epoch, uint64(b.ID), uint64(b.Base), uint64(b.Deadline)} {
			dst = le.AppendUint64(dst, v)
		}
		final := byte(0)
		if b.Final {
			final = 1
		}
		dst = append(dst, final)
	case cancelMarker:
		dst = le.AppendUint64(beginFrame(dst, channel, frameCancel), uint64(e.id))
	case end:
		dst = beginFrame(dst, channel, frameEnd)
	case finished:
		dst = beginFrame(dst, channel, frameFinished)
	case assignment:
		dst = append(beginFrame(dst, channel, frameAssign), e.payload...)
	case noMoreSplits:
		dst = beginFrame(dst, channel, frameNoMore)
	default:
		panic(fmt.Sprintf("element of kind %d has no frame", e.kind))
	}
	return endFrame(dst)
}

// elementOf decodes what appendElement encoded, and records, whose bytes it copies.
func elementOf(t frameType, body []byte) (element, error) {
	le := binary.LittleEndian
	want := map[frameType]int{frameWatermark: 8, frameIdle: 0, frameBarrier: 33, frameCancel: 8, frameEnd: 0, frameFinished: 0, frameNoMore: 0}
	if n, fixed := want[t]; fixed && len(body) != n {
		return element{}, fmt.Errorf("a frame of type %d with %d bytes, not %d: %w", t, len(body), n, codec.ErrCorrupt)
	}
	if t == frameBarrier && body[32] > 1 {
		return element{}, fmt.Errorf("a barrier that ends in %d: %w", body[32], codec.ErrCorrupt)
	}
	switch t {
	case frameRecords:
		return element{kind: records, frame: append([]byte(nil), body...)}, nil
	case frameWatermark:
		return element{kind: watermark, at: int64(le.Uint64(body))}, nil
	case frameIdle:
		return element{kind: idle}, nil
	case frameBarrier:
		return element{kind: barrier, barrier: align.Barrier{Epoch: le.Uint64(body), ID: int64(le.Uint64(body[8:])), Base: int64(le.Uint64(body[16:])),
			Deadline: time.Duration(le.Uint64(body[24:])), Final: body[32] == 1}}, nil
	case frameCancel:
		return element{kind: cancelMarker, id: int64(le.Uint64(body))}, nil
	case frameEnd:
		return element{kind: end}, nil
	case frameFinished:
		return element{kind: finished}, nil
	case frameAssign:
		return element{kind: assignment, payload: append([]byte(nil), body...)}, nil
	case frameNoMore:
		return element{kind: noMoreSplits}, nil
	}
	return element{}, fmt.Errorf("a frame of unknown type %d: %w", t, codec.ErrCorrupt)
}
