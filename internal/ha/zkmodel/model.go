// Package zkmodel is ZooKeeper in memory, as far as Thalweg uses it: sessions with ephemeral nodes, sequential nodes, versions,
// multi, one-shot watches that survive a reconnection, servers that lag, lose their quorum and expire sessions.
//
// Model is the pure part: Step(now, input) -> effects, without goroutine, clock or randomness, for the simulator. Ensemble puts
// real time and the client seam of ha/zookeeper around it, with switches for faults, so that the model passes the conformance
// suite that a real ZooKeeper passes. It never persists anything, knows no ACLs, and its elections are instantaneous.
//
// What it keeps of the real one's guarantees: writes are totally ordered and go through a quorum; a server answers reads from
// what it has applied; a session never goes back in time, because a server that is behind what the session has seen refuses
// it; a session's own writes are applied by its server before they are answered.
package zkmodel

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/thalweg-io/thalweg/internal/ha/zookeeper"
)

// Model is an ensemble. It is not safe for concurrent use; Step is its only entrance.
type Model struct {
	servers  []*server
	log      []txn // all of them; zxid n is log[n-1]
	head     tree  // after the whole log: what writes are checked against
	sessions map[int64]*session
	last     int64 // newest session id
	now      time.Duration
	out      []Effect
}

type server struct {
	up      bool
	lags    bool // applies nothing by itself
	applied int  // zxid
	tree    tree
}

type session struct {
	id      int64
	timeout time.Duration
	server  int // -1: not connected
	heard   time.Duration
	seen    int // newest zxid that it was shown
	expired bool
	watches map[watch]bool
}

type watch struct {
	path string
	kind watchKind
}

type watchKind uint8

const (
	watchData     watchKind = iota // of a node that was there
	watchMissing                   // of a node that was not
	watchChildren                  //
)

// Input is one of Open, Ask, Ping, Drop, End, Expire, Tick, Up, Down, Lag.
type Input interface{ modelInput() }

type (
	// Open connects a client to a server: Session 0 asks for a new session, otherwise it is resumed.
	Open struct {
		Client  int64 // echoed
		Server  int
		Session int64
		Timeout time.Duration
	}
	// Ask is one request on a connected session.
	Ask struct {
		Session int64
		ID      uint64 // echoed
		Request zookeeper.Request
	}
	Ping   struct{ Session int64 } // keeps the session
	Drop   struct{ Session int64 } // the connection breaks; the session lives on
	End    struct{ Session int64 } // the client closes the session
	Expire struct{ Session int64 } // whatever it was heard of
	Tick   struct{}                // expires what was not heard of
	Up     struct{ Server int }
	Down   struct{ Server int } // the first one up is the ensemble's leader: every client is dropped with it
	Lag    struct {             // a server stops following, or catches up
		Server int
		Lags   bool
	}
)

func (Open) modelInput()   {}
func (Ask) modelInput()    {}
func (Ping) modelInput()   {}
func (Drop) modelInput()   {}
func (End) modelInput()    {}
func (Expire) modelInput() {}
func (Tick) modelInput()   {}
func (Up) modelInput()     {}
func (Down) modelInput()   {}
func (Lag) modelInput()    {}

// Effect is one of Opened, Refused, Reply, Pong, Fired, Dropped, in the order in which they leave the servers.
type Effect interface{ modelEffect() }

type (
	// Opened answers Open.
	Opened struct {
		Client  int64
		Session int64
		Timeout time.Duration
	}
	// Refused answers Open: the session has expired, or this server cannot serve it now.
	Refused struct {
		Client  int64
		Expired bool
	}
	// Reply answers Ask. No reply comes from a server without a quorum for what needs one; it drops the connection instead.
	Reply struct {
		Session  int64
		ID       uint64
		Response zookeeper.Response
		Err      error
	}
	Pong  struct{ Session int64 }
	Fired struct { // a watch
		Session int64
		Event   zookeeper.Event
	}
	Dropped struct{ Session int64 } // the server closed the connection
)

func (Opened) modelEffect()  {}
func (Refused) modelEffect() {}
func (Reply) modelEffect()   {}
func (Pong) modelEffect()    {}
func (Fired) modelEffect()   {}
func (Dropped) modelEffect() {}

// New makes an ensemble of n servers, all up.
func New(n int) *Model {
	m := &Model{head: newTree(), sessions: map[int64]*session{}}
	for range n {
		m.servers = append(m.servers, &server{up: true, tree: newTree()})
	}
	return m
}

// Servers is how many there are.
func (m *Model) Servers() int { return len(m.servers) }

// Zxid is the newest transaction.
func (m *Model) Zxid() int { return len(m.log) }

// Step takes one input at a time that never goes back.
func (m *Model) Step(now time.Duration, in Input) []Effect {
	m.now, m.out = max(m.now, now), nil
	switch in := in.(type) {
	case Open:
		m.open(in)
	case Ask:
		m.ask(in)
	case Ping:
		if s := m.connected(in.Session); s != nil {
			s.heard = m.now
			m.emit(Pong{s.id})
		}
	case Drop:
		if s := m.connected(in.Session); s != nil {
			s.server = -1
		}
	case End:
		if s := m.connected(in.Session); s != nil && m.quorum() {
			m.expire(s)
		}
	case Expire:
		if s := m.sessions[in.Session]; s != nil && !s.expired {
			m.expire(s)
		}
	case Tick:
		m.tick()
	case Up:
		m.servers[in.Server].up = true
		m.follow()
	case Down:
		m.down(in.Server)
	case Lag:
		m.servers[in.Server].lags = in.Lags
		m.follow()
	default:
		panic(fmt.Sprintf("zkmodel: input %T", in))
	}
	return m.out
}

