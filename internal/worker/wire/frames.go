// Package wire is how a taskmanager and its workers speak: framed messages on an inherited socket, and data connections that
// are handed over as descriptors. Both sides link it; it knows nothing of what the messages mean.
package wire

import (
	"encoding/binary"
	"fmt"
	"io"

	"google.golang.org/protobuf/proto"
)

// ProtocolVersion of the session between a taskmanager and a worker. Each side accepts its own and the one before.
const ProtocolVersion = 1

// The descriptors that a worker inherits.
const (
	ControlDescriptor = 3
	PassingDescriptor = 4
)

// ExitOverMemory is the exit status of a worker that ended because it was over its limit of memory. The last line of its standard error
// says what used it.
const ExitOverMemory = 78

// MaxFrame bounds a control message, in bytes. The largest is a deploy: a graph, its arguments and a placement.
const MaxFrame = 64 << 20

// WriteFrame writes one message as a 4-byte big-endian length and its bytes, in one Write.
func WriteFrame(w io.Writer, m proto.Message) error {
	b, err := proto.MarshalOptions{}.MarshalAppend(make([]byte, 4, 256), m)
	if err != nil {
		return fmt.Errorf("encode %T: %w", m, err)
	}
	if len(b)-4 > MaxFrame {
		return fmt.Errorf("encode %T: %d bytes, more than the %d that a frame may have", m, len(b)-4, MaxFrame)
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
	if int64(n) > int64(min(limit, MaxFrame)) {
		return fmt.Errorf("read %T: a frame of %d bytes, more than the %d allowed", m, n, min(limit, MaxFrame))
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
