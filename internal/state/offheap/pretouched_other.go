//go:build !linux

package offheap

import (
	"context"
	"errors"
)

// Pretouch is of systems on which ranges are mapped.
func Pretouch(_ context.Context, n int64) (release func(), err error) {
	if n <= 0 {
		return func() {}, nil
	}
	return nil, errors.New("state is on the Go heap on this system, where no memory can be touched for it ahead")
}
