package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

// conn implements Client on go-zookeeper/zk. What it adds, and why: the library has no request timeout (Do), no expiry of its
// own and no negotiated timeout (netconn.go), hangs on a server that hangs (netconn.go), sleeps a second between rounds
// (hosts.go), drops events when its channel is full (event is its callback instead), opens a new session silently (events name
// it), keeps requests that were queued under an old session for the new one (ready), and piles up watches (arm).
type conn struct {
	zk      *zk.Conn
	hosts   *hosts
	wire    *wire
	timeout time.Duration // of a request
	log     *slog.Logger
	closed  chan struct{}
	once    sync.Once
	tell    func(Event)

	mu struct {
		sync.Mutex
		ended     bool  // no more telling
		session   int64 // of the last Connected, 0 after Expired
		connected bool
		gate      *gate             // a resumed session that is not told yet
		fired     map[armKey]uint64 // watch events so far
		armed     map[armKey]bool   // the library holds this watch: setting it again would pile up
	}
}

// gate holds requests back on a resumed session until the library has set its watches again. It does so beside everything
// else, relative to the newest transaction that it has seen: an answer that comes in before moves that on, and a change of
// another node in between would never be told. (It is a data race in the library, too.)
type gate struct {
	event Event
	timer *time.Timer
}

// gateLimit is how long the library may take to set its watches; it has none to set if it has not done so by then.
const gateLimit = 20 * time.Millisecond

type armKey struct {
	path     string
	children bool
}

// dial starts a client. The library connects in the background.
func dial(c Config, servers []string, listener func(Event)) (Client, error) {
	x := &conn{hosts: newHosts(servers), wire: &wire{limit: c.ConnectionTimeout}, timeout: c.RequestTimeout, log: c.Logger, closed: make(chan struct{}), tell: listener}
	x.mu.fired, x.mu.armed = map[armKey]uint64{}, map[armKey]bool{}
	x.wire.rewatched = func() { x.open(nil) }
	var err error
	x.zk, _, err = zk.Connect(servers, c.SessionTimeout,
		zk.WithHostProvider(x.hosts), zk.WithDialer(x.wire.dial), zk.WithEventCallback(x.event),
		zk.WithLogInfo(false), zk.WithLogger(printer{c.Logger}))
	if err != nil {
		return nil, fmt.Errorf("connect to %v: %w", servers, err)
	}
	return x, nil
}

// printer is the library's log, at debug level: what matters comes as events.
type printer struct{ log *slog.Logger }

func (p printer) Printf(format string, args ...any) {
	p.log.Debug("zookeeper client", "message", fmt.Sprintf(format, args...))
}

// event runs on the library's goroutines; its order is the order in which things happened.
func (c *conn) event(ev zk.Event) {
	out := Event{Path: ev.Path}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch ev.Type {
	case zk.EventSession:
		switch ev.State {
		case zk.StateHasSession: // StateConnected is only TCP
			c.wire.mu.Lock()
			out.Kind, out.Session, out.Timeout = Connected, c.wire.session, c.wire.timeout
			c.wire.mu.Unlock()
			if c.mu.session == out.Session {
				g := &gate{event: out}
				g.timer = time.AfterFunc(gateLimit, func() { c.open(g) })
				c.mu.gate = g
				return
			}
			clear(c.mu.armed)
			c.mu.session, c.mu.connected = out.Session, true
		case zk.StateDisconnected:
			c.shutLocked()
			if !c.mu.connected {
				return
			}
			out.Kind, c.mu.connected = Disconnected, false
		case zk.StateExpired:
			c.shutLocked()
			out.Kind, c.mu.session, c.mu.connected = Expired, 0, false
			clear(c.mu.armed)
		default:
			return
		}
	case zk.EventNodeCreated:
		out.Kind = NodeCreated
	case zk.EventNodeDeleted:
		out.Kind = NodeDeleted
	case zk.EventNodeDataChanged:
		out.Kind = NodeChanged
	case zk.EventNodeChildrenChanged:
		out.Kind = ChildrenChanged
	default:
		return
	}
	if out.Path != "" {
		for _, children := range []bool{false, true} {
			k := armKey{out.Path, children}
			if children == (out.Kind == ChildrenChanged) || out.Kind == NodeDeleted {
				c.mu.fired[k]++
				delete(c.mu.armed, k)
			}
		}
	}
	if !c.mu.ended {
		c.tell(out)
	}
}

