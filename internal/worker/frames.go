package worker

import (
	"encoding/binary"
	"fmt"
	"io"

	"google.golang.org/protobuf/proto"
)

// maxFrame bounds a control message. The largest is a deploy: a graph, its arguments and a placement.
const maxFrame = 64 << 20

// WriteFrame writes one message as a 4-byte big-endian length and its bytes, in one Write.
func WriteFrame(w io.Writer, m proto.Message) error {
	b, err := proto.MarshalOptions{}.MarshalAppend(make([]byte, 4, 256), m)
	if err != nil {
		return fmt.Errorf("encode %T: %w", m, err)
	}
	if len(b)-4 > maxFrame {
		return fmt.Errorf("encode %T: %d bytes, more than the %d that a frame may have", m, len(b)-4, maxFrame)
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	_, err = w.Write(b)
	return err
}

// ReadFrame reads one message written by WriteFrame, refusing lengths above limit before it allocates. io.EOF means that the
// peer closed between two messages.
func ReadFrame(r io.Reader, m proto.Message, limit int) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if int64(n) > int64(min(limit, maxFrame)) {
		return fmt.Errorf("read %T: a frame of %d bytes, more than the %d allowed", m, n, min(limit, maxFrame))
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	if err := proto.Unmarshal(b, m); err != nil {
		return fmt.Errorf("read %T: %w", m, err)
	}
	return nil
}
