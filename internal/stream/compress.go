package stream

import (
	"fmt"

	"github.com/klauspost/compress/s2"

	"github.com/thalweg-io/thalweg/internal/codec"
)

// The body of a compressed frame of records, docs/format/exchange.md, is one block of s2 of the body that the frame would have otherwise:
//
//	length of that uvarint | literals and copies of s2
//
// Each frame says for itself whether it is compressed, so that the two ends of a connection may be set differently. Memory and credit go by what the
// frame would have been: a compressed one weighs at the receiver what its sender took credit for, and less memory lies in the queues than is allowed.
const (
	// leastPacked is from what body on compression is tried: a few short records are a packet of the network in any case.
	leastPacked = 256
	// mostPacked is the largest body that is compressed, and so the most memory that is given because a block says that it needs it.
	mostPacked = trusted
	// gainPacked is what part of the body compression has to save: less does not pay for its undoing.
	gainPacked = 8
)

// pack compresses the body of a frame of records that was begun at the start of f, unless that gains too little. The buffer stays the frame's.
func pack(f *buffer) {
	body := f.b[frameHeader:]
	if len(body) < leastPacked || len(body) > mostPacked {
		return
	}
	scratch := newBuffer(s2.MaxEncodedLen(len(body)))
	if block := s2.Encode(scratch.b, body); len(block) <= len(body)-len(body)/gainPacked {
		f.b = append(f.b[:frameHeader], block...)
		setType(f.b, framePacked)
	}
	scratch.free()
}

// unpackedSize is how many bytes a compressed body says it had.
func unpackedSize(block []byte) (int, error) {
	n, err := s2.DecodedLen(block)
	if err != nil {
		return 0, badBlock("it does not say how long it was")
	}
	if n > mostPacked {
		return 0, badBlock("%d bytes, not at most %d", n, mostPacked)
	}
	return n, nil
}

// unpack gives the body of records from another process as it was encoded, and the buffer that it lies in, which is to be freed; nil: none is. What
// the element had is free already if that is another one.
func (e *element) unpack() (body []byte, in *buffer, err error) {
	if !e.packed {
		return e.frame, e.buffer, nil
	}
	in = newBuffer(e.weight)
	body, err = s2.Decode(in.b, e.frame)
	if e.buffer != nil {
		e.buffer.free()
	}
	if err != nil {
		return nil, in, badBlock("its %d bytes are not the block of %d that they say", len(e.frame), e.weight)
	}
	return body, in, nil
}

func badBlock(format string, args ...any) error {
	return fmt.Errorf("a compressed frame of records: %s: %w", fmt.Sprintf(format, args...), codec.ErrCorrupt)
}
