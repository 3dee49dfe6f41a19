// Package client speaks to a cluster on behalf of a person or a program: it finds the leader, waits for one when there is
// none, and repeats what was interrupted by a change of leader. Every request carries the id that makes its repetition
// harmless, so a caller sees one answer however many leaders it took. It never changes anything but through the leader.
package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

// Locator tells where the leader is. The channel holds the newest answer only; an empty address means that none is known.
type Locator interface {
	Leaders(ctx context.Context) <-chan Sighting
}

// Sighting is one answer of a Locator.
type Sighting struct {
	Address string
	Err     error // why nothing can be said now; Address may still be right
}

// Static is the Locator of a fixed address.
type Static string

// Leaders implements Locator.
func (s Static) Leaders(context.Context) <-chan Sighting {
	ch := make(chan Sighting, 1)
	ch <- Sighting{Address: string(s)}
	return ch
}

// Client is a connection to whoever leads. Safe for concurrent use.
type Client struct {
	notify func(string)
	stop   context.CancelFunc
	closed chan struct{}

	mu struct {
		sync.Mutex
		sighting Sighting
		seen     bool
		changed  chan struct{} // closed and replaced at each sighting
		conns    map[string]*grpc.ClientConn
		told     string
	}
}

// New follows the locator. notify gets a sentence when the client has to wait and when it goes on; it may be nil.
func New(locator Locator, notify func(string)) *Client {
	ctx, stop := context.WithCancel(context.Background())
	c := &Client{notify: notify, stop: stop, closed: make(chan struct{})}
	c.mu.changed = make(chan struct{})
	c.mu.conns = map[string]*grpc.ClientConn{}
	leaders := locator.Leaders(ctx)
	go func() {
		defer close(c.closed)
		for {
			select {
			case <-ctx.Done():
				return
			case s, ok := <-leaders:
				if !ok {
					return
				}
				c.mu.Lock()
				c.mu.sighting, c.mu.seen = s, true
				close(c.mu.changed)
				c.mu.changed = make(chan struct{})
				c.mu.Unlock()
			}
		}
	}()
	return c
}

// Close gives up the connections.
func (c *Client) Close() {
	c.stop()
	<-c.closed
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.mu.conns {
		conn.Close()
	}
	clear(c.mu.conns)
}

func (c *Client) tell(text string) {
	c.mu.Lock()
	again := c.mu.told == text
	c.mu.told = text
	c.mu.Unlock()
	if c.notify != nil && text != "" && !again {
		c.notify(text)
	}
}

// leader waits until a leader is known.
func (c *Client) leader(ctx context.Context) (thalwegv1.JobServiceClient, string, error) {
	for {
		c.mu.Lock()
		s, seen, changed := c.mu.sighting, c.mu.seen, c.mu.changed
		c.mu.Unlock()
		if s.Address != "" {
			conn, err := c.conn(s.Address)
			if err != nil {
				return nil, "", err
			}
			return thalwegv1.NewJobServiceClient(conn), s.Address, nil
		}
		if seen && s.Err != nil {
			c.tell("Waiting for a leader: " + s.Err.Error())
		} else if seen {
			c.tell("Waiting for a leader: no jobmanager leads at present.")
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if s.Err != nil {
				return nil, "", fmt.Errorf("no leader found: %w", s.Err)
			}
			return nil, "", errors.New("no leader found: is a jobmanager running, and do both use the same high-availability settings?")
		}
	}
}

func (c *Client) conn(address string) (*grpc.ClientConn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if conn := c.mu.conns[address]; conn != nil {
		return conn, nil
	}
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: time.Second,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 3 * time.Second, PermitWithoutStream: true}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		return nil, fmt.Errorf("jobmanager address %q: %w", address, err)
	}
	c.mu.conns[address] = conn
	return conn, nil
}

// retryPause is how long a call waits before it looks again for a leader that answers.
const retryPause = 200 * time.Millisecond

// call repeats f on whoever leads until it gives an answer that a change of leader does not explain.
func (c *Client) call(ctx context.Context, f func(context.Context, thalwegv1.JobServiceClient) error) error {
	for {
		leader, address, err := c.leader(ctx)
		if err != nil {
			return err
		}
		attempt, done := c.whileLeads(ctx, address)
		err = f(attempt, leader)
		moved := attempt.Err() != nil && ctx.Err() == nil
		done()
		if moved && err != nil {
			continue // somebody else leads: a stopped leader never answers
		}
		if !passing(err) {
			c.tell("")
			return plain(err)
		}
		c.tell(fmt.Sprintf("Waiting for a leader: the jobmanager at %s does not answer (%s).", address, status.Convert(err).Message()))
		select {
		case <-time.After(retryPause):
		case <-ctx.Done():
			return fmt.Errorf("no leader answered in time; the last error was: %w", plain(err))
		}
	}
}

// whileLeads is a context that ends when another address than this one is known to lead.
func (c *Client) whileLeads(ctx context.Context, address string) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		for {
			c.mu.Lock()
			s, changed := c.mu.sighting, c.mu.changed
			c.mu.Unlock()
			if s.Address != "" && s.Address != address {
				cancel()
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, cancel
}

// passing reports whether an error is one that another leader, or the same one later, would not give.
func passing(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.Aborted:
		return true
	}
	return false
}

// plain takes the transport's words off an error that the leader gave.
func plain(err error) error {
	if s, ok := status.FromError(err); ok && err != nil {
		return errors.New(s.Message())
	}
	return err
}
