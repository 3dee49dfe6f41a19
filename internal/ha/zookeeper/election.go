package zookeeper

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/thalweg-io/thalweg/internal/ha"
)

// Election is one contender's side of the election: a value without goroutine, clock, randomness or I/O. Its shell feeds it
// inputs one at a time and carries out the effects; the simulator does the same.
//
// It works in chains of requests, at most one in flight, and every chain starts from what the server says, never from what was
// asked of it. So an answer that was lost, a watch that fired in between or a new session need no cases of their own: the chain
// starts again, behind a barrier if a write's outcome is in doubt.
//
//	contending   epoch -> latches -> (create | drop) -> own latch -> predecessor, or grant -> epoch -> own latch -> lead
//	leading      epoch -> own latch, whenever a watch fires, the connection is back, or nothing was checked for a while
//	releasing    withdraw connection_info -> latches -> delete each of one's own
//
// Watches are set by the read that checks: first the watch, then the truth (in one request), so nothing falls in between.
type Election struct {
	cfg   ElectionConfig
	paths paths

	now, contact time.Duration
	out          Effects

	// the session
	session   int64
	timeout   time.Duration
	connected bool

	// the chain
	stage   stage  // what is asked next, or is in flight
	flight  uint64 // id of the request in flight, 0: none
	lastID  uint64
	dirty   bool          // something changed: what is in flight is not asked any more, start the chain again
	doubt   bool          // a write may still happen, or the server may lag: a barrier first
	retryAt time.Duration // not before
	patrol  time.Duration // when to look again although nothing was heard

	// what the chain found
	cluster     string // the incarnation that we belong to, once known
	epoch       epochNode
	version     int32  // of the epoch node
	latch       string // our latch's name under this session, "" if none is known
	drop        string // a latch of our own to delete: a stray one, or an older session's
	predecessor string
	created     int // directories known to exist, while initializing

	// the term
	tried     ha.Epoch // the grant that was asked for last
	term      *Grant   // not nil from the grant until serve has returned
	ended     bool     // the term is over, serve has not returned
	leads     ha.Epoch // highest epoch that was served
	leadsAt   int32    // the epoch node's version under it
	releasing bool     // leadership is being given back
	releaseBy time.Duration
	stopping  bool
	done      bool
}

// ElectionConfig is what an Election is made of.
type ElectionConfig struct {
	Base              string // "<root>/<cluster id>"
	Contender         ha.Contender
	NewCluster        string // the cluster incarnation to install where there is none yet
	TolerateSuspended bool
	Blind             bool // failpoint: the term does not notice the loss of lease, session or latch; only the fence ends it
}

// Grant is a granted term.
type Grant struct {
	Epoch   ha.Epoch
	Version int32 // of the epoch node: what every mutation of the term checks
	Cluster string
	Session int64 // on which everything of the term is asked; 0 with Blind
	Latch   string
}

// Input is one of Observed, Answer, Tick, Served, Fenced, Resign, Stop.
type Input interface{ electionInput() }

type (
	Observed struct{ Event Event } // the client's listener was told
	Answer   struct {              // to the request with this id; each gets exactly one
		ID       uint64
		Response Response
		Err      error
	}
	Tick   struct{}                 // time has passed
	Served struct{}                 // serve has returned
	Fenced struct{ Epoch ha.Epoch } // a write of this term was refused
	Resign struct{ Epoch ha.Epoch }
	Stop   struct{}
)

func (Observed) electionInput() {}
func (Answer) electionInput()   {}
func (Tick) electionInput()     {}
func (Served) electionInput()   {}
func (Fenced) electionInput()   {}
func (Resign) electionInput()   {}
func (Stop) electionInput()     {}

// Effects are carried out in the order of the fields.
type Effects struct {
	End  error         // end the running term with this cause, before anything else is done
	Send *Request      // ask this, and answer with ID
	ID   uint64        // of Send
	Lead *Grant        // call serve
	Wake time.Duration // Tick no later than this; 0: no need
	Done bool          // nothing more will come; Err is what Lead returns
	Err  error
}

// epochNode is the content of /leader/epoch.
type epochNode struct {
	Cluster     string         `json:"clusterIncarnation"`
	Epoch       ha.Epoch       `json:"epoch"`
	Incarnation ha.Incarnation `json:"incarnation,omitempty"`
	Latch       string         `json:"latch,omitempty"`
}

