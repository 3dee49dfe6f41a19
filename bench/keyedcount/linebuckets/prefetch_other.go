//go:build !amd64 && !arm64

package linebuckets

import "unsafe"

// prefetch does nothing here: lines are fetched when they are needed.
func prefetch(unsafe.Pointer, *[ahead]uint64, int) {}
