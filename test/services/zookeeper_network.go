package services

import (
	"errors"
	"strings"
	"sync"
)

// ZooKeeperNetwork is the network between one client and an ensemble: a Proxy per node, which also knows ZooKeeper's frames, so that a single
// request or reply can be lost. Clients that are to be disturbed apart have a network each. Its methods may be called from any goroutine.
type ZooKeeperNetwork struct {
	links []*Proxy

	mu struct {
		sync.Mutex
		traps []*trap
	}
}

// trap waits for one request.
type trap struct {
	match  func(ZooKeeperRequest) bool
	reply  bool // lose the reply to it, not the request itself
	sprung chan ZooKeeperRequest
}

// Network makes a network to the ensemble. Close must be called.
func (z *ZooKeeper) Network() (*ZooKeeperNetwork, error) {
	n := &ZooKeeperNetwork{}
	for _, addr := range z.Addrs() {
		link, err := newProxy(addr, func() filter { return &zooKeeperFilter{network: n} })
		if err != nil {
			return nil, errors.Join(err, n.Close())
		}
		n.links = append(n.links, link)
	}
	return n, nil
}

// ConnectString is what the client is configured with.
func (n *ZooKeeperNetwork) ConnectString() string { return strings.Join(n.Addrs(), ",") }

// Addrs are the addresses in ConnectString, in the order of the nodes.
func (n *ZooKeeperNetwork) Addrs() []string {
	addrs := make([]string, len(n.links))
	for i, l := range n.links {
		addrs[i] = l.Addr()
	}
	return addrs
}

// Link is the way to the i-th node.
func (n *ZooKeeperNetwork) Link(i int) *Proxy { return n.links[i] }

// Each does something with all links, such as func(p *Proxy) { p.Hold(BothWays) }.
func (n *ZooKeeperNetwork) Each(do func(*Proxy)) {
	for _, l := range n.links {
		do(l)
	}
}

// Forward ends every disturbance of every link and disarms the traps that no request has met yet.
func (n *ZooKeeperNetwork) Forward() error {
	n.mu.Lock()
	n.mu.traps = nil
	n.mu.Unlock()
	var errs []error
	n.Each(func(p *Proxy) { errs = append(errs, p.Forward()) })
	return errors.Join(errs...)
}

// LoseReply loses the reply to the next request that matches: the ensemble gets the request and answers it, so a write is committed; then
// the client's connection is reset instead. The channel gets the request when that happens. If the connection breaks before the reply has
// come, the next match counts.
func (n *ZooKeeperNetwork) LoseReply(match func(ZooKeeperRequest) bool) <-chan ZooKeeperRequest {
	return n.arm(&trap{match: match, reply: true, sprung: make(chan ZooKeeperRequest, 1)})
}

// LoseRequest loses the next request that matches: the ensemble never gets it, and the client's connection is reset. The client cannot tell
// this from LoseReply.
func (n *ZooKeeperNetwork) LoseRequest(match func(ZooKeeperRequest) bool) <-chan ZooKeeperRequest {
	return n.arm(&trap{match: match, sprung: make(chan ZooKeeperRequest, 1)})
}

func (n *ZooKeeperNetwork) arm(t *trap) <-chan ZooKeeperRequest {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.traps = append(n.mu.traps, t)
	return t.sprung
}

// take gives the trap for a request, if there is one, and disarms it.
func (n *ZooKeeperNetwork) take(r ZooKeeperRequest) *trap {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, t := range n.mu.traps {
		if t.match(r) {
			n.mu.traps = append(n.mu.traps[:i:i], n.mu.traps[i+1:]...)
			return t
		}
	}
	return nil
}

// Close ends the network.
func (n *ZooKeeperNetwork) Close() error {
	var errs []error
	n.Each(func(p *Proxy) { errs = append(errs, p.Close()) })
	return errors.Join(errs...)
}
