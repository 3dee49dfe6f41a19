package checkpoint

import (
	"encoding/binary"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// The content of a block whose encoding is zstd:
//
//	0  length u32      of the content as it was
//	4  one frame of Zstandard (RFC 8878), without a checksum: the block has one
const (
	plainEncoding = 0
	zstdEncoding  = 1
	packedHeader  = 4
	// worthPacking: what is compressed to more than 7/8 is kept as it is, so that reading it costs nothing.
	worthPacking = 8
	// mostPacked bounds what a stored byte may stand for: an RLE block of 4 bytes is one of 128 KiB. It bounds what a reader makes room for.
	mostPacked = 1 << 15
	packWindow = 128 << 10 // at least a block, nearly always
)

// Encoder and decoder are safe for use by several goroutines, and have none of their own.
var (
	encoder = sync.OnceValue(func() *zstd.Encoder {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false), zstd.WithWindowSize(packWindow))
		if err != nil {
			panic("checkpoint: options of the encoder: " + err.Error())
		}
		return e
	})
	decoder = sync.OnceValue(func() *zstd.Decoder {
		d, err := zstd.NewReader(nil, zstd.WithDecodeAllCapLimit(true))
		if err != nil {
			panic("checkpoint: options of the decoder: " + err.Error())
		}
		return d
	})
)

// pack gives block b compressed, in scratch, or b itself where that is not worth it. The checksums are still to be filled in.
func pack(scratch *[]byte, b []byte) []byte {
	content := b[blockHeaderSize:]
	dst := append((*scratch)[:0], b[:blockHeaderSize]...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(content)))
	dst = encoder().EncodeAll(content, dst)
	*scratch = dst
	if len(dst) > len(b)-len(b)/worthPacking {
		return b
	}
	dst[5] = zstdEncoding
	binary.LittleEndian.PutUint64(dst[16:], uint64(len(dst)-blockHeaderSize))
	return dst
}

// unpack gives the content of a block as it was; at is the block's place in the file.
func unpack(name string, at int64, b []byte) ([]byte, error) {
	if len(b) < packedHeader {
		return nil, corrupt(name, "the compressed block at %d has %d bytes", at, len(b))
	}
	n := int64(binary.LittleEndian.Uint32(b))
	if n > int64(len(b))*mostPacked {
		return nil, corrupt(name, "the block at %d says that %d bytes were compressed to %d", at, n, len(b))
	}
	content, err := decoder().DecodeAll(b[packedHeader:], make([]byte, 0, n))
	if err != nil {
		return nil, corrupt(name, "the compressed block at %d: %w", at, err)
	}
	if int64(len(content)) != n {
		return nil, corrupt(name, "the block at %d has %d bytes, and says %d", at, len(content), n)
	}
	return content, nil
}
