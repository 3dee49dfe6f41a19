package gen

import "math/bits"

// gamma is the step of SplitMix64: the golden ratio as a fraction of 2^64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators).
const gamma = 0x9E3779B97F4A7C15

func mix(z uint64) uint64 {
	z ^= z >> 30
	z *= 0xBF58476D1CE4E5B9
	z ^= z >> 27
	z *= 0x94D049BB133111EB
	return z ^ z>>31
}

// output is the i-th output of SplitMix64 started with the state. That each output can be had alone is why events can be made from anywhere.
func output(state, i uint64) uint64 { return mix(state + (i+1)*gamma) }

// hi and lo are uniform in [0, m), m below 2^32, from one half each of a draw.
func hi(r, m uint64) uint64 { return r >> 32 * m >> 32 }

func lo(r, m uint64) uint64 { return uint64(uint32(r)) * m >> 32 }

// sequence is SplitMix64 read in order.
type sequence struct{ state uint64 }

func (s *sequence) next() uint64 {
	s.state += gamma
	return mix(s.state)
}

// octave holds 2^(i/256) with 31 binary places: what prices are interpolated from.
var octave = func() (t [257]uint64) {
	const root = 4624189567668517720 // 2^(1/256), 62 binary places
	w := uint64(1) << 61
	for i := range t {
		t[i] = w >> 30
		product, _ := bits.Mul64(w, root)
		w = product << 2
	}
	return t
}()

// price is log-uniform from 100 to 10^8 cents, by 32 uniform bits. It is all in integers, so that languages whose pow differs in the last
// place agree, and because pow would be most of the cost of a bid.
func price(v uint64) int64 {
	const log2 = 334396231 // 6·log2(10), 24 binary places
	z := v * log2 >> 24
	i, t := z>>24&255, z&0xFFFFFF
	m := octave[i] + ((octave[i+1]-octave[i])*t)>>24
	return int64((100*m<<(z>>32) + 1<<30) >> 31)
}
