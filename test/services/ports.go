package services

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
)

// Ports are TCP ports of 127.0.0.1 that are kept for one set of servers, over any number of their restarts.
//
// A port found by listening on port 0 comes from the range that the kernel gives to outgoing connections: while its server is down a client
// may get it, and the server cannot come back. So ports are taken from below that range, and a lock per port keeps parallel test processes
// apart. The lock is a socket with an abstract name: like a port it belongs to the network namespace, it leaves no file, and it ends with the
// process.
type Ports struct {
	locks []net.Listener
	ports []int
}

// ReservePorts keeps n free ports until Release.
func ReservePorts(n int) (*Ports, error) {
	low, high := portRange()
	p := &Ports{}
	for tries := 0; len(p.ports) < n; tries++ {
		if tries == 1000+100*n {
			p.Release()
			return nil, fmt.Errorf("services: reserve ports: no %d free ports of 127.0.0.1 between %d and %d", n, low, high)
		}
		port := low + rand.IntN(high-low)
		if lock := lockPort(port); lock != nil {
			p.locks, p.ports = append(p.locks, lock), append(p.ports, port)
		}
	}
	return p, nil
}

// Port is the i-th port, counted from 0.
func (p *Ports) Port(i int) int { return p.ports[i] }

// Addr is the i-th port as host:port.
func (p *Ports) Addr(i int) string { return loopback(p.ports[i]) }

// Release gives the ports back. It may be called more than once.
func (p *Ports) Release() {
	for _, l := range p.locks {
		_ = l.Close()
	}
	p.locks = nil
}

// lockPort takes one port; nil if somebody has it.
func lockPort(port int) net.Listener {
	lock, err := net.Listen("unix", fmt.Sprintf("@thalweg-test-port-%d", port))
	if err != nil {
		return nil
	}
	// Somebody who knows nothing of these locks may listen there.
	probe, err := net.Listen("tcp", loopback(port))
	if err != nil {
		lock.Close()
		return nil
	}
	probe.Close()
	return lock
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// portRange is where ports are taken from: the 20,000 below those of outgoing connections, where the system leaves that room.
func portRange() (low, high int) {
	const room = 20000
	high = 32768
	if content, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		if fields := strings.Fields(string(content)); len(fields) == 2 {
			if first, err := strconv.Atoi(fields[0]); err == nil {
				high = first
			}
		}
	}
	if high-room < 1024 {
		return 10000, 60000
	}
	return high - room, high
}
