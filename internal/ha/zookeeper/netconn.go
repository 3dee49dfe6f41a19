package zookeeper

import (
	"encoding/binary"
	"net"
	"sync"
	"time"
)

// wire is what the connections of one client have shown, beyond what the library tells.
type wire struct {
	limit time.Duration // of a dial; the library's own is fixed at one second

	mu       sync.Mutex
	session  int64
	timeout  time.Duration // negotiated
	contact  time.Time     // when the newest answered request was sent
	err      error         // of the last dial or handshake
	current  *netConn
	failures int // handshakes in a row that did not finish

	rewatched func() // called once the library has set its watches again on a connection; not under mu
}

// handshakeLimit bounds how long a server may take to answer a connect request. The library waits 6.7 session timeouts for a
// server that hangs, and so loses the session. It grows with each failure, because a new session needs a quorum's fsync, which
// a busy disk delays.
func (w *wire) handshakeLimit() time.Duration {
	limit := 500 * time.Millisecond << min(w.failures, 4)
	if w.timeout != 0 {
		limit = min(limit, max(w.timeout/2, 500*time.Millisecond))
	}
	return limit
}

// dial makes the library's connections. It closes the one before: after an expiry the library leaves it open.
func (w *wire) dial(network, address string, _ time.Duration) (net.Conn, error) {
	c, err := net.DialTimeout(network, address, w.limit)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.current != nil {
		w.current.Conn.Close()
		w.current = nil
	}
	if err != nil {
		w.err = err
		return nil, err
	}
	w.current = &netConn{Conn: c, wire: w, sent: map[int32]time.Time{}, deadline: time.Now().Add(w.handshakeLimit())}
	w.failures++ // until it has finished
	return w.current, nil
}

// netConn reads along with the library: the handshake's answer, and which requests are answered.
type netConn struct {
	net.Conn
	wire *wire

	// Guarded by wire.mu.
	deadline time.Time // of the handshake; zero once it is done
	opened   time.Time // when the connect request was sent
	sent     map[int32]time.Time
	pings    []time.Time // all pings have the same id; they are answered in order

	// Only Read's.
	frame  []byte // the beginning of the frame being read, at most frameHead bytes
	length int    // of the frame, with its own 4 bytes; 0: not known yet
	have   int
}

// frameHead is what of a frame is looked at: the length and, of the first, protocol version, timeout and session; of the
// others, the request's id.
//
//	connect response   length int32 | protocol int32 | timeout int32 (ms) | session int64 | ...
//	any other          length int32 | xid int32 | ...
const frameHead = 20

const (
	pingID       = -2
	opSetWatches = 101
)

// Write notes when a request is sent: before it is written, because that is when the session's time starts at the latest. The
// library writes each request with one call.
func (c *netConn) Write(b []byte) (int, error) {
	now := time.Now()
	c.wire.mu.Lock()
	switch {
	case c.opened.IsZero():
		c.opened = now
	case len(b) >= 8:
		if id := int32(binary.BigEndian.Uint32(b[4:])); id == pingID {
			c.pings = append(c.pings, now)
		} else {
			c.sent[id] = now
		}
	}
	rewatched := c.wire.rewatched
	c.wire.mu.Unlock()
	n, err := c.Conn.Write(b)
	if rewatched != nil && len(b) >= 12 && binary.BigEndian.Uint32(b[8:]) == opSetWatches {
		rewatched()
	}
	return n, err
}

func (c *netConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.scan(b[:n])
	if err != nil {
		c.wire.mu.Lock()
		if !c.deadline.IsZero() {
			c.wire.err = err
		}
		c.wire.mu.Unlock()
	}
	return n, err
}

// scan follows the frames in what was read.
func (c *netConn) scan(b []byte) {
	for len(b) > 0 {
		if c.length == 0 {
			n := min(4-len(c.frame), len(b))
			c.frame, b = append(c.frame, b[:n]...), b[n:]
			if len(c.frame) < 4 {
				return
			}
			c.length = 4 + int(binary.BigEndian.Uint32(c.frame))
			c.have = 4
			continue
		}
		n := min(c.length-c.have, len(b))
		if room := frameHead - len(c.frame); room > 0 {
			c.frame = append(c.frame, b[:min(room, n)]...)
		}
		c.have += n
		b = b[n:]
		if c.have >= c.length {
			c.complete()
			c.frame, c.length = c.frame[:0], 0
		}
	}
}

// complete takes one whole frame.
func (c *netConn) complete() {
	w := c.wire
	w.mu.Lock()
	defer w.mu.Unlock()
	if !c.deadline.IsZero() {
		if len(c.frame) < frameHead {
			return
		}
		c.deadline = time.Time{}
		c.Conn.SetReadDeadline(time.Time{})
		w.failures, w.err = 0, nil
		w.session = int64(binary.BigEndian.Uint64(c.frame[12:]))
		if w.session != 0 {
			w.timeout = time.Duration(binary.BigEndian.Uint32(c.frame[8:])) * time.Millisecond
			w.heard(c.opened)
		}
		return
	}
	if len(c.frame) < 8 {
		return
	}
	id := int32(binary.BigEndian.Uint32(c.frame[4:]))
	if id == pingID && len(c.pings) > 0 {
		w.heard(c.pings[0])
		c.pings = c.pings[1:]
	} else if at, ok := c.sent[id]; ok {
		w.heard(at)
		delete(c.sent, id)
	}
}

func (w *wire) heard(sent time.Time) {
	if sent.After(w.contact) {
		w.contact = sent
	}
}

// SetReadDeadline caps the deadline until the handshake is done; the library also takes it away in the middle of it.
func (c *netConn) SetReadDeadline(t time.Time) error {
	c.wire.mu.Lock()
	defer c.wire.mu.Unlock()
	if !c.deadline.IsZero() && (t.IsZero() || t.After(c.deadline)) {
		t = c.deadline
	}
	return c.Conn.SetReadDeadline(t)
}
