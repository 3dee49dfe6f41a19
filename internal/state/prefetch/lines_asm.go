//go:build amd64 || arm64

package prefetch

import "unsafe"

// Lines asks for the lines at offsets from base, and does not wait for them. A processor has 10 to 20 on their way at once, and what is asked for
// beyond that does wait.
//
//go:noescape
func Lines(base unsafe.Pointer, offsets []uint64)