// latchData is the content of a latch, for people and for those who watch their predecessor.
type latchData struct {
	Incarnation ha.Incarnation `json:"incarnation"`
	RPCAddress  string         `json:"rpcAddress"`
}

const (
	retryDelay   = 50 * time.Millisecond // after an answer that leads nowhere; a reconnection does not wait for it
	releaseLimit = 2 * time.Second       // how long giving back may take; closing the session does it too
)

// NewElection makes the value. Its first input should be Observed{Connected}.
func NewElection(cfg ElectionConfig) *Election {
	return &Election{cfg: cfg, paths: paths{cfg.Base}, cluster: cfg.Contender.Cluster, stage: readEpoch}
}

// Step takes one input. now and contact are times since one arbitrary origin: now of this call, contact when the newest
// answered request was sent.
func (e *Election) Step(now, contact time.Duration, in Input) Effects {
	if e.done {
		return Effects{Done: true}
	}
	e.now, e.contact, e.out = now, max(e.contact, contact), Effects{}
	switch in := in.(type) {
	case Observed:
		e.observe(in.Event)
	case Answer:
		if in.ID == e.flight {
			e.flight = 0
			e.answer(in.Response, in.Err)
		}
	case Served:
		e.served()
	case Fenced:
		if e.term != nil && e.term.Epoch == in.Epoch {
			e.end(fmt.Errorf("%w: a write of epoch %d was refused", ha.ErrFenced, in.Epoch))
		}
	case Resign:
		if e.term != nil && e.term.Epoch == in.Epoch {
			e.end(ha.ErrResigned)
			e.release()
		}
	case Stop:
		e.stopping = true
		e.end(ha.ErrStopped)
		e.release()
	}
	e.judgeLease()
	e.advance()
	e.out.Wake = e.wake()
	return e.out
}

// observe follows the session and the watches.
func (e *Election) observe(ev Event) {
	switch ev.Kind {
	case Connected:
		if ev.Session != e.session {
			if e.session != 0 { // the client opened a new one silently
				e.lost(fmt.Errorf("%w: session %#x was replaced by %#x", ha.ErrSessionLost, e.session, ev.Session))
			}
			e.session, e.latch = ev.Session, ""
		}
		e.timeout, e.connected = ev.Timeout, true
		e.dirty, e.retryAt = true, 0
	case Disconnected:
		e.connected = false
		if !e.cfg.TolerateSuspended {
			e.lost(ha.ErrSuspended)
		}
	case Expired:
		e.lost(fmt.Errorf("%w: session %#x has expired", ha.ErrSessionLost, e.session))
		e.session, e.connected, e.latch = 0, false, ""
	default:
		e.dirty = true
	}
}

// leading: the term lives.
func (e *Election) leading() bool { return e.term != nil && !e.ended }

// lost ends the term for a reason that only says that somebody else may lead; with the failpoint the term does not see it.
func (e *Election) lost(cause error) {
	if !e.cfg.Blind {
		e.end(cause)
	}
}

// end ends the term, if one lives. The latch stays: the next contention uses it while the server knows it.
func (e *Election) end(cause error) {
	if e.leading() {
		e.ended = true
		e.out.End = cause
	}
}

// judgeLease ends the term when the servers may have given the session up. The session's time starts when the server gets a
// request, which is after it was sent: so a lease counted from the sending never outlives the session.
func (e *Election) judgeLease() {
	if e.leading() && e.now >= e.contact+e.timeout {
		e.lost(fmt.Errorf("%w: nothing sent in the last %v was answered", ha.ErrLeaseExpired, e.timeout))
	}
}

// served: serve has returned, so the next contention may begin.
func (e *Election) served() {
	if e.leading() { // by itself: it does not want to lead
		e.end(ha.ErrResigned)
		e.release()
	}
	e.term, e.ended = nil, false
	if !e.releasing {
		e.restart()
	}
}

// release starts to give leadership back.
func (e *Election) release() {
	if !e.releasing {
		e.releasing, e.releaseBy = true, e.now+releaseLimit
		e.dirty = true
	}
}

// released: nothing of ours is left, or it cannot be helped; the end of the session does the rest.
func (e *Election) released() {
	e.releasing, e.latch, e.dirty = false, "", false
	e.restart()
}

