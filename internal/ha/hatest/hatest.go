// Package hatest is the conformance suite of package ha: one set of cases that every kind of high availability passes, on its
// real service and on its model.
//
// It owns the cases and the small harness that they use. A case that a kind cannot have, because the kind lacks what the case
// breaks, is listed in the test's output with the reason, never hidden. It never looks inside an implementation: faults come
// through the switches of a Process and a Cluster.
package hatest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/internal/ha"
)

// Kind is one implementation under test.
type Kind struct {
	Name string

	// New makes an empty cluster for one case. It cleans up through t.
	New func(t *testing.T) Cluster

	// Lacks says, per capability that the kind has not, why.
	Lacks map[Capability]string
}

// Capability is a fault that a case needs.
type Capability string

// The capabilities.
const (
	CanLoseReply   Capability = "lose the reply of a write after its commit"
	CanExpire      Capability = "expire a session"
	CanCut         Capability = "cut a process from the service"
	CanKillServer  Capability = "kill the service's own leader"
	CanWipe        Capability = "remove the cluster's state"
	CanLag         Capability = "make a server lag"
	CanDeleteLatch Capability = "delete a leader's latch"
)

// Cluster is one cluster's state, shared by processes.
type Cluster struct {
	// Open makes one more process's services.
	Open func(t *testing.T, o Options) *Process

	// Lease is the longest time after which a vanished leader is replaced.
	Lease time.Duration

	// Usurp makes a newer epoch behind the leader's back.
	Usurp func(t *testing.T)

	KillServer  func(t *testing.T)
	Wipe        func(t *testing.T)
	Lag         func(t *testing.T, lags bool) // some server, not all
	DeleteLatch func(t *testing.T)            // the lowest one
}

// Options are what a case asks of a process.
type Options struct {
	EndOnSuspended bool
}

// Process is one process: a Services and the faults that can befall it.
type Process struct {
	Services ha.Services
	Abandon  func() // the process is killed: nothing is closed or released
	Expire   func(t *testing.T)
	Cut      func(cut bool)

	// LoseReply loses the reply to the next write that contains an operation of that kind, after its commit.
	LoseReply func(kind ha.OpKind)

	// LoseRequest loses the next such write before its commit; the process cannot tell the two apart.
	LoseRequest func(kind ha.OpKind)
}

// Run runs every case that the kind can have, each as a subtest, and lists the others. A case that the kind cannot have is no
// subtest, so that nothing which did not run is counted as passed.
func Run(t *testing.T, k Kind) {
	for _, c := range cases {
		if why := k.lacks(c); why != "" {
			t.Logf("not applicable to %s: %q: %s", k.Name, c.name, why)
			continue
		}
		t.Run(c.name, func(t *testing.T) { c.run(&run{T: t, cluster: k.New(t)}) })
	}
}

// lacks says why the kind cannot have the case, or nothing.
func (k Kind) lacks(c testCase) string {
	for _, need := range c.needs {
		if why, lacks := k.Lacks[need]; lacks {
			return fmt.Sprintf("it cannot %s: %s", need, why)
		}
	}
	return ""
}

type testCase struct {
	name  string
	needs []Capability
	run   func(r *run)
}

// run is one case being run.
type run struct {
	*testing.T
	cluster Cluster
	serving counter
}

// counter checks that what must not overlap does not; it is safe for concurrent use.
type counter struct {
	sync.Mutex
	epochs map[string]ha.Incarnation // by cluster and epoch
}

// patience bounds every wait of the suite: a loaded machine with real servers is slow, a hang is an error all the same.
const patience = 40 * time.Second

// node is one process that contends.
type node struct {
	*Process
	r      *run
	me     ha.Contender
	terms  chan *held
	cancel context.CancelFunc
	ended  chan error // Lead's result
}

// held is a term while its serve runs; drop lets serve return.
type held struct {
	ha.Term
	node    *node
	release chan struct{}
	once    sync.Once
}

func (h *held) drop() { h.once.Do(func() { close(h.release) }) }

// contend opens a process and lets it contend. Its serve holds each term until the term ends, or drop is called.
func (r *run) contend(name string, o Options) *node {
	r.Helper()
	n := r.idle(name, o)
	n.start()
	return n
}

// idle opens a process that does not contend yet.
func (r *run) idle(name string, o Options) *node {
	r.Helper()
	return &node{Process: r.cluster.Open(r.T, o), r: r,
		me: ha.Contender{Incarnation: ha.NewIncarnation(), RPCAddress: name + ":6123", RESTAddress: name + ":8081"}}
}

func (n *node) start() {
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel, n.ended, n.terms = cancel, make(chan error, 1), make(chan *held, 100)
	var overlap sync.Mutex
	go func() {
		n.ended <- n.Services.Lead(ctx, n.me, func(t ha.Term) {
			if !overlap.TryLock() {
				n.r.Errorf("two serves of one process run at once")
			}
			defer overlap.Unlock()
			n.r.granted(t, n.me.Incarnation)
			h := &held{Term: t, node: n, release: make(chan struct{})}
			n.terms <- h
			select {
			case <-t.Context().Done():
			case <-h.release:
			}
		})
	}()
	n.r.Cleanup(func() { cancel() })
}

