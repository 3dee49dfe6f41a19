package hdfs

import (
	"context"
	"slices"
	"sync"
	"time"

	lib "github.com/colinmarc/hdfs/v2"

	"github.com/thalweg-io/thalweg/internal/storage"
)

// Idle clients cost the NameNode one call a second each (the library renews leases that it does not have), old ones may hold an encryption
// key that was rotated. Connecting is cheap.
const (
	maxIdle  = 4
	idleTime = 10 * time.Second
	maxAge   = 30 * time.Minute
)

// A pool keeps idle clients and knows all others. It sets no limit: who opens many files at once has as many connections.
type pool struct {
	opts    Options
	cluster cluster

	mu struct {
		sync.Mutex
		first  int // index of the NameNode to try first
		idle   []*client
		live   map[*client]struct{} // idle ones included
		closed bool
	}
}

func (p *pool) init(o Options, cl cluster) {
	p.opts, p.cluster = o, cl
	p.mu.live = make(map[*client]struct{})
}

func (p *pool) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.closed
}

// acquire returns a client whose connections are closed when ctx ends.
func (p *pool) acquire(ctx context.Context) (*client, error) {
	if c := p.takeIdle(); c != nil {
		c.unbind = context.AfterFunc(ctx, c.kill)
		return c, nil
	}
	c, addrs, err := p.newClient()
	if err != nil {
		return nil, err
	}
	c.unbind = context.AfterFunc(ctx, c.kill)
	o := p.cluster.lib
	o.Addresses = addrs
	o.NamenodeDialFunc = c.dial(p.opts.CallTimeout, false)
	o.DatanodeDialFunc = c.dial(p.opts.DataTimeout, true)
	c.lib, err = lib.NewClient(o)
	if err != nil {
		c.retire(err)
		p.release(c)
		return nil, err
	}
	return c, nil
}

func (p *pool) takeIdle() *client {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.mu.idle) > 0 {
		c := p.mu.idle[len(p.mu.idle)-1]
		p.mu.idle = p.mu.idle[:len(p.mu.idle)-1]
		if !c.idle.Stop() || time.Since(c.born) > maxAge || c.isRetired() {
			go p.discard(c)
			continue
		}
		c.mu.Lock()
		c.mu.blocks = nil
		c.mu.Unlock()
		return c
	}
	return nil
}

// newClient registers a client and says in which order to try the NameNodes.
func (p *pool) newClient() (*client, []string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.closed {
		return nil, nil, storage.ErrClosed
	}
	c := &client{pool: p, born: time.Now()}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.mu.conns = make(map[*conn]struct{})
	p.mu.live[c] = struct{}{}
	nns := p.cluster.namenodes
	return c, slices.Concat(nns[p.mu.first:], nns[:p.mu.first]), nil
}

// release ends the owner's use. A client without blemish goes back to the pool.
func (p *pool) release(c *client) {
	attached := c.unbind() // else the context ended, and kill has run, runs, or is about to
	c.kept = false
	c.writing.Store(false)
	if !attached || c.isRetired() {
		p.nextNameNode()
		p.discard(c)
		return
	}
	c.closeBlocks()
	p.mu.Lock()
	p.mu.first = max(0, slices.Index(p.cluster.namenodes, c.nameNode()))
	if p.mu.closed || len(p.mu.idle) >= maxIdle {
		p.mu.Unlock()
		p.discard(c)
		return
	}
	c.idle = time.AfterFunc(idleTime, func() { p.expire(c) })
	p.mu.idle = append(p.mu.idle, c)
	p.mu.Unlock()
}

// expire discards an idle client, unless somebody has just taken it.
func (p *pool) expire(c *client) {
	p.mu.Lock()
	i := slices.Index(p.mu.idle, c)
	if i >= 0 {
		p.mu.idle = slices.Delete(p.mu.idle, i, i+1)
	}
	p.mu.Unlock()
	if i >= 0 {
		p.discard(c)
	}
}

// discard ends a client that is neither owned nor idle.
func (p *pool) discard(c *client) {
	c.kill()
	if c.lib != nil {
		c.lib.Close() // waits for the lease renewal in flight, whose connection is closed
	}
	p.mu.Lock()
	delete(p.mu.live, c)
	p.mu.Unlock()
}

// nextNameNode makes the next client begin with another NameNode: the library goes on by itself from one that is standby or refuses, but not
// from one that accepts and does not answer.
func (p *pool) nextNameNode() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.first = (p.mu.first + 1) % len(p.cluster.namenodes)
}

func (p *pool) close() {
	p.mu.Lock()
	p.mu.closed = true
	idle := p.mu.idle
	p.mu.idle = nil
	var owned []*client
	for c := range p.mu.live {
		if !slices.Contains(idle, c) {
			owned = append(owned, c)
		}
	}
	p.mu.Unlock()
	for _, c := range idle {
		c.idle.Stop()
		p.discard(c)
	}
	for _, c := range owned { // their owners notice and discard them
		c.kill()
	}
}
