package zkmodel

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/thalweg-io/thalweg/internal/ha/zookeeper"
	"github.com/thalweg-io/thalweg/internal/queue"
)

// Client is the client seam over an Ensemble, with switches for the faults that a network and a server have.
type Client struct {
	ensemble *Ensemble
	id       int64
	timeout  time.Duration
	events   *queue.Queue[zookeeper.Event]
	ctx      context.Context // until Close
	cancel   context.CancelFunc
	work     sync.WaitGroup

	state struct { // guarded by the ensemble's lock
		session   int64
		connected bool
		server    int
		contact   time.Time
		asked     uint64
		cut       bool                         // no connection can be made
		silent    bool                         // nothing is answered, nothing is noticed: a hung ensemble
		lose      func(zookeeper.Request) bool // the first match is lost
		reply     bool                         // only the reply to it, after the commit
	}
}

// NewClient makes a client and starts to connect it.
func (e *Ensemble) NewClient(timeout time.Duration, listener func(zookeeper.Event)) *Client {
	c := &Client{ensemble: e, timeout: timeout, events: queue.New[zookeeper.Event]()}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	e.mu.Lock()
	e.mu.next++
	c.id = e.mu.next
	c.state.server = int(c.id)
	e.mu.clients[c.id] = c
	e.mu.Unlock()
	c.work.Add(2)
	go c.connect()
	go c.listen(listener)
	return c
}

// Cut breaks the connection and keeps it broken, or heals it.
func (c *Client) Cut(cut bool) {
	c.ensemble.mu.Lock()
	defer c.ensemble.mu.Unlock()
	c.state.cut = cut
	if cut && c.state.connected {
		c.ensemble.stepLocked(Drop{c.state.session})
		c.dropLocked()
	}
}

// Silence makes the servers silent for this client without closing anything, or ends that.
func (c *Client) Silence(silent bool) {
	c.ensemble.mu.Lock()
	defer c.ensemble.mu.Unlock()
	c.state.silent = silent
}

// LoseReply lets the first request that matches be performed, loses its reply and breaks the connection.
func (c *Client) LoseReply(match func(zookeeper.Request) bool) { c.lose(match, true) }

// LoseRequest loses the first request that matches and breaks the connection.
func (c *Client) LoseRequest(match func(zookeeper.Request) bool) { c.lose(match, false) }

func (c *Client) lose(match func(zookeeper.Request) bool, reply bool) {
	c.ensemble.mu.Lock()
	defer c.ensemble.mu.Unlock()
	c.state.lose, c.state.reply = match, reply
}

// Expire ends the session at the servers.
func (c *Client) Expire() {
	c.ensemble.mu.Lock()
	defer c.ensemble.mu.Unlock()
	c.ensemble.stepLocked(Expire{c.state.session})
}

// Abandon makes the client vanish as a killed process does: nothing is closed, the session times out.
func (c *Client) Abandon() {
	c.Silence(true)
	c.ensemble.mu.Lock()
	c.ensemble.stepLocked(Drop{c.state.session})
	delete(c.ensemble.mu.clients, c.id)
	c.state.connected = false
	c.ensemble.mu.Unlock()
	c.cancel()
	c.events.Close()
	c.work.Wait()
}

func (c *Client) dropLocked() {
	if c.state.connected {
		c.state.connected = false
		c.events.Push(zookeeper.Event{Kind: zookeeper.Disconnected})
	}
}

// connect keeps the client connected and its session alive.
func (c *Client) connect() {
	defer c.work.Done()
	for c.ctx.Err() == nil {
		pause := c.timeout / 3
		c.ensemble.mu.Lock()
		switch s := &c.state; {
		case s.silent:
			pause = 5 * time.Millisecond
		case s.connected:
			sent := time.Now()
			for _, effect := range c.ensemble.stepLocked(Ping{s.session}) {
				if _, ok := effect.(Pong); ok {
					s.contact = sent
				}
			}
			pause = min(pause, 20*time.Millisecond) // also how soon a drop is noticed
		case s.cut:
			pause = 5 * time.Millisecond
		default:
			pause = 5 * time.Millisecond
			c.openLocked()
		}
		c.ensemble.mu.Unlock()
		wait(c.ctx, pause)
	}
}

