package zookeeper

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/thalweg-io/thalweg/internal/ha"
	"github.com/thalweg-io/thalweg/internal/planted"
)

// stage is one request of a chain: what is asked (request) and what its answer means (answer).
type stage uint8

const (
	rest        stage = iota // nothing is asked
	barrier                  // everything sent before has happened, or never will
	readEpoch                // who leads, in which cluster
	probeEpoch               // is the epoch node really gone?
	confirm                  // is it really another cluster's?
	initialize               // make what is missing
	listLatches              //
	createLatch              //
	dropLatch                // a stray one of our own
	ownLatch                 // is ours there, under our session?
	watchBefore              // the predecessor
	askGrant                 //
	watchEpoch               // leading: still ours?
	watchOwn                 // leading: latch still ours?
	withdraw                 // releasing: connection_info, only under our own epoch
	listOwn                  // releasing
	dropOwn                  // releasing
)

// request makes the request of the present stage. Whatever decides goes through the servers' leader as a write: reads are
// answered by a server that may lag.
func (e *Election) request() Request {
	p := e.paths
	switch e.stage {
	case barrier, probeEpoch: // a refused check is ordered like any write
		return Request{Kind: Multi, Ops: []Request{{Kind: Check, Path: p.epoch(), Version: -1}}}
	case readEpoch:
		return Request{Kind: Get, Path: p.epoch()}
	case confirm:
		return Request{Kind: Multi, Ops: []Request{{Kind: Check, Path: p.epoch(), Version: e.version}}}
	case initialize:
		if dirs := p.directories(); e.created < len(dirs) {
			return Request{Kind: Create, Path: dirs[e.created], Version: -1}
		}
		return Request{Kind: Create, Path: p.epoch(), Data: encode(epochNode{Cluster: e.cfg.NewCluster})}
	case listLatches, listOwn:
		return Request{Kind: Children, Path: p.latches()}
	case createLatch:
		me := e.cfg.Contender
		return Request{Kind: Create, Path: p.latch(latchName(me.Incarnation)), Ephemeral: true, Sequential: true,
			Data: encode(latchData{me.Incarnation, me.RPCAddress})}
	case dropLatch, dropOwn:
		return Request{Kind: Delete, Path: p.latch(e.drop), Version: -1}
	case ownLatch, watchOwn:
		return Request{Kind: Exists, Path: p.latch(e.latch), Watch: true}
	case watchBefore:
		return Request{Kind: Exists, Path: p.latch(e.predecessor), Watch: true}
	case askGrant:
		next := epochNode{e.epoch.Cluster, e.epoch.Epoch + 1, e.cfg.Contender.Incarnation, e.latch}
		e.tried = next.Epoch
		return Request{Kind: Multi, Ops: []Request{
			{Kind: Check, Path: p.latch(e.latch), Version: -1},
			{Kind: Set, Path: p.epoch(), Data: encode(next), Version: e.version},
		}}
	case watchEpoch:
		return Request{Kind: Get, Path: p.epoch(), Watch: true}
	case withdraw:
		return Request{Kind: Multi, Ops: []Request{
			{Kind: Check, Path: p.epoch(), Version: e.leadsAt},
			{Kind: Delete, Path: p.connectionInfo(), Version: -1},
		}}
	}
	panic(fmt.Sprintf("zookeeper: no request for stage %d", e.stage))
}