// finish is the end of Lead.
func (e *Election) finish(err error) {
	e.done, e.out.Done, e.out.Err = true, true, err
}

// fail is the end of Lead with an error: only while contending, so no term is running.
func (e *Election) fail(err error) { e.finish(fmt.Errorf("zookeeper: %w", err)) }

// advance sends the next request of the chain, if there is one and it can be sent.
func (e *Election) advance() {
	if e.releasing && (e.session == 0 || e.now >= e.releaseBy) {
		e.released()
	}
	if e.stopping && !e.releasing {
		e.stage = rest
		if e.term == nil && !e.done {
			e.finish(nil)
		}
	}
	if e.done || !e.mayAsk() {
		return
	}
	if e.stage == rest && e.patrol != 0 && e.now >= e.patrol {
		e.dirty, e.doubt = true, true // a server that lags, or lost a watch, has nothing to tell: the barrier makes it catch up
	}
	if e.dirty {
		e.restart()
	}
	if e.stage == rest || e.now < e.retryAt {
		return
	}
	r := e.request()
	r.Session = e.session
	e.lastID++
	e.flight = e.lastID
	e.out.Send, e.out.ID = &r, e.flight
}

// mayAsk reports whether the chain can go on now.
func (e *Election) mayAsk() bool {
	switch {
	case e.flight != 0 || !e.connected || e.stopping && !e.releasing:
		return false
	case e.term != nil && !e.releasing && (e.ended || e.cfg.Blind):
		return false // serve is running: ended, or it is to see nothing
	}
	return true
}

// restart begins the chain of the present mode; while a request is in flight, once it has been answered.
func (e *Election) restart() {
	if e.flight != 0 {
		e.dirty = true
		return
	}
	e.dirty, e.patrol = false, 0
	switch {
	case e.doubt:
		e.stage = barrier
	case e.releasing && e.leads != 0:
		e.stage = withdraw
	case e.releasing:
		e.stage = listOwn
	case e.term != nil:
		e.stage = watchEpoch
	default:
		e.stage = readEpoch
	}
}

// settle ends a chain: nothing is asked until something is heard, or for a session timeout (no wait is for ever).
func (e *Election) settle() {
	e.stage, e.patrol = rest, e.now+max(e.timeout, retryDelay)
}

// again starts the chain again after a pause.
func (e *Election) again() {
	e.restart()
	e.retryAt = e.now + retryDelay
}

// wake is the next time at which time alone changes something.
func (e *Election) wake() time.Duration {
	var at time.Duration
	consider := func(t time.Duration) {
		if at == 0 || t < at {
			at = t
		}
	}
	if e.done {
		return 0
	}
	if e.leading() && !e.cfg.Blind {
		consider(e.contact + e.timeout)
	}
	if e.releasing {
		consider(e.releaseBy)
	}
	if e.mayAsk() { // else no time is worth waking for: a patrol that is due would be so again at once
		if e.stage == rest && e.patrol != 0 {
			consider(e.patrol)
		}
		if e.stage != rest && e.retryAt > e.now {
			consider(e.retryAt)
		}
	}
	return at
}

// decodeEpoch reads the epoch node.
func decodeEpoch(path string, data []byte) (epochNode, error) {
	var n epochNode
	if err := json.Unmarshal(data, &n); err != nil {
		return n, fmt.Errorf("%s: not an epoch node of Thalweg: %w", path, err)
	}
	if n.Cluster == "" {
		return n, fmt.Errorf("%s: not an epoch node of Thalweg: it names no cluster", path)
	}
	return n, nil
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("zookeeper: encode %T: %v", v, err)) // plain structs of strings and numbers
	}
	return b
}

// errOtherCluster is the answer to somebody's wiped or mis-pointed ZooKeeper.
func errOtherCluster(path, want, have string) error {
	found := "the node is gone"
	if have != "" {
		found = "the znodes belong to cluster " + have
	}
	return fmt.Errorf("%s: %w: this process belongs to cluster %s, but %s; running tasks are left alone. "+
		"Check high-availability.zookeeper.quorum, path.root and cluster-id; if the state was removed on purpose, "+
		"restart the jobmanagers and restore the jobs from named checkpoints", path, ha.ErrOtherCluster, want, found)
}
