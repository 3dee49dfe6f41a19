package stream

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// bounded has the kernel end a connection whose peer has been silent for as long as silence: what it was sent is not acknowledged, or it does not
// answer when nothing is under way. Without it a host that is cut off is noticed after a quarter of an hour: who waits for credit writes nothing.
func bounded(nc net.Conn) {
	c, ok := nc.(interface {
		SetKeepAliveConfig(net.KeepAliveConfig) error
		SyscallConn() (syscall.RawConn, error)
	})
	if !ok {
		return
	}
	_ = c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: silence / 4, Interval: silence / 4, Count: 2})
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(silence.Milliseconds()))
		})
	}
}
