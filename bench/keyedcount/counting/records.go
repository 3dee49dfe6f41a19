package counting

import "fmt"

// form is what records are: how they are made of keys, and what is counted of them.
type form[R any, K comparable] struct {
	fill   func(keys *keys, dst []R)
	mark   R
	key    func(R) K
	number func(K) uint64 // the key that a record was made of; 0 of a mark
}

var numbers = form[uint64, uint64]{
	fill:   (*keys).fill,
	key:    func(v uint64) uint64 { return v },
	number: func(v uint64) uint64 { return v },
}

// Row is a record of 40 bytes of memory, of which a string has 16 more.
type Row struct {
	Key  uint64
	Name string
	A, B uint64
}

const names = "the quick brown fox jumps over the lazy dog, and the dog does not mind it at all: it is much too hot a day"

func rows() form[Row, uint64] {
	var scratch [batch]uint64
	return form[Row, uint64]{
		fill: func(keys *keys, dst []Row) {
			for len(dst) > 0 {
				part := scratch[:min(len(dst), len(scratch))]
				keys.fill(part)
				for i, key := range part {
					at := key % 64
					dst[i] = Row{key, names[at : at+16], key, uint64(i)}
				}
				dst = dst[len(part):]
			}
		},
		key:    func(r Row) uint64 { return r.Key },
		number: func(v uint64) uint64 { return v },
	}
}

// batch is how many keys are made at a time, and no contract.
const batch = 1024

// words have 16 digits. They are pieces of one text that is made beforehand, as a source that decodes a message has them.
func words(n uint64) form[string, string] {
	const size = 16
	text := make([]byte, 0, n*size)
	for key := range n {
		text = fmt.Appendf(text, "%016x", key+1)
	}
	all := string(text)
	var scratch [batch]uint64
	return form[string, string]{
		fill: func(keys *keys, dst []string) {
			for len(dst) > 0 {
				part := scratch[:min(len(dst), len(scratch))]
				keys.fill(part)
				for i, key := range part {
					dst[i] = all[(key-1)*size : key*size]
				}
				dst = dst[len(part):]
			}
		},
		key: func(s string) string { return s },
		number: func(s string) (key uint64) {
			for _, digit := range []byte(s) {
				if digit > '9' {
					digit -= 'a' - '9' - 1
				}
				key = key<<4 | uint64(digit-'0')
			}
			return key
		},
	}
}
