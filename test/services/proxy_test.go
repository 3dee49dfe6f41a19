package services

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"
)

// echo is a server that sends back what it gets, and an end for an end.
func echo(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
	return l.Addr().String()
}

func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// exchange sends a text and wants it back.
func exchange(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	want(t, conn, text)
}

func want(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	got := make([]byte, len(text))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != text {
		t.Fatalf("received %q, %v; want %q", got, err, text)
	}
}

// silent wants nothing to arrive for a while.
func silent(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	n, err := conn.Read(make([]byte, 1))
	var timeout net.Error
	if n > 0 || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Fatalf("received %d bytes, %v; want silence", n, err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
}

// lost says whether a proxy has cut bytes out of a connection.
func lost(p *Proxy) func() bool {
	return func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		for l := range p.mu.links {
			if l.damaged.Load() {
				return true
			}
		}
		return false
	}
}

func wantReset(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := io.Copy(io.Discard, conn); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("the connection ended with %v, want %v", err, syscall.ECONNRESET)
	}
}

func TestProxyForwardsBytesAndEnds(t *testing.T) {
	p := ProxyForTest(t, echo(t))
	conn := dial(t, p.Addr())
	content := bytes.Repeat([]byte("0123456789"), 1<<20)
	var sending sync.WaitGroup
	sending.Go(func() {
		if _, err := conn.Write(content); err != nil {
			t.Error(err)
		}
		if err := conn.CloseWrite(); err != nil {
			t.Error(err)
		}
	})
	got, err := io.ReadAll(conn)
	sending.Wait()
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("got %d bytes back, %v; want the %d sent", len(got), err, len(content))
	}
	eventually(t, "the link is gone", func() bool { return p.Connections() == 0 })
}

func TestProxyHoldDeliversLater(t *testing.T) {
	for name, way := range map[string]Direction{"to server": ToServer, "to client": ToClient, "both": BothWays} {
		t.Run(name, func(t *testing.T) {
			p := ProxyForTest(t, echo(t))
			conn := dial(t, p.Addr())
			exchange(t, conn, "before")
			p.Hold(way)
			if _, err := io.WriteString(conn, "held"); err != nil {
				t.Fatal(err)
			}
			silent(t, conn)
			if err := p.Forward(); err != nil {
				t.Fatal(err)
			}
			want(t, conn, "held")
			exchange(t, conn, "after")
		})
	}
}

func TestProxyDelaysEachWay(t *testing.T) {
	p := ProxyForTest(t, echo(t))
	conn := dial(t, p.Addr())
	const delay = 40 * time.Millisecond
	p.Delay(ToServer, delay)
	p.Delay(ToClient, 2*delay)
	began := time.Now()
	exchange(t, conn, "slow")
	if took := time.Since(began); took < 3*delay {
		t.Errorf("there and back took %v, must be at least %v", took, 3*delay)
	}
}

func TestProxyCutLosesAndForwardResets(t *testing.T) {
	p := ProxyForTest(t, echo(t))
	damaged, idle := dial(t, p.Addr()), dial(t, p.Addr())
	exchange(t, damaged, "before")
	exchange(t, idle, "before")
	p.Cut(ToServer)
	if _, err := io.WriteString(damaged, "lost"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the bytes are lost", lost(p))
	silent(t, damaged)
	if err := p.Forward(); err != nil {
		t.Fatal(err)
	}
	wantReset(t, damaged)
	exchange(t, idle, "nothing of this one was lost")
}

func TestProxyCutIsOneWay(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := ProxyForTest(t, l.Addr().String())
	client := dial(t, p.Addr())
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	p.Cut(ToClient)
	if _, err := io.WriteString(server, "lost"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the bytes are lost", lost(p))
	silent(t, client)
	if _, err := io.WriteString(client, "passes"); err != nil {
		t.Fatal(err)
	}
	want(t, server, "passes")
}

func TestProxyResetAndRefuse(t *testing.T) {
	p := ProxyForTest(t, echo(t))
	conn := dial(t, p.Addr())
	exchange(t, conn, "before")
	if err := p.Refuse(true); err != nil {
		t.Fatal(err)
	}
	exchange(t, conn, "present ones stay")
	if c, err := net.Dial("tcp", p.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial of a proxy that refuses: %v, %v", c, err)
	}
	p.Reset()
	wantReset(t, conn)
	if err := p.Forward(); err != nil {
		t.Fatal(err)
	}
	exchange(t, dial(t, p.Addr()), "after")
}

func TestProxyWithoutAServerResets(t *testing.T) {
	ports, err := ReservePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	defer ports.Release()
	p := ProxyForTest(t, ports.Addr(0))
	// The reset may come before the client has seen that it is connected.
	if conn, err := net.Dial("tcp", p.Addr()); err == nil {
		wantReset(t, conn)
		conn.Close()
	} else if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("dial: %v, want a connection or %v", err, syscall.ECONNRESET)
	}
	p.SetTarget(echo(t))
	exchange(t, dial(t, p.Addr()), "the new target")
}

func TestProxyPassesOnAReset(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client := dial(t, ProxyForTest(t, l.Addr().String()).Addr())
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	resetConn(server.(*net.TCPConn))
	wantReset(t, client)
}
