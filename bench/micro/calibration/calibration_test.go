package calibration

import (
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/thalweg-io/thalweg/internal/state/bareloop"
)

// BenchmarkBareLoop counts keys: one operation is a record.
func BenchmarkBareLoop(b *testing.B) {
	for _, keys := range []uint64{16 << 10, 1 << 20, 8 << 20} {
		b.Run(fmt.Sprint("keys=", keys), func(b *testing.B) {
			loop, err := bareloop.New(keys)
			if err != nil {
				b.Fatal(err)
			}
			defer loop.Close()
			b.ResetTimer()
			loop.Run(b.N)
		})
	}
}

// BenchmarkMemcpy copies memory that is in the first cache, and memory that is in none.
func BenchmarkMemcpy(b *testing.B) {
	for _, size := range []int{16 << 10, 64 << 20} {
		b.Run(fmt.Sprint("bytes=", size), func(b *testing.B) {
			from, to := make([]byte, size), make([]byte, size)
			for i := range from { // pages that nobody has written are one page
				from[i], to[i] = byte(i), 1
			}
			b.SetBytes(int64(size))
			b.ResetTimer()
			for range b.N {
				copy(to, from)
			}
		})
	}
}

// BenchmarkPlainTCP writes to a connection over loopback, of which a goroutine reads.
func BenchmarkPlainTCP(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 10} {
		b.Run(fmt.Sprint("bytes=", size), func(b *testing.B) { benchTCP(b, size) })
	}
}

func benchTCP(b *testing.B, size int) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	far, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	defer far.Close()
	received := make(chan int, 1)
	go func() {
		total, buffer := 0, make([]byte, size)
		for {
			n, err := far.Read(buffer)
			if total += n; err != nil {
				if err != io.EOF {
					total = -1
				}
				received <- total
				return
			}
		}
	}()
	data := make([]byte, size)
	b.SetBytes(int64(size))
	b.ResetTimer()
	for range b.N {
		if _, err := near.Write(data); err != nil {
			b.Fatal(err)
		}
	}
	near.Close()
	if got := <-received; got != b.N*size {
		b.Fatalf("%d of %d bytes came", got, b.N*size)
	}
}
