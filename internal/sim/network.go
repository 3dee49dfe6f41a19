package sim

import "time"

// conn is one end of a connection: reliable and ordered while it lives, like TCP. A cut holds its packets; a process's death
// resets it.
type conn struct {
	s       *Sim
	peer    *conn
	proc    *proc
	life    int
	in      []packet
	tail    time.Duration // arrival of the newest packet
	pumping bool
	backlog bool // accepted by nobody yet: what arrives waits
	closed  bool
	message func(any)
	ended   func(cause string)
}

type packet struct {
	at    time.Duration
	m     any
	end   bool
	cause string
}

// connect makes a connection between two living processes. The caller sets message and ended on its end; the other end is
// in the listener's backlog until open is called on it.
func (s *Sim) connect(a, b *proc) (*conn, *conn) {
	x := &conn{s: s, proc: a, life: a.life}
	y := &conn{s: s, proc: b, life: b.life, peer: x, backlog: true}
	x.peer = y
	a.conns, b.conns = append(a.conns, x), append(b.conns, y)
	return x, y
}

// open takes a connection out of the backlog: its message and ended are set.
func (c *conn) open() {
	c.backlog = false
	c.pump()
}

// delay is the one-way latency between two processes now.
func (s *Sim) delay(a, b *proc) time.Duration {
	if s.o.slow && s.rng.IntN(1500) == 0 { // everything behind it waits too
		return s.between(0, 3*time.Second)
	}
	if a.host == b.host {
		return s.between(5*time.Microsecond, 60*time.Microsecond)
	}
	d := s.between(80*time.Microsecond, 900*time.Microsecond)
	if s.o.slow && s.chance(20) {
		d += s.between(time.Millisecond, 150*time.Millisecond)
	}
	return d
}

func (c *conn) send(m any) {
	if !c.closed {
		c.post(packet{m: m})
	}
}

// close ends the connection from this side: what was sent before arrives.
func (c *conn) close(cause string) {
	if c.closed {
		return
	}
	c.closed = true
	c.post(packet{end: true, cause: cause})
}

func (c *conn) post(p packet) {
	to := c.peer
	p.at = max(c.s.now+c.s.delay(c.proc, to.proc), to.tail)
	to.tail = p.at
	to.in = append(to.in, p)
	to.pump()
}

// pump delivers what is due.
func (c *conn) pump() {
	if c.pumping || c.backlog || len(c.in) == 0 || c.s.cut(c.peer.proc.host, c.proc.host) {
		return // healing pumps again
	}
	c.pumping = true
	c.s.after(c.in[0].at-c.s.now, nil, func() {
		c.pumping = false
		for len(c.in) > 0 && c.in[0].at <= c.s.now && !c.s.cut(c.peer.proc.host, c.proc.host) {
			p := c.in[0]
			c.in = c.in[1:]
			c.take(p)
		}
		c.pump()
	})
}

func (c *conn) take(p packet) {
	c.s.deliver(c.proc, c.life, func() {
		switch {
		case c.closed:
		case p.end:
			c.closed = true
			if c.ended != nil {
				c.ended(p.cause)
			}
		case c.message != nil:
			c.message(p.m)
		}
	})
}

// reset is what happens to a connection whose process has died: the peer hears of it, with or without what was still on its way.
func (s *Sim) reset(c *conn) {
	if c.closed {
		return
	}
	c.closed = true
	to := c.peer
	if n := len(to.in); n > 0 && s.chance(50) {
		to.in = to.in[:s.rng.IntN(n+1)]
	}
	c.post(packet{end: true, cause: "connection reset by peer"})
}

// break_ tears a connection down in the middle: both ends hear of it.
func (c *conn) break_(cause string) {
	for _, x := range []*conn{c, c.peer} {
		x.in = nil
		if !x.closed {
			x.in = append(x.in, packet{at: max(x.s.now, x.tail), end: true, cause: cause})
			x.pump()
		}
	}
}

// cut reports whether nothing gets from one host to another now.
func (s *Sim) cut(from, to int) bool { return s.cuts[[2]int{from, to}] > 0 }

func (s *Sim) setCut(from, to int, on bool) {
	k := [2]int{from, to}
	if on {
		s.cuts[k]++
		return
	}
	if s.cuts[k]--; s.cuts[k] <= 0 {
		delete(s.cuts, k)
		s.flush(from, to)
	}
}

// flush delivers what a cut held back.
func (s *Sim) flush(from, to int) {
	for _, p := range s.procs() {
		if p.host != to {
			continue
		}
		for _, c := range p.conns {
			if c.peer.proc.host == from {
				c.pump()
			}
		}
	}
}
