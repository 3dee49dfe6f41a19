package checkpoint

import (
	"encoding/binary"

	"github.com/thalweg-io/thalweg/internal/codec"
)

// A file with keyed state is a header, blocks, and a footer, with nothing between them. All numbers are little-endian.
//
//	header  0  magic   8 bytes  "THALWEGS"
//	        8  version u16      1
//	       10  flags   u16      1: blocks may be compressed
//	       12  crc32c  u32      of bytes 0..12
//
//	footer  0  length  u64      of the whole file, footer included
//	        8  blocks  u32      how many
//	       12  crc32c  u32      of the file up to the footer
//	       16  crc32c  u32      of bytes 0..16 of the footer
//	       20  magic   4 bytes  "SEND"
const (
	fileMagic  = "THALWEGS"
	endMagic   = "SEND"
	headerSize = 16
	compressed = 1 // flag
	footerSize = 24
)

// A block is a header and its content. An operator's first block in a file is its table list; each of its sections is any number of blocks.
//
//	 0  magic    4 bytes  "TWBK"
//	 4  type     u8       0 table list, 1 base section, 2 delta section
//	 5  encoding u8       0 plain, 1 zstd
//	 6  group    u16      key group; 0xffff for a table list
//	 8  operator u64      hash of the operator's uid (docs/format/hash.md)
//	16  length   u64      of the content
//	24  crc32c   u32      of the content
//	28  crc32c   u32      of bytes 0..28
//	32  content
const (
	blockMagic      = "TWBK"
	blockHeaderSize = 32
	tableListType   = 0
	tableListGroup  = 0xffff
	maxGroup        = 1<<15 - 1
)

type blockHeader struct {
	typ      uint8
	group    int
	operator uint64
	length   int
	crc      uint32
}

// put writes the header but for the checksums' final values: putBlockSums has those.
func (h blockHeader) put(b []byte) {
	copy(b, blockMagic)
	b[4], b[5] = h.typ, plainEncoding
	binary.LittleEndian.PutUint16(b[6:], uint16(h.group))
	binary.LittleEndian.PutUint64(b[8:], h.operator)
	binary.LittleEndian.PutUint64(b[16:], uint64(h.length))
	binary.LittleEndian.PutUint32(b[24:], h.crc)
	binary.LittleEndian.PutUint32(b[28:], checksum(b[:28]))
}

// putBlockSums fills in the checksums of a whole block.
func putBlockSums(b []byte) {
	binary.LittleEndian.PutUint32(b[24:], checksum(b[blockHeaderSize:]))
	binary.LittleEndian.PutUint32(b[28:], checksum(b[:28]))
}

// content checks a whole block that should be want, but for length and checksum, and returns its content, a part of b
// unless it is compressed.
func content(name string, at int64, b []byte, want blockHeader) ([]byte, error) {
	if len(b) < blockHeaderSize {
		return nil, corrupt(name, "a block of %d bytes at %d", len(b), at)
	}
	if sum, rec := checksum(b[:28]), binary.LittleEndian.Uint32(b[28:]); sum != rec {
		return nil, corrupt(name, "checksum of the block header at %d is %08x, recorded %08x", at, sum, rec)
	}
	want.length, want.crc = len(b)-blockHeaderSize, checksum(b[blockHeaderSize:])
	var head [blockHeaderSize]byte
	want.put(head[:])
	encoding := b[5]
	if encoding <= zstdEncoding {
		head[5] = encoding
	}
	if string(head[:24]) != string(b[:24]) {
		return nil, corrupt(name, "the block at %d begins with %x, not %x: it is not what the checkpoint says", at, b[:24], head[:24])
	}
	if rec := binary.LittleEndian.Uint32(b[24:]); rec != want.crc {
		return nil, corrupt(name, "checksum of the block at %d is %08x, recorded %08x", at, want.crc, rec)
	}
	if encoding == zstdEncoding {
		return unpack(name, at, b[blockHeaderSize:])
	}
	return b[blockHeaderSize:], nil
}

func putHeader(b []byte, flags uint16) {
	copy(b, fileMagic)
	binary.LittleEndian.PutUint16(b[8:], version)
	binary.LittleEndian.PutUint16(b[10:], flags)
	binary.LittleEndian.PutUint32(b[12:], checksum(b[:12]))
}

func putFooter(b []byte, size int64, blocks int, crc uint32) {
	binary.LittleEndian.PutUint64(b, uint64(size))
	binary.LittleEndian.PutUint32(b[8:], uint32(blocks))
	binary.LittleEndian.PutUint32(b[12:], crc)
	binary.LittleEndian.PutUint32(b[16:], checksum(b[:16]))
	copy(b[20:], endMagic)
}

// checkFrame checks header and footer of f against what the checkpoint says of it.
func (f *File) checkFrame(name string, header, footer []byte) error {
	if sum, rec := checksum(header[:12]), binary.LittleEndian.Uint32(header[12:]); string(header[:8]) != fileMagic || sum != rec {
		return corrupt(name, "the header %x is none of a state file", header)
	}
	if v, flags := binary.LittleEndian.Uint16(header[8:]), binary.LittleEndian.Uint16(header[10:]); v != version || flags&^compressed != 0 {
		return newer(name, v, flags)
	}
	if sum, rec := checksum(footer[:16]), binary.LittleEndian.Uint32(footer[16:]); string(footer[20:]) != endMagic || sum != rec {
		return corrupt(name, "the footer %x is none of a state file", footer)
	}
	size, crc := binary.LittleEndian.Uint64(footer), binary.LittleEndian.Uint32(footer[12:])
	if size != uint64(f.Size) || crc != f.CRC {
		return corrupt(name, "it says of itself %d bytes, checksum %08x; the checkpoint says %d, %08x: it is another file", size, crc, f.Size, f.CRC)
	}
	return nil
}

// operatorHash is how blocks name their operator.
func operatorHash(uid string) uint64 { return codec.HashString(uid) }