func (c *Client) openLocked() {
	s := &c.state
	sent := time.Now()
	s.server = (s.server + 1) % c.ensemble.mu.model.Servers()
	// The connected event must come before the watches that a resumed session has missed: the model answers in that order,
	// but its watches are handed over while the step runs, so they are held back here.
	out := c.ensemble.mu.model.Step(time.Since(c.ensemble.start), Open{c.id, s.server, s.session, c.timeout})
	for _, effect := range out {
		switch effect := effect.(type) {
		case Opened:
			s.session, s.connected, s.contact = effect.Session, true, sent
			c.events.Push(zookeeper.Event{Kind: zookeeper.Connected, Session: effect.Session, Timeout: effect.Timeout})
		case Refused:
			if effect.Expired {
				s.session = 0
				c.events.Push(zookeeper.Event{Kind: zookeeper.Expired})
			}
		}
	}
	c.ensemble.deliverLocked(out)
}

// listen tells the listener, in order.
func (c *Client) listen(listener func(zookeeper.Event)) {
	defer c.work.Done()
	for range c.events.Ready() {
		events, ok := c.events.Drain()
		for _, ev := range events {
			if c.ctx.Err() == nil {
				listener(ev)
			}
		}
		if !ok {
			return
		}
	}
}

// Do implements zookeeper.Client.
func (c *Client) Do(ctx context.Context, r zookeeper.Request) (zookeeper.Response, error) {
	if err := context.Cause(c.ctx); err != nil {
		return zookeeper.Response{}, zookeeper.ErrClosed
	}
	c.ensemble.mu.Lock()
	s := &c.state
	switch {
	case r.Session != 0 && r.Session != s.session:
		c.ensemble.mu.Unlock()
		return zookeeper.Response{}, zookeeper.ErrSession
	case !s.connected:
		c.ensemble.mu.Unlock()
		return zookeeper.Response{}, zookeeper.ErrNotSent
	case s.silent:
		c.ensemble.mu.Unlock()
		ctx, cancel := context.WithTimeout(ctx, c.timeout*2/3)
		defer cancel()
		select {
		case <-ctx.Done():
		case <-c.ctx.Done():
		}
		return zookeeper.Response{}, zookeeper.ErrLost
	}
	defer c.ensemble.mu.Unlock()
	sent := time.Now()
	s.asked++
	lost := s.lose != nil && s.lose(r)
	var out []Effect
	if !lost || s.reply {
		out = c.ensemble.stepLocked(Ask{s.session, s.asked, r})
	}
	if lost {
		s.lose = nil
		c.ensemble.stepLocked(Drop{s.session})
		c.dropLocked()
		return zookeeper.Response{}, zookeeper.ErrLost
	}
	for _, effect := range out {
		if reply, ok := effect.(Reply); ok {
			s.contact = sent
			return reply.Response, reply.Err
		}
	}
	return zookeeper.Response{}, zookeeper.ErrLost
}

// Status implements zookeeper.Client.
func (c *Client) Status() zookeeper.Status {
	c.ensemble.mu.Lock()
	defer c.ensemble.mu.Unlock()
	s := zookeeper.Status{Session: c.state.session, Timeout: c.timeout, Connected: c.state.connected, Contact: c.state.contact}
	if !s.Connected {
		s.Err = errors.New("no server of the model answers")
	}
	return s
}

// Close implements zookeeper.Client.
func (c *Client) Close() error {
	if c.ctx.Err() != nil {
		return nil
	}
	c.cancel()
	c.ensemble.mu.Lock()
	if !c.state.silent && c.state.connected {
		c.ensemble.stepLocked(End{c.state.session})
	}
	delete(c.ensemble.mu.clients, c.id)
	c.state.connected = false
	c.ensemble.mu.Unlock()
	c.events.Close()
	c.work.Wait()
	return nil
}
