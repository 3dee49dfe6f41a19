//go:build !linux

package stream

import "time"

// alarmClock is for Linux.
type alarmClock struct{}

func (alarmClock) in(time.Duration) <-chan struct{} { return nil }
func (alarmClock) close()                           {}