// granted checks that an epoch is granted once.
func (r *run) granted(t ha.Term, to ha.Incarnation) {
	e := fmt.Sprintf("%d of cluster %s", t.Epoch(), t.ClusterIncarnation())
	r.serving.Lock()
	defer r.serving.Unlock()
	if r.serving.epochs == nil {
		r.serving.epochs = map[string]ha.Incarnation{}
	}
	if by, twice := r.serving.epochs[e]; twice {
		r.Errorf("epoch %s was granted to %s and to %s", e, by, to)
	}
	r.serving.epochs[e] = to
}

// lead waits for the next term of any of the nodes.
func (r *run) lead(nodes ...*node) *held {
	r.Helper()
	h := r.leadWithin(patience, nodes...)
	if h == nil {
		r.Fatalf("nobody leads after %v", patience)
	}
	return h
}

// leadAfter is lead, of a term whose epoch is greater than the last one.
func (r *run) leadAfter(last ha.Epoch, nodes ...*node) *held {
	r.Helper()
	h := r.lead(nodes...)
	if h.Epoch() <= last {
		r.Fatalf("epoch %d after %d", h.Epoch(), last)
	}
	return h
}

func (r *run) leadWithin(d time.Duration, nodes ...*node) *held {
	r.Helper()
	found := make(chan *held)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for _, n := range nodes {
		wg.Go(func() {
			select {
			case h := <-n.terms:
				select {
				case found <- h:
				case <-stop:
					n.terms <- h // another was first
				}
			case err := <-n.ended:
				n.ended <- err
				r.Errorf("Lead ended: %v", err)
			case <-stop:
			}
		})
	}
	defer wg.Wait()
	defer close(stop)
	select {
	case h := <-found:
		return h
	case <-time.After(d):
		return nil
	}
}

// over waits for a term's end and checks its cause.
func (r *run) over(h *held, causes ...error) {
	r.Helper()
	select {
	case <-h.Context().Done():
	case <-time.After(patience):
		r.Fatalf("epoch %d has not ended after %v, want one of %v", h.Epoch(), patience, causes)
	}
	got := context.Cause(h.Context())
	for _, want := range causes {
		if errors.Is(got, want) {
			return
		}
	}
	r.Fatalf("epoch %d ended with %q, want one of %q", h.Epoch(), got, causes)
}

// alive checks that a term lives by writing under it.
func (r *run) alive(h *held) {
	r.Helper()
	if err := h.Settle(r.ctx(), ha.Put("probe", []byte(fmt.Sprint(h.Epoch())), ha.AnyVersion)); err != nil {
		r.Fatalf("epoch %d should live: %v", h.Epoch(), err)
	}
	if h.Context().Err() != nil {
		r.Fatalf("epoch %d has ended: %v", h.Epoch(), context.Cause(h.Context()))
	}
}

// ctx bounds one operation.
func (r *run) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	r.Cleanup(cancel)
	return ctx
}

func (r *run) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// wantErr checks that err is one of those wanted.
func (r *run) wantErr(err error, want ...error) {
	r.Helper()
	for _, w := range want {
		if errors.Is(err, w) {
			return
		}
	}
	r.Fatalf("got error %v, want %v", err, want)
}

// value checks what a path holds.
func (r *run) value(s ha.Store, path, data string, version int64) {
	r.Helper()
	v, err := s.Get(r.ctx(), path)
	r.must(err)
	if string(v.Data) != data || version >= 0 && v.Version != version {
		r.Fatalf("%s holds %q at version %d, want %q at %d", path, v.Data, v.Version, data, version)
	}
}

func (r *run) missing(s ha.Store, path string) {
	r.Helper()
	_, err := s.Get(r.ctx(), path)
	r.wantErr(err, ha.ErrNotFound)
}

func (r *run) list(s ha.Store, dir, want string) {
	r.Helper()
	names, err := s.List(r.ctx(), dir)
	r.must(err)
	if got := strings.Join(names, " "); got != want {
		r.Fatalf("%s lists %q, want %q", dir, got, want)
	}
}

// sighted waits until discovery says what is wanted.
func (r *run) sighted(updates <-chan ha.Sighting, what string, want func(ha.Sighting) bool) ha.Sighting {
	r.Helper()
	deadline := time.After(patience)
	var last ha.Sighting
	for {
		select {
		case s, ok := <-updates:
			if !ok {
				r.Fatalf("discovery ended while waiting for %s", what)
			}
			if last = s; want(s) {
				return s
			}
		case <-deadline:
			r.Fatalf("discovery did not see %s after %v; the last was %v, %v", what, patience, last.Leader, last.Err)
		}
	}
}
