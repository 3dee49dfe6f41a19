package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Client is one ZooKeeper client with at most one session at a time: the seam between the election, the store and discovery
// above, and the wire (conn.go) or the model (ha/zkmodel) below. It is safe for concurrent use.
//
// Requests of one client are performed in the order in which Do was entered, as far as they are performed at all. A client
// reconnects by itself, keeps its session while the servers do, and opens a new one after an expiry; the listener that it was
// made with is told of all that, in order, and must not block.
type Client interface {
	// Do performs one request and waits for its answer, until ctx ends or the client's own request timeout passes. Reads are
	// answered by the server that the client is connected to and may be old, but never older than what this session has seen.
	// Errors are those below; after ErrLost a write has happened, will happen, or never will.
	Do(ctx context.Context, r Request) (Response, error)

	// Status tells the session and the contact with it.
	Status() Status

	// Close ends the session, which deletes its ephemeral nodes at once if a server can be reached, and fails what is in flight.
	// The listener is not called after Close has returned.
	Close() error
}

// Connect makes a Client. It returns before there is a session; an error is one of configuration.
type Connect func(listener func(Event)) (Client, error)

// Status is a moment of a client's session.
type Status struct {
	Session   int64         // 0: never had one, or it has expired
	Timeout   time.Duration // as negotiated with the server
	Connected bool          // requests can be sent now
	Contact   time.Time     // when the newest request that was answered was *sent*; the session lives at least Timeout from there
	Err       error         // why there is no connection, as far as known
}

// OpKind is the kind of a Request.
type OpKind uint8

// The kinds of Request. Check is only valid inside a Multi.
const (
	Get OpKind = iota + 1
	Exists
	Children
	Create
	Set
	Delete
	Check
	Multi
)

var opNames = [...]string{"?", "get", "exists", "children", "create", "set", "delete", "check", "multi"}

func (k OpKind) String() string { return opNames[min(int(k), len(opNames)-1)] }

// Reads reports whether the request changes nothing, so that losing its answer loses nothing.
func (k OpKind) Reads() bool { return k == Get || k == Exists || k == Children }

// Request is one request. Data is borrowed until Do returns.
type Request struct {
	Kind       OpKind
	Path       string // absolute
	Data       []byte // Create, Set
	Version    int32  // Set, Delete, Check; -1: any (Check: exists)
	Ephemeral  bool   // Create
	Sequential bool   // Create: the server appends ten digits
	Watch      bool   // Get, Exists, Children: one event when the answer stops being true
	Session    int64  // 0, or the only session on which this may be performed; otherwise ErrSession
	Ops        []Request
}

func (r Request) String() string {
	if r.Kind == Multi {
		s := "multi{"
		for i, op := range r.Ops {
			if i > 0 {
				s += ", "
			}
			s += op.String()
		}
		return s + "}"
	}
	s := r.Kind.String() + " " + r.Path
	switch r.Kind {
	case Create:
		if r.Ephemeral {
			s += " ephemeral"
		}
		if r.Sequential {
			s += " sequential"
		}
	case Set, Delete, Check:
		if r.Version >= 0 {
			s += fmt.Sprintf(" at %d", r.Version)
		}
	case Get, Exists, Children:
		if r.Watch {
			s += " watch"
		}
	}
	return s
}

// Stat is what the protocol needs of a node's metadata.
type Stat struct {
	Version        int32
	EphemeralOwner int64 // the session that the node ends with; 0: persistent
	NumChildren    int32
}

// Response is the answer to a Request.
type Response struct {
	Path     string   // Create: with the digits of a sequential node
	Data     []byte   // Get; the caller's own
	Stat     Stat     // Get, Exists, Set
	Exists   bool     // Exists; a missing node is no error there
	Children []string // Children; names, in no particular order
	Failed   int      // Multi: the index of the operation that was refused, when the error is its; -1: of none
}

// What Do returns; the first group is the server's word that nothing was changed.
var (
	ErrNoNode     = errors.New("no node")
	ErrNodeExists = errors.New("node exists")
	ErrBadVersion = errors.New("bad version")
	ErrNotEmpty   = errors.New("node has children")
	ErrDenied     = errors.New("access denied")
	ErrSession    = errors.New("session ended")                     // the session of the request is not the client's any more
	ErrNotSent    = errors.New("not sent: there is no connection")  // nothing was changed
	ErrLost       = errors.New("connection lost before the answer") // the third outcome
	ErrClosed     = errors.New("client is closed")                  // nothing was changed
)

// EventKind is the kind of an Event.
type EventKind uint8

// The kinds of Event. The first three are about the session, the others one-shot watches.
const (
	Connected    EventKind = iota + 1 // Session and Timeout say with which session; all watches of that session live on
	Disconnected                      // the session lives on, as far as is known
	Expired                           // the server said so; its ephemeral nodes and watches are gone
	NodeCreated
	NodeDeleted
	NodeChanged
	ChildrenChanged
)

var eventNames = [...]string{"?", "connected", "disconnected", "expired", "created", "deleted", "changed", "children changed"}

func (k EventKind) String() string { return eventNames[min(int(k), len(eventNames)-1)] }

// Event is what a client's listener is told.
type Event struct {
	Kind    EventKind
	Session int64
	Timeout time.Duration
	Path    string
}
