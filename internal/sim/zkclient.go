package sim

import (
	"slices"
	"time"

	"github.com/thalweg-io/thalweg/internal/ha/zkmodel"
	"github.com/thalweg-io/thalweg/internal/ha/zookeeper"
)

const zkHost = 99

// zkClient behaves like the library behind ha/zookeeper.Client: it reconnects by itself, keeps its session while the servers
// do, opens a new one after an expiry, and loses the answers of what was in flight when its connection broke.
type zkClient struct {
	s       *Sim
	p       *proc
	life    int // of the process: a client ends with it
	id      int64
	term    *term // on whose behalf writes are made, for the checks
	session int64
	timeout time.Duration
	server  int
	link    int // number of the connection; what arrives of an older one is dropped
	up      bool
	trying  bool
	lossy   bool // something was lost to a cut: the connection does not outlive it
	asked   uint64
	waiting map[uint64]*zkRequest
	order   []uint64
	contact time.Duration
	heard   time.Duration
	toTail  time.Duration
	backAt  time.Duration
	event   func(zookeeper.Event)
}

type zkRequest struct {
	r       zookeeper.Request
	sent    time.Duration
	arrived bool
	by      *term
	answer  func(zookeeper.Response, error)
}

func (s *Sim) newZKClient(p *proc, timeout time.Duration, event func(zookeeper.Event)) *zkClient {
	s.zkIDs++
	c := &zkClient{s: s, p: p, life: p.life, id: s.zkIDs, timeout: timeout, waiting: map[uint64]*zkRequest{}, event: event, server: s.rng.IntN(3)}
	s.zkConn[c.id] = c
	c.connect()
	c.beat()
	return c
}

func (c *zkClient) latency() time.Duration {
	return c.s.between(100*time.Microsecond, 1500*time.Microsecond)
}

// connect tries one server after the other.
func (c *zkClient) connect() {
	if c.trying || c.up {
		return
	}
	c.trying = true
	c.server = (c.server + 1) % 3
	c.s.after(c.s.between(time.Millisecond, 30*time.Millisecond), c.p, func() {
		if c.s.cut(c.p.host, zkHost) || c.s.cut(zkHost, c.p.host) {
			c.trying = false
			c.s.after(100*time.Millisecond, c.p, c.connect)
			return
		}
		sent := c.s.now
		for _, e := range c.s.zkStep(zkmodel.Open{Client: c.id, Server: c.server, Session: c.session, Timeout: c.timeout}) {
			switch e := e.(type) {
			case zkmodel.Opened:
				c.s.after(c.latency(), c.p, func() { c.opened(e, sent) })
				return
			case zkmodel.Refused:
				if e.Expired {
					c.s.after(c.latency(), c.p, func() {
						c.trying = false
						c.session = 0
						c.event(zookeeper.Event{Kind: zookeeper.Expired})
						c.connect()
					})
					return
				}
			}
		}
		c.trying = false
		c.s.after(c.s.between(20*time.Millisecond, 100*time.Millisecond), c.p, c.connect)
	})
}

func (c *zkClient) opened(e zkmodel.Opened, sent time.Duration) {
	c.trying, c.up, c.lossy = false, true, false
	c.link++
	c.session = e.Session
	c.s.zkSess[e.Session] = c
	c.contact, c.heard = sent, c.s.now
	c.event(zookeeper.Event{Kind: zookeeper.Connected, Session: e.Session, Timeout: e.Timeout})
}

// beat pings, and gives up a server that does not answer.
func (c *zkClient) beat() {
	if c.up {
		cut := c.s.cut(c.p.host, zkHost) || c.s.cut(zkHost, c.p.host)
		if c.s.now-c.heard > 2*c.timeout/3 || c.lossy && !cut {
			c.drop()
		} else {
			link, sent := c.link, c.s.now
			c.toServer(link, func() {
				for _, e := range c.s.zkStep(zkmodel.Ping{Session: c.session}) {
					if _, ok := e.(zkmodel.Pong); ok {
						c.fromServer(link, func() { c.contact, c.heard = max(c.contact, sent), c.s.now })
					}
				}
			})
		}
	} else {
		c.connect()
	}
	c.s.after(c.timeout/6, c.p, c.beat)
}

// toServer carries something to the servers, in order, unless it is lost.
func (c *zkClient) toServer(link int, run func()) {
	if c.s.cut(c.p.host, zkHost) || c.life != c.p.life {
		c.lossy = true
		return
	}
	at := max(c.s.now+c.latency(), c.toTail)
	if c.s.o.slow && c.s.rng.IntN(400) == 0 {
		at += c.s.between(0, 2*time.Second)
	}
	c.toTail = at
	c.s.after(at-c.s.now, nil, func() {
		if c.link == link && c.up {
			run()
		}
	})
}

