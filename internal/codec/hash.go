package codec

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// The hash of keys is part of the checkpoint format (docs/format/hash.md): it decides the key group. None of the constants may ever change.

// goldenRatio keeps the mixer from mapping 0 to 0; any odd number would do.
const goldenRatio = 0x9e3779b97f4a7c15

// Mix is a bijection of 64-bit integers that scatters them: the finalizer of splitmix64 (Stafford's variant 13), two multiplications. As it has
// an inverse, a table of integer keys may keep the hash alone.
func Mix(x uint64) uint64 {
	x += goldenRatio
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Unmix is the inverse of Mix.
func Unmix(h uint64) uint64 {
	h = (h ^ h>>31 ^ h>>62) * 0x319642b2d24d8ec3
	h = (h ^ h>>27 ^ h>>54) * 0x96de1b173f119089
	return (h ^ h>>30 ^ h>>60) - goldenRatio
}

// The parameters of wyhash, final version 4.2, by Wang Yi (public domain).
const (
	wyp0 = 0x2d358dccaa6c78a5
	wyp1 = 0x8bb84b93962eacc9
	wyp2 = 0x4b33a62ed433d4a3
	wyp3 = 0x4d5a2da51de1aa47
)

// HashString is wyhash 4.2 with seed 0.
func HashString(s string) uint64 { return wyhash(unsafe.Slice(unsafe.StringData(s), len(s)), 0) }

// HashBytes is HashString of the same bytes.
func HashBytes(b []byte) uint64 { return wyhash(b, 0) }

func wymix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

func wyhash(p []byte, seed uint64) uint64 {
	n := len(p)
	seed ^= wymix(seed^wyp0, wyp1)
	var a, b uint64
	switch {
	case n > 16:
		a, b, seed = wylong(p, seed)
	case n >= 4:
		mid := n >> 3 << 2
		a = uint64(binary.LittleEndian.Uint32(p))<<32 | uint64(binary.LittleEndian.Uint32(p[mid:]))
		b = uint64(binary.LittleEndian.Uint32(p[n-4:]))<<32 | uint64(binary.LittleEndian.Uint32(p[n-4-mid:]))
	case n > 0:
		a = uint64(p[0])<<16 | uint64(p[n>>1])<<8 | uint64(p[n-1])
	}
	hi, lo := bits.Mul64(a^wyp1, b^seed)
	return wymix(lo^wyp0^uint64(n), hi^wyp1)
}

// wylong folds all but the last 16 bytes into the seed.
func wylong(p []byte, seed uint64) (a, b, folded uint64) {
	whole := p
	if len(p) >= 48 {
		seed1, seed2 := seed, seed
		for ; len(p) >= 48; p = p[48:] {
			seed = wymix(word(p, 0)^wyp1, word(p, 8)^seed)
			seed1 = wymix(word(p, 16)^wyp2, word(p, 24)^seed1)
			seed2 = wymix(word(p, 32)^wyp3, word(p, 40)^seed2)
		}
		seed ^= seed1 ^ seed2
	}
	for ; len(p) > 16; p = p[16:] {
		seed = wymix(word(p, 0)^wyp1, word(p, 8)^seed)
	}
	return word(whole, len(whole)-16), word(whole, len(whole)-8), seed
}

func word(p []byte, at int) uint64 { return binary.LittleEndian.Uint64(p[at:]) }
