//go:build amd64 || arm64

package linebuckets

import "unsafe"

// prefetch asks for the lines at the first n offsets and does not wait for them. Go has no such instruction of its own.
//
//go:noescape
func prefetch(base unsafe.Pointer, at *[ahead]uint64, n int)
