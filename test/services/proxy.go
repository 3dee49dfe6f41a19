package services

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Direction is a way through a Proxy.
type Direction int

// The two ways, and both.
const (
	ToServer Direction = 1 << iota
	ToClient
	BothWays = ToServer | ToClient
)

// Proxy is the network between some clients and one server: it listens on a port of 127.0.0.1 and passes every connection on to its target.
// What it is told holds for all its connections, present and future, until Forward. Its methods may be called from any goroutine.
//
// What a real network loses, TCP repeats when the network is back. So Hold is how a partition looks that heals before a timeout, and Cut how
// one looks that outlives the connection: what was cut is lost, and Forward resets the connections that it is missing from.
type Proxy struct {
	ports *Ports
	dial  context.Context // ends with Close
	stop  context.CancelFunc
	// tap makes the filter of a new connection; nil if bytes are passed as they are.
	tap     func() filter
	running sync.WaitGroup // accept loops and links

	mu struct {
		sync.Mutex
		target   string
		lanes    [2]lane       // as laneOf counts them
		changed  chan struct{} // closed and replaced whenever a lane changes
		listener net.Listener  // nil while connections are refused
		links    map[*link]struct{}
		closed   bool
	}
}

// lane is what one direction does with bytes.
type lane struct {
	delay     time.Duration
	held, cut bool
}

const (
	serverLane = iota
	clientLane
)

func (d Direction) lanes() []int {
	var lanes []int
	if d&ToServer != 0 {
		lanes = append(lanes, serverLane)
	}
	if d&ToClient != 0 {
		lanes = append(lanes, clientLane)
	}
	return lanes
}

// NewProxy listens on a free port for connections to target (host:port), which need not be up yet. Close must be called.
func NewProxy(target string) (*Proxy, error) { return newProxy(target, nil) }

func newProxy(target string, tap func() filter) (*Proxy, error) {
	// Reserved, so that a proxy that refused connections for a while gets its port back.
	ports, err := ReservePorts(1)
	if err != nil {
		return nil, err
	}
	p := &Proxy{ports: ports, tap: tap}
	p.dial, p.stop = context.WithCancel(context.Background())
	p.mu.target, p.mu.changed, p.mu.links = target, make(chan struct{}), map[*link]struct{}{}
	if err := p.Refuse(false); err != nil {
		ports.Release()
		return nil, err
	}
	return p, nil
}

// Addr is where clients connect to instead of the target.
func (p *Proxy) Addr() string { return p.ports.Addr(0) }

// SetTarget changes where new connections go to; present ones stay.
func (p *Proxy) SetTarget(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.target = target
}

// Forward ends every disturbance: what is held goes on, connections are accepted, and those that bytes were cut from are reset.
func (p *Proxy) Forward() error {
	p.setLanes(BothWays, func(l *lane) { *l = lane{} })
	p.resetLinks(func(l *link) bool { return l.damaged.Load() })
	return p.Refuse(false)
}

// Delay lets everything in a direction arrive so much later. The order stays, the rate too.
func (p *Proxy) Delay(d Direction, by time.Duration) {
	p.setLanes(d, func(l *lane) { l.delay = by })
}

// Hold stalls a direction: connections stay open, new ones are accepted, and nothing passes until Forward, which delivers what was held.
func (p *Proxy) Hold(d Direction) {
	p.setLanes(d, func(l *lane) { l.held = true })
}

// Cut throws away everything in a direction, the ends of connections too, while the other direction goes on. Nobody is told.
func (p *Proxy) Cut(d Direction) {
	p.setLanes(d, func(l *lane) { l.cut = true })
}

func (p *Proxy) setLanes(d Direction, set func(*lane)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, i := range d.lanes() {
		set(&p.mu.lanes[i])
	}
	close(p.mu.changed)
	p.mu.changed = make(chan struct{})
}

// Reset breaks all present connections with a TCP reset on both sides. New ones are accepted.
func (p *Proxy) Reset() { p.resetLinks(func(*link) bool { return true }) }

func (p *Proxy) resetLinks(which func(*link) bool) {
	p.mu.Lock()
	var links []*link
	for l := range p.mu.links {
		if which(l) {
			links = append(links, l)
		}
	}
	p.mu.Unlock()
	for _, l := range links {
		l.reset()
	}
}

// Connections is the number of present connections.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.mu.links)
}

// Refuse makes new connections fail with "connection refused", as if no server were there, or accepts them again. Present ones stay.
func (p *Proxy) Refuse(on bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if on || p.mu.closed {
		if p.mu.listener != nil {
			p.mu.listener.Close()
			p.mu.listener = nil
		}
		return nil
	}
	if p.mu.listener != nil {
		return nil
	}
	listener, err := net.Listen("tcp", p.Addr())
	if err != nil {
		return fmt.Errorf("services: proxy to %s: %w", p.mu.target, err)
	}
	p.mu.listener = listener
	p.running.Go(func() { p.accept(listener) })
	return nil
}

// Close ends the proxy and all its connections and returns when nothing of it is left.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.mu.closed = true
	p.mu.Unlock()
	p.stop()
	err := p.Refuse(true)
	p.Reset()
	p.running.Wait()
	p.ports.Release()
	return err
}

func (p *Proxy) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// The client has gone before it was served, or no descriptor is left for a moment.
			select {
			case <-time.After(10 * time.Millisecond):
			case <-p.dial.Done():
			}
			continue
		}
		p.running.Go(func() { p.serve(client.(*net.TCPConn)) })
	}
}

// serve connects a client to the target and runs the link to its end.
func (p *Proxy) serve(client *net.TCPConn) {
	p.mu.Lock()
	target := p.mu.target
	p.mu.Unlock()
	conn, err := new(net.Dialer).DialContext(p.dial, "tcp", target)
	if err != nil {
		resetConn(client)
		return
	}
	l := newLink(p, client, conn.(*net.TCPConn))
	p.mu.Lock()
	closed := p.mu.closed
	if !closed {
		p.mu.links[l] = struct{}{}
	}
	p.mu.Unlock()
	if closed {
		l.reset()
		return
	}
	l.run()
	p.mu.Lock()
	delete(p.mu.links, l)
	p.mu.Unlock()
}

// lane is what a direction does now, and a channel that is closed when that changes.
func (p *Proxy) lane(i int) (lane, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.lanes[i], p.mu.changed
}