// answer takes the answer of the present stage and chooses the next one.
func (e *Election) answer(r Response, err error) {
	switch {
	case errors.Is(err, ErrLost):
		e.doubt = e.doubt || !e.reads()
		e.again()
		return
	case errors.Is(err, ErrNotSent), errors.Is(err, ErrSession):
		e.again()
		return
	case errors.Is(err, ErrClosed):
		e.end(ha.ErrStopped)
		e.releasing, e.stopping = false, true
		return
	case errors.Is(err, ErrDenied) && e.term == nil && !e.releasing:
		e.fail(fmt.Errorf("%s: %w: the znodes belong to another ZooKeeper user; grant access or use another path.root", e.paths.base, err))
		return
	case e.dirty: // the session, the mode or the nodes are not what they were when this was asked
		return
	}
	switch e.stage {
	case barrier:
		e.doubt = false
		e.restart()
	case readEpoch:
		e.gotEpoch(r, err)
	case probeEpoch, confirm:
		e.confirmed(err)
	case initialize:
		e.initialized(err)
	case listLatches:
		e.gotLatches(r.Children, err)
	case createLatch:
		e.stage = listLatches
		if err != nil { // somebody removed the directory
			e.again()
		}
	case dropLatch:
		e.stage = listLatches
	case ownLatch:
		e.gotOwn(r, err)
	case watchBefore:
		e.gotBefore(r, err)
	case askGrant:
		e.stage = readEpoch // refused or not: what counts is what is read back
	case watchEpoch:
		e.checkEpoch(r, err)
	case watchOwn:
		e.checkOwn(r, err)
	case withdraw:
		e.stage = listOwn // nothing published, or a newer leader's: not ours to remove
	case listOwn:
		e.gotOwnLatches(r.Children, err)
	case dropOwn:
		e.stage = listOwn
	}
}

func (e *Election) reads() bool {
	switch e.stage {
	case readEpoch, listLatches, listOwn, ownLatch, watchOwn, watchBefore, watchEpoch:
		return true
	}
	return false
}

// gotEpoch looks at the epoch node. It may be an old one: nothing is decided on it but what to ask next.
func (e *Election) gotEpoch(r Response, err error) {
	switch {
	case errors.Is(err, ErrNoNode) && e.cluster != "":
		e.stage = probeEpoch
		return
	case errors.Is(err, ErrNoNode):
		e.stage, e.created = initialize, 0
		return
	case err != nil:
		e.again()
		return
	}
	n, err := decodeEpoch(e.paths.epoch(), r.Data)
	if err != nil {
		e.fail(err)
		return
	}
	e.epoch, e.version = n, r.Stat.Version
	if e.cluster == "" {
		e.cluster = n.Cluster
	}
	switch {
	case n.Cluster != e.cluster:
		e.stage = confirm
	case e.granted():
		e.stage = ownLatch
	default:
		e.stage = listLatches
	}
}

// granted: the epoch node names us and the latch that we hold, in a grant that we asked for and have not served yet. The
// number alone proves nothing.
func (e *Election) granted() bool {
	if planted.On("grant-by-number") {
		return e.latch != "" && e.epoch.Epoch == e.tried && e.epoch.Epoch > e.leads
	}
	return e.latch != "" && e.epoch.Latch == e.latch && e.epoch.Incarnation == e.cfg.Contender.Incarnation &&
		e.epoch.Epoch == e.tried && e.epoch.Epoch > e.leads
}

// confirmed ends what a lagging server's word could not decide.
func (e *Election) confirmed(err error) {
	switch {
	case e.stage == probeEpoch && errors.Is(err, ErrNoNode):
		e.fail(errOtherCluster(e.paths.epoch(), e.cluster, ""))
	case e.stage == confirm && err == nil:
		e.fail(errOtherCluster(e.paths.epoch(), e.cluster, e.epoch.Cluster))
	default:
		e.again()
	}
}

func (e *Election) initialized(err error) {
	switch {
	case err != nil && !errors.Is(err, ErrNodeExists):
		e.again()
	case e.created < len(e.paths.directories()):
		e.created++
		if e.created == len(e.paths.directories()) && e.cluster != "" {
			e.stage = readEpoch // there was an epoch: who removed the latches may be removing it, and then it is not ours to make
		}
	default:
		e.stage = readEpoch
	}
}

