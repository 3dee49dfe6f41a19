package counting

import (
	"math"
	"math/bits"
	"slices"

	"github.com/thalweg-io/thalweg/internal/state/bareloop"
)

// Samples is how many keys of Zipf's distribution are drawn beforehand. They are read over and over: drawing costs more than counting.
const Samples = 4 << 20

// Zipf draws keys 1 to n, the k-th of which is as frequent as 1/k, as a sequence that is the same for the same n. Ranks are scattered over the keys.
func Zipf(n uint64) []uint64 {
	sums := make([]float64, n)
	var sum float64
	for i := range sums {
		sum += 1 / float64(i+1)
		sums[i] = sum
	}
	g := bareloop.NewGenerator(1 << 53)
	drawn := make([]uint64, Samples)
	for i := range drawn {
		rank, _ := slices.BinarySearch(sums, float64(g.Next()-1)/(1<<53)*sum)
		drawn[i] = scatter(min(uint64(rank), n-1), n) + 1
	}
	return drawn
}

// scatter is a permutation of 0 to n-1.
func scatter(i, n uint64) uint64 {
	step := uint64(float64(n)/math.Phi) | 1
	for gcd(step, n) != 1 {
		step += 2
	}
	high, low := bits.Mul64(i, step)
	return bits.Rem64(high, low, n)
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// keys is a sequence of keys: the bare loop's, or one that was drawn beforehand.
type keys struct {
	bareloop.Generator
	drawn []uint64
	at    int
}

func (k *keys) fill(dst []uint64) {
	if k.drawn == nil {
		g := k.Generator
		for i := range dst {
			dst[i] = g.Next()
		}
		k.Generator = g
		return
	}
	for len(dst) > 0 {
		n := copy(dst, k.drawn[k.at:])
		k.at, dst = (k.at+n)%len(k.drawn), dst[n:]
	}
}
