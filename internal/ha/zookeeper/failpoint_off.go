//go:build !failpoints

package zookeeper

// leaseOff reports whether terms are to be blind to everything but the fence. Never, outside of drills.
func leaseOff() bool { return false }
