//go:build failpoints

package zookeeper

import "os"

// leaseOff reports whether terms are to be blind to everything but the fence: drills show with it that the fence alone holds.
func leaseOff() bool { return os.Getenv("THALWEG_FAILPOINT_LEASE_OFF") == "1" }
