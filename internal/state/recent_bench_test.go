package state

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/internal/codec"
	"golang.org/x/sys/unix"
)

// BenchmarkRecent replaces an element of a list of 8 of a random key, and reports the same without values that are kept beside it: rounds alternate.
// Times are processor time, because rounds are short.
func BenchmarkRecent(b *testing.B) {
	type element struct {
		N    int64
		A, B string
	}
	for _, keys := range []int{100, 1000, 4000, 16000, 200_000} {
		b.Run(fmt.Sprint("keys=", keys), func(b *testing.B) {
			hash, _ := codec.Hasher[uint64]()
			var ks [2]*Keyed[uint64]
			var vs [2]*Value[uint64, []element]
			for i := range ks {
				var err error
				if ks[i], err = NewKeyed[uint64](Config{Name: "op", MaxParallelism: 128, To: 128}); err != nil {
					b.Fatal(err)
				}
				defer ks[i].Close()
				if vs[i], err = NewValue[uint64, []element](ks[i], "v"); err != nil {
					b.Fatal(err)
				}
			}
			vs[1].recent = nil
			random := rand.New(rand.NewPCG(1, 2))
			n := int64(0)
			change := func(s *[]element) {
				n++
				e := element{n, "a name of some length", "and another string"}
				if len(*s) < 8 {
					*s = append(*s, e)
				} else {
					(*s)[n&7] = e
				}
			}
			run := func(i, records int) time.Duration {
				begin := processorTime()
				for range records {
					key := uint64(random.IntN(keys))
					ks[i].Seek(key, hash(key))
					vs[i].Update(change)
				}
				return processorTime() - begin
			}
			for i := range ks {
				run(i, 16*keys)
			}
			b.ReportAllocs()
			b.ResetTimer()
			var took [2]time.Duration
			const round = 1 << 16
			for left := b.N; left > 0; left -= round {
				for i := range ks {
					took[i] += run(i, min(left, round))
				}
			}
			b.ReportMetric(float64(took[0].Nanoseconds())/float64(b.N), "kept-ns/rec")
			b.ReportMetric(float64(took[1].Nanoseconds())/float64(b.N), "packed-ns/rec")
		})
	}
}

func processorTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
