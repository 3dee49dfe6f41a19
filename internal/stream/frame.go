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

// exchangeVersion is the version of what travels on a data connection, docs/format/exchange.md. Both ends have the same.
const exchangeVersion = 5

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
	frameCredit  // to the sender: batches consumed u32 | their bytes u64
	frameRequest // to the sender: ended u8 | the event
	framePacked  // records, compressed: see compress.go
	frameSlowest // at i64
)

const (
	frameHeader = 13
	maxFrame    = 64 << 20
	// fullFrame is how large the body of a frame of records may be, unless a single record is larger.
	fullFrame = 256 << 10
	// largestControl is the room that a frame other than of records needs, but for splits and events.
	largestControl = 64
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func beginFrame(dst []byte, channel uint32, t frameType) []byte {
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint32(dst, channel)
	return append(dst, byte(t))
}

// setChannel has a frame that was begun at the start of f, and not ended, be of another channel.
func setChannel(f []byte, channel uint32) { binary.LittleEndian.PutUint32(f[8:], channel) }

// setType has it be of another type.
func setType(f []byte, t frameType) { f[12] = byte(t) }

// endFrame fills in length and checksum of the frame that begins at dst[from] and ends with dst.
func endFrame(dst []byte, from int) []byte {
	f := dst[from:]
	binary.LittleEndian.PutUint32(f, uint32(len(f)-8))
	binary.LittleEndian.PutUint32(f[4:], crc32.Checksum(f[8:], castagnoli))
	return dst
}

// frame is a frame as it was read. Its body belongs to the buffer that it was read into.
type frame struct {
	channel uint32
	kind    frameType
	body    []byte
}

// readFrame reads one frame into a buffer, which is the caller's.
func readFrame(r *bufio.Reader) (frame, *buffer, error) {
	head, err := r.Peek(8)
	if err != nil {
		if len(head) > 0 && err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return frame{}, nil, err
	}
	n, want := int(binary.LittleEndian.Uint32(head)), binary.LittleEndian.Uint32(head[4:])
	r.Discard(8)
	if n < frameHeader-8 || n > maxFrame {
		return frame{}, nil, fmt.Errorf("a frame of %d bytes: %w", n, codec.ErrCorrupt)
	}
	b := newBuffer(min(n, trusted))
	if err := b.read(r, n); err != nil {
		return frame{}, nil, err
	}
	if got := crc32.Checksum(b.b, castagnoli); got != want {
		return frame{}, nil, fmt.Errorf("a frame with checksum %08x, computed %08x: %w", want, got, codec.ErrCorrupt)
	}
	return frame{binary.LittleEndian.Uint32(b.b), frameType(b.b[4]), b.b[5:]}, b, nil
}

// trusted is how much is allocated because a length says so; beyond it, memory grows only with what has arrived.
const trusted = 1 << 20

// read fills the empty buffer with n bytes.
func (b *buffer) read(r io.Reader, n int) error {
	for got := 0; got < n; {
		step := min(n-got, max(cap(b.b)-got, trusted))
		b.b = slices.Grow(b.b, step)[:got+step]
		if _, err := io.ReadFull(r, b.b[got:]); err != nil {
			return err
		}
		got += step
	}
	return nil
}

// appendElement encodes all but records.
func appendElement(dst []byte, channel uint32, e element) []byte {
	le, from := binary.LittleEndian, len(dst)
	switch e.kind {
	case watermark:
		dst = le.AppendUint64(beginFrame(dst, channel, frameWatermark), uint64(e.at))
	case idle:
		dst = beginFrame(dst, channel, frameIdle)
	case barrier:
		b := e.barrier
		dst = beginFrame(dst, channel, frameBarrier)
		for _, v := range [...]uint64{b.Epoch, uint64(b.ID), uint64(b.Base), uint64(b.Deadline)} {
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
	case slowest:
		dst = le.AppendUint64(beginFrame(dst, channel, frameSlowest), uint64(e.at))
	default:
		panic(fmt.Sprintf("element of kind %d has no frame", e.kind))
	}
	return endFrame(dst, from)
}

func appendOpen(dst []byte, channel uint32, n channelName) []byte {
	le, from := binary.LittleEndian, len(dst)
	dst = le.AppendUint32(beginFrame(dst, channel, frameOpen), uint32(n.edge))
	dst = le.AppendUint32(dst, uint32(n.from))
	return endFrame(le.AppendUint32(dst, uint32(n.to)), from)
}

// nameOf reads the 12 bytes of an opening.
func nameOf(body []byte) channelName {
	le := binary.LittleEndian
	return channelName{int32(le.Uint32(body)), int(le.Uint32(body[4:])), int(le.Uint32(body[8:]))}
}

func appendCredit(dst []byte, channel uint32, batches int, bytes int64) []byte {
	le, from := binary.LittleEndian, len(dst)
	dst = le.AppendUint32(beginFrame(dst, channel, frameCredit), uint32(batches))
	return endFrame(le.AppendUint64(dst, uint64(bytes)), from)
}

// creditOf reads the 12 bytes of credit.
func creditOf(body []byte) (batches int, bytes int64) {
	le := binary.LittleEndian
	return int(le.Uint32(body)), int64(le.Uint64(body[4:]))
}

func appendRequest(dst []byte, channel uint32, event []byte, ended bool) []byte {
	from, over := len(dst), byte(0)
	if ended {
		over = 1
	}
	return endFrame(append(append(beginFrame(dst, channel, frameRequest), over), event...), from)
}

// bodySize is how long the body of a frame with a fixed length is.
func bodySize(t frameType) (n int, fixed bool) {
	switch t {
	case frameIdle, frameEnd, frameFinished, frameNoMore:
		return 0, true
	case frameWatermark, frameCancel, frameSlowest:
		return 8, true
	case frameBarrier:
		return 33, true
	}
	return 0, false
}

// elementOf decodes what appendElement encoded, and records: they keep the buffer that the frame lies in.
func elementOf(f frame, b *buffer) (element, error) {
	le, t, body := binary.LittleEndian, f.kind, f.body
	if n, fixed := bodySize(t); fixed && len(body) != n {
		return element{}, fmt.Errorf("a frame of type %d with %d bytes, not %d: %w", t, len(body), n, codec.ErrCorrupt)
	}
	if t == frameBarrier && body[32] > 1 {
		return element{}, fmt.Errorf("a barrier that ends in %d: %w", body[32], codec.ErrCorrupt)
	}
	switch t {
	case frameRecords:
		return element{kind: records, frame: body, buffer: b, weight: len(body)}, nil
	case framePacked:
		n, err := unpackedSize(body)
		return element{kind: records, packed: true, frame: body, buffer: b, weight: n}, err
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
	case frameSlowest:
		return element{kind: slowest, at: int64(le.Uint64(body))}, nil
	}
	return element{}, fmt.Errorf("a frame of unknown type %d: %w", t, codec.ErrCorrupt)
}
