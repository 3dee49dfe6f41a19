package hdfs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	lib "github.com/colinmarc/hdfs/v2"
)

// A client is one client of the library (one NameNode connection, one lease holder) and all connections it has opened. From acquire to release
// it belongs to one call, Writer or Reader.
type client struct {
	lib     *lib.Client
	pool    *pool
	born    time.Time
	ctx     context.Context // of its dials; ended by kill
	cancel  context.CancelFunc
	unbind  func() bool // detaches from the context of the present owner
	kept    bool        // the owner is a Writer or Reader, which outlives the call that acquired
	idle    *time.Timer // runs while the client is in the pool
	writing atomic.Bool // see conn.Write

	renaming, guarded atomic.Bool // see guardRename

	mu struct {
		sync.Mutex
		conns   map[*conn]struct{}
		nn      string // address of the NameNode dialed last
		dead    bool   // killed: nothing works any more
		retired error  // not to be used again after the present owner; the first reason
		blocks  error  // first error of a DataNode's connection since the last acquire
	}
}

// keep says that the client goes on to belong to a Writer or Reader after the present call.
func (c *client) keep() { c.kept = true }

// dial makes the library's dial function, with connections this client knows.
func (c *client) dial(timeout time.Duration, block bool) func(context.Context, string, string) (net.Conn, error) {
	return func(_ context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(c.ctx, c.pool.opts.DialTimeout)
		defer cancel()
		raw, err := c.pool.opts.Dial(ctx, network, addr)
		if err != nil {
			if block {
				c.note(nil, err)
			}
			return nil, err
		}
		k := &conn{Conn: raw, c: c, timeout: timeout, block: block}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.mu.dead {
			raw.Close()
			return nil, errKilled
		}
		if !block {
			c.mu.nn = addr
		}
		c.mu.conns[k] = struct{}{}
		return k, nil
	}
}

var errKilled = errors.New("the connection was given up")

// note remembers a connection's error (k is nil for one that did not come about). A NameNode connection in doubt retires the client: the
// library would read the answer of one call as that of the next.
func (c *client) note(k *conn, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case k != nil && !k.block:
		if c.mu.retired == nil {
			c.mu.retired = err
		}
	case c.mu.blocks == nil:
		c.mu.blocks = err
	}
}

// failure returns what broke first among the DataNodes' connections, or that the client was killed.
func (c *client) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.blocks == nil && c.mu.dead {
		return errKilled
	}
	return c.mu.blocks
}

func (c *client) nameNode() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.nn
}

func (c *client) retire(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.retired == nil {
		c.mu.retired = fmt.Errorf("retired: %w", err)
	}
}

func (c *client) isRetired() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.retired != nil || c.mu.dead
}

func (c *client) forget(k *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.mu.conns, k)
}

// kill closes everything, whoever waits on it, for good. It does not block.
func (c *client) kill() {
	c.cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.dead = true
	for k := range c.mu.conns {
		k.failed.Store(true)
		k.Conn.Close()
	}
	clear(c.mu.conns)
}

// closeBlocks closes connections to DataNodes that the library has left open: after a failover to another replica it forgets them.
func (c *client) closeBlocks() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k := range c.mu.conns {
		if k.block {
			k.Conn.Close()
			delete(c.mu.conns, k)
		}
	}
}