// open lets requests through on a resumed session; nil means the present gate.
func (c *conn) open(g *gate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.gate == nil || g != nil && c.mu.gate != g {
		return // opened already, or that connection is gone
	}
	event := c.mu.gate.event
	c.shutLocked()
	c.mu.connected = true
	if !c.mu.ended {
		c.tell(event)
	}
}

// shutLocked forgets a gate.
func (c *conn) shutLocked() {
	if c.mu.gate != nil {
		c.mu.gate.timer.Stop()
		c.mu.gate = nil
	}
}

// Status implements Client.
func (c *conn) Status() Status {
	c.mu.Lock()
	s := Status{Session: c.mu.session, Connected: c.mu.connected}
	c.mu.Unlock()
	c.wire.mu.Lock()
	defer c.wire.mu.Unlock()
	s.Timeout, s.Contact, s.Err = c.wire.timeout, c.wire.contact, c.wire.err
	return s
}

// Close implements Client.
func (c *conn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		close(c.hosts.closed)
		c.zk.Close()
		c.mu.Lock()
		c.mu.ended = true
		c.shutLocked()
		c.mu.Unlock()
	})
	return nil
}

// Do implements Client. The library has no timeout and no context, so each request waits in a goroutine of its own; one whose
// caller has gone still ends, at the latest with Close.
func (c *conn) Do(ctx context.Context, r Request) (Response, error) {
	select {
	case <-c.closed:
		return Response{}, ErrClosed
	default:
	}
	if r.size() > maxRequest {
		return Response{}, fmt.Errorf("%s: %d bytes, ZooKeeper takes %d", r.Kind, r.size(), maxRequest)
	}
	if err := c.ready(r.Session); err != nil {
		return Response{}, err
	}
	type result struct {
		r   Response
		err error
	}
	answer := make(chan result, 1)
	go func() {
		resp, err := c.perform(r)
		answer <- result{resp, err}
	}()
	timer := time.NewTimer(c.timeout)
	defer timer.Stop()
	select {
	case a := <-answer:
		if a.err == nil && r.Kind.Reads() && r.Session != 0 {
			if err := c.ready(r.Session); errors.Is(err, ErrSession) {
				return Response{}, err // it may have been answered on the next session
			}
		}
		return a.r, a.err
	case <-timer.C:
		return Response{}, fmt.Errorf("%s: %w: no answer for %v", r.Kind, ErrLost, c.timeout)
	case <-ctx.Done():
		return Response{}, fmt.Errorf("%s: %w: %w", r.Kind, ErrLost, context.Cause(ctx))
	}
}

// maxRequest is below the servers' jute.maxbuffer, beyond which they close the connection without an answer.
const maxRequest = 1000 << 10

func (r Request) size() int {
	n := len(r.Path) + len(r.Data) + 64
	for _, op := range r.Ops {
		n += op.size()
	}
	return n
}

// ready refuses what could only wait in the library's queue, where it would outlive its session.
func (c *conn) ready(session int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case session != 0 && c.mu.session != session:
		return ErrSession
	case !c.mu.connected:
		return ErrNotSent
	}
	return nil
}

