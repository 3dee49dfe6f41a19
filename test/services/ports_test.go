package services

import (
	"net"
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
	held, err := ReservePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	if lockPort(held.Port(0)) != nil {
		t.Error("a port was locked twice")
	}
	held.Release()
	l, err := net.Listen("tcp", held.Addr(0))
	if err != nil {
		t.Fatal(err)
	}
	if lockPort(held.Port(0)) != nil {
		t.Error("a port that somebody listens on was given")
	}
	l.Close()
	again := lockPort(held.Port(0))
	if again == nil {
		t.Fatal("a released port was refused")
	}
	again.Close()
}
