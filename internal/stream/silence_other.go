//go:build !linux

package stream

import "net"

// bounded is for systems that end a connection to a silent peer by their own rules.
func bounded(nc net.Conn) {
	if c, ok := nc.(*net.TCPConn); ok {
		_ = c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: silence / 4, Interval: silence / 4, Count: 2})
	}
}
