package state

import "unsafe"

// fetch reads a word of each of the first n lines, so that they come from memory together and not one by one when they are needed. It does not ask
// for them by prefetch instructions: a processor drops those for pages whose translation it has not at hand, which in a virtual machine are most pages of a
// large table, huge or not; a read it has to do. A count over 1 M keys took 33 ns a record with prefetches, and 25 with reads.
//
// The result is of no use, but for the compiler, which would leave the reads out.
//
//go:noinline
func fetch(base unsafe.Pointer, at *[ahead]uint64, n int) (all uint64) {
	for _, off := range at[:n] {
		all |= *(*uint64)(unsafe.Add(base, off))
	}
	return all
}
