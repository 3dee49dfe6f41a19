//go:build !unix

package probe

import "time"

// Now is the wall clock in ns: this system tells no other that processes share.
func Now() int64 { return time.Now().UnixNano() }
