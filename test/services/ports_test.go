package services

import (
	"errors"
	"net"
	"os"
	"testing"
)

func TestReservedPortsAreFreeAndOnesOwn(t *testing.T) {
	first, err := ReservePorts(20)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Release()
	second, err := ReservePorts(20)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Release()
	seen := map[int]bool{}
	for i := range 20 {
		for _, p := range []*Ports{first, second} {
			if seen[p.Port(i)] {
				t.Errorf("port %d was given twice", p.Port(i))
			}
			seen[p.Port(i)] = true
		}
		l, err := net.Listen("tcp", first.Addr(i))
		if err != nil {
			t.Error(err)
			continue
		}
		l.Close()
	}
}

func TestALockedPortIsRefusedUntilReleased(t *testing.T) {
	dir := t.TempDir()
	held, err := ReservePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	port := held.Port(0)
	file, err := lockPort(dir, port)
	if err != nil || file == nil {
		t.Fatalf("lock of a free port: %v, %v", file, err)
	}
	if again, err := lockPort(dir, port); again != nil || err != nil {
		t.Errorf("a port was locked twice: %v, %v", again, err)
	}
	(&Ports{files: []*os.File{file}}).Release()
	if _, err := os.Stat(file.Name()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the lock's file after Release: %v", err)
	}
	l, err := net.Listen("tcp", held.Addr(0))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if busy, err := lockPort(dir, port); busy != nil || err != nil {
		t.Errorf("a port that somebody listens on was given: %v, %v", busy, err)
	}
}