func (m *Model) emit(e Effect) { m.out = append(m.out, e) }

// quorum reports whether a majority is up.
func (m *Model) quorum() bool {
	n := 0
	for _, s := range m.servers {
		if s.up {
			n++
		}
	}
	return 2*n > len(m.servers)
}

// connected returns the live session with a connection, or nil.
func (m *Model) connected(id int64) *session {
	if s := m.sessions[id]; s != nil && !s.expired && s.server >= 0 {
		return s
	}
	return nil
}

// ordered is every session by id, so that no step depends on a map's order.
func (m *Model) ordered() []*session {
	var all []*session
	for _, id := range slices.Sorted(maps.Keys(m.sessions)) {
		all = append(all, m.sessions[id])
	}
	return all
}

func (m *Model) open(in Open) {
	srv := m.servers[in.Server]
	if !srv.up || !m.quorum() {
		m.emit(Refused{Client: in.Client})
		return
	}
	if in.Session == 0 {
		m.last++
		s := &session{id: m.last, timeout: in.Timeout, server: in.Server, heard: m.now, seen: srv.applied, watches: map[watch]bool{}}
		m.sessions[s.id] = s
		m.emit(Opened{in.Client, s.id, s.timeout})
		return
	}
	s := m.sessions[in.Session]
	switch {
	case s == nil || s.expired:
		m.emit(Refused{in.Client, true})
	case srv.applied < s.seen: // the session never goes back in time
		m.emit(Refused{Client: in.Client})
	default:
		s.server, s.heard = in.Server, m.now
		m.emit(Opened{in.Client, s.id, s.timeout})
		m.rearm(s, srv)
	}
}

func (m *Model) down(i int) {
	leader := slices.IndexFunc(m.servers, func(s *server) bool { return s.up })
	if !m.servers[i].up {
		return
	}
	m.servers[i].up = false
	for _, s := range m.ordered() {
		if s.server == i || s.server >= 0 && (i == leader || !m.quorum()) {
			s.server = -1
			m.emit(Dropped{s.id})
		}
	}
}

// tick expires sessions; without a quorum nobody can, and afterwards every session starts anew.
func (m *Model) tick() {
	for _, s := range m.ordered() {
		switch {
		case s.expired:
		case !m.quorum():
			s.heard = m.now
		case m.now-s.heard >= s.timeout:
			m.expire(s)
		}
	}
}

// expire ends a session and, in one transaction, its ephemeral nodes.
func (m *Model) expire(s *session) {
	s.expired = true
	var t txn
	for _, path := range m.head.ephemerals(s.id) {
		t = append(t, change{kind: zookeeper.Delete, path: path})
	}
	if s.server >= 0 {
		s.server = -1
		m.emit(Dropped{s.id})
	}
	clear(s.watches)
	m.commit(t)
}

// commit appends a transaction, which the caller has checked against head and not applied to it.
func (m *Model) commit(t txn) {
	m.log = append(m.log, t)
	m.head.apply(len(m.log), t)
	m.follow()
}

// follow lets every server that is up and does not lag apply what it has not.
func (m *Model) follow() {
	for i, s := range m.servers {
		if s.up && !s.lags {
			m.catchUp(i)
		}
	}
}

// catchUp applies the log at one server and fires the watches that it holds.
func (m *Model) catchUp(i int) {
	srv := m.servers[i]
	for srv.applied < len(m.log) {
		t := m.log[srv.applied]
		srv.applied++
		srv.tree.apply(srv.applied, t)
		for _, c := range t {
			m.fire(i, c)
		}
	}
}

func (m *Model) ask(in Ask) {
	s := m.connected(in.Session)
	if s == nil {
		return // the connection is gone: no answer
	}
	s.heard = m.now
	srv := m.servers[s.server]
	if in.Request.Kind.Reads() {
		r, err := m.read(s, srv, in.Request)
		s.seen = max(s.seen, srv.applied)
		m.emit(Reply{s.id, in.ID, r, err})
		return
	}
	if !m.quorum() {
		s.server = -1
		m.emit(Dropped{s.id})
		return
	}
	t, r, err := m.head.check(s.id, in.Request)
	if err != nil {
		t = nil
	}
	m.commit(t) // a refusal is ordered too
	m.catchUp(s.server)
	s.seen = srv.applied
	m.emit(Reply{s.id, in.ID, r, err})
}

func (m *Model) read(s *session, srv *server, r zookeeper.Request) (zookeeper.Response, error) {
	n := srv.tree[r.Path]
	if r.Watch {
		kind := watchData
		switch {
		case r.Kind == zookeeper.Children && n != nil:
			kind = watchChildren
		case r.Kind == zookeeper.Exists && n == nil:
			kind = watchMissing
		}
		if n != nil || kind == watchMissing {
			s.watches[watch{r.Path, kind}] = true
		}
	}
	switch {
	case n == nil && r.Kind == zookeeper.Exists:
		return zookeeper.Response{}, nil
	case n == nil:
		return zookeeper.Response{}, fmt.Errorf("%s: %w", r.Path, zookeeper.ErrNoNode)
	}
	resp := zookeeper.Response{Exists: true, Stat: n.stat()}
	switch r.Kind {
	case zookeeper.Get:
		resp.Data = slices.Clone(n.data)
	case zookeeper.Children:
		resp.Children = slices.Sorted(maps.Keys(n.children))
	}
	return resp, nil
}

var errRequest = errors.New("not a request of this model")
