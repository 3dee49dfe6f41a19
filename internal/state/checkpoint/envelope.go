package checkpoint

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// Metadata and SubtaskState are sealed in an envelope:
//
//	 0  magic   4 bytes   "TWMD" metadata, "TWSS" subtask state
//	 4  version u16       1
//	 6  flags   u16       0
//	 8  length  u64       of the payload; nothing follows it
//	16  crc32c  u32       of the payload
//	20  crc32c  u32       of bytes 0..20
//	24  payload
const envelopeSize = 24

const version = 1

// seal turns dst[start:], whose first envelopeSize bytes are free, into an envelope.
func seal(dst []byte, start int, magic string) []byte {
	b := dst[start:]
	payload := b[envelopeSize:]
	copy(b, magic)
	binary.LittleEndian.PutUint16(b[4:], version)
	binary.LittleEndian.PutUint16(b[6:], 0)
	binary.LittleEndian.PutUint64(b[8:], uint64(len(payload)))
	binary.LittleEndian.PutUint32(b[16:], checksum(payload))
	binary.LittleEndian.PutUint32(b[20:], checksum(b[:20]))
	return dst
}

// unseal checks an envelope that is the whole of b and returns its payload, a part of b.
func unseal(name string, b []byte, magic string) ([]byte, error) {
	if len(b) < envelopeSize {
		return nil, corrupt(name, "%d bytes are no whole header", len(b))
	}
	if got := string(b[:4]); got != magic {
		return nil, corrupt(name, "it begins with %q, not %q", got, magic)
	}
	if sum, want := checksum(b[:20]), binary.LittleEndian.Uint32(b[20:]); sum != want {
		return nil, corrupt(name, "checksum of the header is %08x, recorded %08x", sum, want)
	}
	if v, f := binary.LittleEndian.Uint16(b[4:]), binary.LittleEndian.Uint16(b[6:]); v != version || f != 0 {
		return nil, newer(name, v, f)
	}
	payload := b[envelopeSize:]
	if n := binary.LittleEndian.Uint64(b[8:]); n != uint64(len(payload)) {
		return nil, corrupt(name, "%d bytes after the header, recorded %d", len(payload), n)
	}
	if sum, want := checksum(payload), binary.LittleEndian.Uint32(b[16:]); sum != want {
		return nil, corrupt(name, "checksum is %08x, recorded %08x", sum, want)
	}
	return payload, nil
}

// newer: the header is intact, so this is no corruption but a file of another program.
func newer(name string, v, flags uint16) error {
	return fmt.Errorf("%s has format version %d, flags %#x; this program reads version %d, flags 0: use the version that wrote it", name, v, flags, version)
}