func (c *zkClient) fromServer(link int, run func()) {
	if c.s.cut(zkHost, c.p.host) || c.life != c.p.life {
		c.lossy = true
		return
	}
	at := max(c.s.now+c.latency(), c.backAt)
	c.backAt = at
	c.s.after(at-c.s.now, c.p, func() {
		if c.link == link && c.up {
			run()
		}
	})
}

// do performs one request; answer is called once, later.
func (c *zkClient) do(r zookeeper.Request, answer func(zookeeper.Response, error)) {
	refuse := func(err error) { c.s.after(0, c.p, func() { answer(zookeeper.Response{}, err) }) }
	switch {
	case r.Session != 0 && r.Session != c.session:
		refuse(zookeeper.ErrSession)
		return
	case !c.up:
		refuse(zookeeper.ErrNotSent)
		return
	}
	c.asked++
	id, link := c.asked, c.link
	q := &zkRequest{r: r, sent: c.s.now, by: c.term, answer: answer}
	c.waiting[id] = q
	if len(c.order) > 64 {
		c.order = slices.DeleteFunc(c.order, func(id uint64) bool { return c.waiting[id] == nil })
	}
	c.order = append(c.order, id)
	lose := false
	if c.s.o.atWrites > 0 && !r.Kind.Reads() && !c.s.healed && c.s.rng.IntN(1000) < c.s.o.atWrites {
		lose = c.strike(r)
	}
	c.toServer(link, func() {
		q.arrived = true
		for _, e := range c.s.zkAsk(c, q, id) {
			if reply, ok := e.(zkmodel.Reply); ok {
				if lose {
					c.s.fault("%s: ZooKeeper's reply to %v is lost", c.p.name, short(r))
					c.s.deliver(c.p, c.p.life, c.drop)
					return
				}
				c.fromServer(link, func() {
					if c.waiting[id] == nil {
						return
					}
					delete(c.waiting, id)
					c.contact, c.heard = max(c.contact, q.sent), c.s.now
					answer(reply.Response, reply.Err)
				})
			}
		}
	})
}

// strike inflicts a fault at the worst moment: just as a write is on its way. It reports whether the reply is to be lost.
func (c *zkClient) strike(r zookeeper.Request) (lose bool) {
	switch c.s.rng.IntN(3) {
	case 0:
		return true
	case 1:
		c.s.fault("%s's session expires as it sends %v", c.p.name, short(r))
		session := c.session
		c.s.after(c.s.between(0, 2*time.Millisecond), nil, func() { c.s.zkStep(zkmodel.Expire{Session: session}) })
	default:
		if t := c.term; t != nil && !t.over {
			c.s.fault("%s's latch is deleted as it sends %v, which is slow", c.p.name, short(r))
			c.s.deleteLatch(t.grant.Latch)
			c.toTail = max(c.toTail, c.s.now+c.s.between(0, 400*time.Millisecond))
		}
	}
	return false
}

// drop breaks the connection. A request that was on its way has arrived just before, or never will.
func (c *zkClient) drop() {
	if !c.up {
		return
	}
	for _, id := range c.order {
		if q := c.waiting[id]; q != nil && !q.arrived && !c.s.cut(c.p.host, zkHost) && c.s.chance(50) {
			q.arrived = true
			c.s.zkAsk(c, q, id)
		}
	}
	c.s.zkStep(zkmodel.Drop{Session: c.session})
	c.up = false
	order := c.order
	c.order = nil
	c.event(zookeeper.Event{Kind: zookeeper.Disconnected})
	for _, id := range order {
		if q := c.waiting[id]; q != nil {
			delete(c.waiting, id)
			q.answer(zookeeper.Response{}, zookeeper.ErrLost)
		}
	}
	c.connect()
}

// zkAsk performs a request at the servers and looks at what it changed.
func (s *Sim) zkAsk(c *zkClient, q *zkRequest, id uint64) []zkmodel.Effect {
	out := s.zkStep(zkmodel.Ask{Session: c.session, ID: id, Request: q.r})
	for _, e := range out {
		if r, ok := e.(zkmodel.Reply); ok && r.Err == nil && !q.r.Kind.Reads() {
			s.truth.wrote(q.by, q.r)
		}
	}
	return out
}

// zkStep lets the ensemble act, and hands out what concerns sessions.
func (s *Sim) zkStep(in zkmodel.Input) []zkmodel.Effect {
	out := s.zk.Step(s.now, in)
	for _, e := range out {
		switch e := e.(type) {
		case zkmodel.Fired:
			if c := s.zkSess[e.Session]; c != nil {
				c.fromServer(c.link, func() { c.event(e.Event) })
			}
		case zkmodel.Dropped:
			if c := s.zkSess[e.Session]; c != nil {
				c.fromServer(c.link, c.drop)
			}
		}
	}
	return out
}

// zkClock expires sessions.
func (s *Sim) zkClock() {
	s.zkStep(zkmodel.Tick{})
	s.after(50*time.Millisecond, nil, s.zkClock)
}