// own picks our latches out of all, lowest first.
func (e *Election) own(names []string) []string {
	var own []string
	for _, name := range names {
		if strings.HasPrefix(name, latchName(e.cfg.Contender.Incarnation)) {
			own = append(own, name)
		}
	}
	slices.SortFunc(own, compareLatches)
	return own
}

// gotLatches finds our place. Several latches of our own come from a create whose answer was lost: one is enough, and a later
// one would make us wait for ourselves.
func (e *Election) gotLatches(names []string, err error) {
	if errors.Is(err, ErrNoNode) {
		e.stage, e.created = initialize, 0
		return
	}
	if err != nil {
		e.again()
		return
	}
	own := e.own(names)
	switch {
	case len(own) == 0:
		e.latch, e.stage = "", createLatch
		return
	case len(own) > 1:
		e.drop, e.stage = own[len(own)-1], dropLatch
		return
	}
	e.latch, e.predecessor = own[0], ""
	for _, name := range names {
		if _, ok := latchSequence(name); ok && compareLatches(name, e.latch) < 0 &&
			(e.predecessor == "" || compareLatches(name, e.predecessor) > 0) {
			e.predecessor = name
		}
	}
	e.stage = ownLatch
}

// gotOwn decides what our latch is good for.
func (e *Election) gotOwn(r Response, err error) {
	switch {
	case err != nil:
		e.again()
	case !r.Exists:
		e.latch, e.stage = "", listLatches
	case r.Stat.EphemeralOwner != e.session: // an older session's; it would end under us
		e.drop, e.latch, e.stage = e.latch, "", dropLatch
	case e.granted():
		e.lead()
	case e.predecessor != "":
		e.stage = watchBefore
	default:
		e.stage = askGrant
	}
}

func (e *Election) gotBefore(r Response, err error) {
	switch {
	case err != nil:
		e.again()
	case !r.Exists:
		e.stage = listLatches
	default:
		e.settle()
	}
}

// lead starts the term. The chain of a leader begins at once: it sets the watches, then checks.
func (e *Election) lead() {
	e.leads, e.leadsAt = e.epoch.Epoch, e.version
	e.term = &Grant{Epoch: e.epoch.Epoch, Version: e.version, Cluster: e.epoch.Cluster, Session: e.session, Latch: e.latch}
	if e.cfg.Blind {
		e.term.Session = 0
	}
	granted := *e.term
	e.out.Lead = &granted
	e.stage = watchEpoch
}

// checkEpoch: a leader whose epoch was replaced hears it here before its next write is refused.
func (e *Election) checkEpoch(r Response, err error) {
	if e.term == nil {
		e.restart()
		return
	}
	if errors.Is(err, ErrNoNode) {
		e.end(fmt.Errorf("%w: %s is gone", ha.ErrFenced, e.paths.epoch()))
		return
	}
	if err != nil {
		e.again()
		return
	}
	if r.Stat.Version != e.term.Version {
		e.end(fmt.Errorf("%w: %s has version %d, epoch %d was granted at %d", ha.ErrFenced, e.paths.epoch(), r.Stat.Version, e.term.Epoch, e.term.Version))
		return
	}
	e.stage = watchOwn
}

func (e *Election) checkOwn(r Response, err error) {
	switch {
	case e.term == nil:
		e.restart()
	case err != nil:
		e.again()
	case !r.Exists:
		e.end(fmt.Errorf("%w: the latch %s was deleted", ha.ErrSessionLost, e.latch))
	case r.Stat.EphemeralOwner != e.term.Session:
		e.end(fmt.Errorf("%w: the latch %s belongs to session %#x", ha.ErrSessionLost, e.latch, r.Stat.EphemeralOwner))
	default:
		e.settle()
	}
}

func (e *Election) gotOwnLatches(names []string, err error) {
	if err != nil && !errors.Is(err, ErrNoNode) {
		e.again()
		return
	}
	own := e.own(names)
	if len(own) == 0 {
		e.released()
		return
	}
	e.drop, e.stage = own[0], dropOwn
}
