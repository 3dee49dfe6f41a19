//go:build !unix

package bareloop

import "time"

var start = time.Now()

// processorTime is the time of the clock where processor time is not to be had: compare only on a machine without neighbours.
func processorTime() time.Duration { return time.Since(start) }
