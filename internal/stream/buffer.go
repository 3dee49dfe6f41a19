package stream

import (
	"math/bits"
	"sync"
)

// buffer is memory for frames. It has one owner at a time: whoever encodes into it, then the connection's queue; or the connection's reader, then
// the channel whose batch it holds, until that is decoded.
type buffer struct{ b []byte }

// Buffers are pooled by the power of two that fits into them, so that a small frame that waits does not keep a large one's memory. Larger ones
// than the last class are left to the collector: a record of many megabytes must not stay.
const (
	leastBuffer   = 10 // log2 of a kibibyte
	largestBuffer = 19
)

var bufferPools [largestBuffer + 1]sync.Pool

// newBuffer gives an empty buffer with room for n bytes. It grows by append like any slice.
func newBuffer(n int) *buffer {
	class := max(bits.Len(uint(n-1)), leastBuffer)
	if n < 1 {
		class = leastBuffer
	}
	if class > largestBuffer {
		return &buffer{make([]byte, 0, n)}
	}
	if b, ok := bufferPools[class].Get().(*buffer); ok {
		return b
	}
	return &buffer{make([]byte, 0, 1<<class)}
}

// free gives the buffer up. Nothing may point into it any more.
func (b *buffer) free() {
	class := bits.Len(uint(cap(b.b))) - 1
	if class < leastBuffer || class > largestBuffer {
		return
	}
	b.b = b.b[:0]
	bufferPools[class].Put(b)
}
