package services

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Ports are TCP ports of 127.0.0.1 that are kept for one set of servers, over any number of their restarts.
//
// A port found by listening on port 0 comes from the range that the kernel gives to outgoing connections: while its server is down a client
// may get it, and the server cannot come back. So ports are taken from below that range, and a locked file per port keeps parallel test
// processes apart. The kernel drops the lock with the process.
type Ports struct {
	files []*os.File
	ports []int
}

// ReservePorts keeps n free ports until Release.
func ReservePorts(n int) (*Ports, error) {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("thalweg-ports-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("services: reserve ports: %w", err)
	}
	low, high := portRange()
	p := &Ports{}
	for tries := 0; len(p.ports) < n; tries++ {
		if tries == 1000+100*n {
			p.Release()
			return nil, fmt.Errorf("services: reserve ports: no %d free ports of 127.0.0.1 between %d and %d", n, low, high)
		}
		port := low + rand.IntN(high-low)
		file, err := lockPort(dir, port)
		if err != nil {
			p.Release()
			return nil, fmt.Errorf("services: reserve port %d: %w", port, err)
		}
		if file == nil {
			continue
		}
		p.files, p.ports = append(p.files, file), append(p.ports, port)
	}
	return p, nil
}

// Port is the i-th port, counted from 0.
func (p *Ports) Port(i int) int { return p.ports[i] }

// Addr is the i-th port as host:port.
func (p *Ports) Addr(i int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.ports[i])) }

// Release gives the ports back. It may be called more than once.
func (p *Ports) Release() {
	for _, f := range p.files {
		// Removed while it is locked: who opened it before finds by the inode that the name is another file's by now.
		_ = os.Remove(f.Name())
		_ = f.Close()
	}
	p.files = nil
}

// lockPort takes one port; nil if somebody has it.
func lockPort(dir string, port int) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(port)), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, nil
		}
		return nil, err
	}
	mine, errMine := file.Stat()
	named, errNamed := os.Stat(file.Name())
	if errMine != nil || errNamed != nil || !os.SameFile(mine, named) {
		file.Close()
		return nil, nil
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		_ = os.Remove(file.Name())
		file.Close()
		return nil, nil
	}
	return file, l.Close()
}

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
