package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// cut makes all connections between two processes silent, and nothing else: each of their sockets is given a filter that drops every packet, as a route
// that leads nowhere does. No end is told, and neither hears the other's acknowledgements. The kernel lets a process do that to what it has started; no
// rule of the machine's network is touched. It reports how many connections there were.
func cut(a, b int) (connections int, err error) {
	left, err := socketsOf(a)
	defer left.close()
	if err != nil {
		return 0, err
	}
	right, err := socketsOf(b)
	defer right.close()
	if err != nil {
		return 0, err
	}
	for ends, fd := range left {
		other, ok := right[ends.turned()]
		if !ok {
			continue
		}
		if err := errors.Join(deafen(fd), deafen(other)); err != nil {
			return connections, err
		}
		connections++
	}
	return connections, nil
}

// ends are the addresses of a connection, as one of its two sides sees them.
type ends struct{ here, there string }

func (e ends) turned() ends { return ends{e.there, e.here} }

// sockets are descriptors of this process for the TCP sockets of another.
type sockets map[ends]int

func (s sockets) close() {
	for _, fd := range s {
		unix.Close(fd)
	}
}

// socketsOf takes the connected TCP sockets of a process in hand.
func socketsOf(pid int) (sockets, error) {
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("process %d: %w", pid, err)
	}
	defer unix.Close(process)
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return nil, err
	}
	found := sockets{}
	for _, entry := range list {
		n, err := strconv.Atoi(entry.Name())
		if err != nil {
			return found, fmt.Errorf("descriptor %q of process %d: %w", entry.Name(), pid, err)
		}
		fd, err := unix.PidfdGetfd(process, n, 0)
		if errors.Is(err, unix.EBADF) {
			continue // closed since it was listed
		}
		if err != nil {
			return found, fmt.Errorf("descriptor %d of process %d: %w: it takes the right to trace what one has started (CAP_SYS_PTRACE)", n, pid, err)
		}
		e := ends{address(unix.Getsockname(fd)), address(unix.Getpeername(fd))}
		if _, twice := found[e]; e.here == "" || e.there == "" || twice {
			unix.Close(fd)
			continue
		}
		found[e] = fd
	}
	return found, nil
}

// address is empty if it is none of TCP.
func address(a unix.Sockaddr, err error) string {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return fmt.Sprintf("%v:%d", a.Addr, a.Port)
	case *unix.SockaddrInet6:
		return fmt.Sprintf("%v:%d", a.Addr, a.Port)
	}
	return ""
}

// deafen has a socket receive nothing any more.
func deafen(fd int) error {
	nothing := [...]unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(nothing)), Filter: &nothing[0]}); err != nil {
		return fmt.Errorf("filter a socket: %w", err)
	}
	return nil
}