// perform is the blocking call.
func (c *conn) perform(r Request) (Response, error) {
	var resp Response
	var stat *zk.Stat
	var err error
	watch, armed := c.arm(r)
	switch r.Kind {
	case Get:
		if watch {
			resp.Data, stat, _, err = c.zk.GetW(r.Path)
		} else {
			resp.Data, stat, err = c.zk.Get(r.Path)
		}
		resp.Exists = err == nil
	case Exists:
		if watch {
			resp.Exists, stat, _, err = c.zk.ExistsW(r.Path)
		} else {
			resp.Exists, stat, err = c.zk.Exists(r.Path)
		}
	case Children:
		if watch {
			resp.Children, stat, _, err = c.zk.ChildrenW(r.Path)
		} else {
			resp.Children, stat, err = c.zk.Children(r.Path)
		}
	case Create:
		resp.Path, err = c.zk.Create(r.Path, r.Data, r.flags(), zk.WorldACL(zk.PermAll))
	case Set:
		stat, err = c.zk.Set(r.Path, r.Data, r.Version)
	case Delete:
		err = c.zk.Delete(r.Path, r.Version)
	case Multi:
		return c.multi(r)
	default:
		return resp, fmt.Errorf("%s is no request of its own", r.Kind)
	}
	if err == nil && watch {
		armed()
	}
	if err == nil && stat != nil {
		resp.Stat = Stat{stat.Version, stat.EphemeralOwner, stat.NumChildren}
	}
	if err != nil {
		return Response{}, translate(r.Path, err)
	}
	return resp, nil
}

func (r Request) flags() int32 {
	var flags int32
	if r.Ephemeral {
		flags |= zk.FlagEphemeral
	}
	if r.Sequential {
		flags |= zk.FlagSequence
	}
	return flags
}

// arm decides whether a read has to set its watch: not if the library holds it already, for it keeps a channel for every time
// it is set. armed is called after the answer; if the watch has fired meanwhile it does nothing.
func (c *conn) arm(r Request) (watch bool, armed func()) {
	if !r.Watch {
		return false, nil
	}
	k := armKey{r.Path, r.Kind == Children}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.armed[k] {
		return false, nil
	}
	fired, session := c.mu.fired[k], c.mu.session
	return true, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.mu.fired[k] == fired && c.mu.session == session {
			c.mu.armed[k] = true
		}
	}
}

func (c *conn) multi(r Request) (Response, error) {
	ops := make([]any, len(r.Ops))
	for i, op := range r.Ops {
		switch op.Kind {
		case Check:
			ops[i] = &zk.CheckVersionRequest{Path: op.Path, Version: op.Version}
		case Create:
			ops[i] = &zk.CreateRequest{Path: op.Path, Data: op.Data, Acl: zk.WorldACL(zk.PermAll), Flags: op.flags()}
		case Set:
			ops[i] = &zk.SetDataRequest{Path: op.Path, Data: op.Data, Version: op.Version}
		case Delete:
			ops[i] = &zk.DeleteRequest{Path: op.Path, Version: op.Version}
		default:
			return Response{Failed: -1}, fmt.Errorf("%s inside a multi", op.Kind)
		}
	}
	answers, err := c.zk.Multi(ops...)
	if err == nil {
		return Response{}, nil
	}
	// The operations before the refused one carry no error, those after it a code that says nothing.
	for i, a := range answers {
		if a.Error != nil && i < len(r.Ops) {
			return Response{Failed: i}, translate(r.Ops[i].Path, a.Error)
		}
	}
	return Response{Failed: -1}, translate("multi", err)
}

// translate gives the library's errors the seam's names. What is not the servers' word leaves the outcome open.
func translate(what string, err error) error {
	for _, known := range []struct{ from, to error }{
		{zk.ErrNoNode, ErrNoNode}, {zk.ErrNodeExists, ErrNodeExists}, {zk.ErrBadVersion, ErrBadVersion}, {zk.ErrNotEmpty, ErrNotEmpty},
		{zk.ErrNoAuth, ErrDenied}, {zk.ErrInvalidACL, ErrDenied}, {zk.ErrAuthFailed, ErrDenied},
		{zk.ErrNoChildrenForEphemerals, ErrNoNode},
	} {
		if errors.Is(err, known.from) {
			return fmt.Errorf("%s: %w", what, known.to)
		}
	}
	if errors.Is(err, zk.ErrInvalidPath) {
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%s: %w: %w", what, ErrLost, err) // closed, expired, moved, or a code that says nothing
}
