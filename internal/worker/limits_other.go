//go:build !linux

package worker

import "errors"

// residentMemory: only Linux tells, so elsewhere nothing but the heap is limited.
func residentMemory() (resident, file int64, err error) {
	return 0, 0, errors.New("this system does not say how much memory a process has resident")
}
