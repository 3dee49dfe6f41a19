package zookeeper

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// dialed is a connection that a wire made, and the other end of it.
func dialed(t *testing.T, w *wire) (client net.Conn, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = w.dial("tcp", l.Addr().String(), 0)
	if err != nil {
		t.Fatal(err)
	}
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

func frame(words ...any) []byte {
	var b []byte
	for _, w := range words {
		switch w := w.(type) {
		case int32:
			b = binary.BigEndian.AppendUint32(b, uint32(w))
		case int64:
			b = binary.BigEndian.AppendUint64(b, uint64(w))
		case string:
			b = append(b, w...)
		}
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}

// exchange writes at the server and reads at the client, byte by byte if slow.
func exchange(t *testing.T, server, client net.Conn, b []byte) {
	t.Helper()
	if _, err := server.Write(b); err != nil {
		t.Fatal(err)
	}
	one := make([]byte, 1)
	for range b {
		if _, err := io.ReadFull(client, one); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLeaseCountsFromTheSending: the contact is when a request was sent, not when its answer came; watches and unknown answers
// are none. Pings share an id and are answered in order.
func TestLeaseCountsFromTheSending(t *testing.T) {
	w := &wire{limit: time.Second}
	client, server := dialed(t, w)
	send := func(b []byte) (before, after time.Time) {
		before = time.Now()
		if _, err := client.Write(b); err != nil {
			t.Fatal(err)
		}
		return before, time.Now()
	}
	contact := func() time.Time {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.contact
	}
	between := func(what string, before, after time.Time) {
		t.Helper()
		if at := contact(); at.Before(before) || at.After(after) {
			t.Fatalf("%s: the contact is %v, want between %v and %v", what, at, before, after)
		}
	}
	b0, a0 := send(frame(int32(0), "connect request"))
	exchange(t, server, client, frame(int32(0), int32(4000), int64(77), int32(16), "0123456789abcdef"))
	between("handshake", b0, a0)
	if w.session != 77 || w.timeout != 4*time.Second {
		t.Fatalf("negotiated session %d, timeout %v", w.session, w.timeout)
	}
	b1, a1 := send(frame(int32(1), int32(4), "get"))
	b2, a2 := send(frame(int32(pingID), int32(11)))
	b3, a3 := send(frame(int32(pingID), int32(11)))
	exchange(t, server, client, frame(int32(-1), int64(5), int32(0), "a watch"))
	between("watch", b0, a0)
	exchange(t, server, client, frame(int32(99), int64(5), int32(0), "of no request"))
	between("unknown", b0, a0)
	exchange(t, server, client, frame(int32(1), int64(5), int32(0), strings.Repeat("long answer ", 1000)))
	between("answer", b1, a1)
	exchange(t, server, client, frame(int32(pingID), int64(5), int32(0)))
	between("first ping", b2, a2)
	exchange(t, server, client, frame(int32(pingID), int64(5), int32(0)))
	between("second ping", b3, a3)
}

// TestHandshakeIsBounded: a server that accepts and says nothing costs half a second, whatever the library asks for, and the next
// one more; a session's timeout bounds that.
func TestHandshakeIsBounded(t *testing.T) {
	w := &wire{limit: time.Second}
	client, _ := dialed(t, w)
	client.Write(frame("connect request"))
	client.SetReadDeadline(time.Now().Add(time.Minute))
	start := time.Now()
	_, err := client.Read(make([]byte, 4))
	if took := time.Since(start); !errors.Is(err, os.ErrDeadlineExceeded) || took > 5*time.Second {
		t.Fatalf("read: %v after %v", err, took)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		t.Error("the reason is not kept")
	}
	for failures, want := range []time.Duration{500, 1000, 2000, 4000, 8000, 8000} {
		w.failures = failures
		if got := w.handshakeLimit(); got != want*time.Millisecond {
			t.Errorf("after %d failures: %v, want %v ms", failures, got, want)
		}
	}
	w.timeout = 4 * time.Second
	if got := w.handshakeLimit(); got != 2*time.Second {
		t.Errorf("with a session of 4 s: %v", got)
	}
}

func TestConfigErrors(t *testing.T) {
	good := Config{Quorum: "127.0.0.1:1"}
	for _, c := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.Quorum = "" }, "high-availability.zookeeper.quorum is empty"},
		{func(c *Config) { c.Quorum = "a:1/path" }, "path.root"},
		{func(c *Config) { c.Quorum = "a:1,b:x" }, `"b:x" is not host:port`},
		{func(c *Config) { c.Quorum = "a:1,:2" }, `":2" is not host:port`},
		{func(c *Config) { c.Root = "/a//b" }, "path.root"},
		{func(c *Config) { c.Root = "/zookeeper/x" }, "ZooKeeper's own"},
		{func(c *Config) { c.Root = "/" }, "path.root"},
		{func(c *Config) { c.ClusterID = "/../x" }, "high-availability.cluster-id"},
		{func(c *Config) { c.SessionTimeout = time.Millisecond }, "session-timeout"},
		{func(c *Config) { c.ACL = "creator" }, "client.acl"},
		{func(c *Config) { c.ACL = "none" }, "client.acl"},
	} {
		bad := good
		c.change(&bad)
		s, err := Open(bad)
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want an error with %q", bad, err, c.want)
		}
	}
}

func TestLatchOrder(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"_c_z-latch-0000000001", "_c_a-latch-0000000002", -1},
		{"_c_a-latch-0000000010", "_c_a-latch-0000000002", 1},
		{"_c_a-latch-2147483647", "_c_b-latch--2147483648", -1}, // the number wraps
		{"_c_a-latch-0000000001", "_c_a-latch-0000000001", 0},
	} {
		if got := compareLatches(c.a, c.b); got != c.want {
			t.Errorf("%s, %s: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
