//go:build amd64 || arm64

package prefetch

import "unsafe"

// Lines asks for the lines at the first n offsets from base, and does not wait for them.
//
//go:noescape
func Lines(base unsafe.Pointer, at *[Most]uint64, n int)
