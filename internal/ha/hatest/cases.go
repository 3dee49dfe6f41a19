package hatest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/thalweg-io/thalweg/internal/ha"
)

var cases = []testCase{
	{"one leader at a time", nil, oneLeader},
	{"epochs increase", nil, epochsIncrease},
	{"an old term's write is refused", nil, fencing},
	{"a deleted latch ends the term", []Capability{CanDeleteLatch}, latchDeleted},
	{"resigning lets a standby lead at once", nil, resign},
	{"stopping lets a standby lead at once", nil, stop},
	{"serve that returns resigns", nil, serveReturns},
	{"the leader is killed", nil, killed},
	{"a new leader reads what the old one wrote", nil, handover},
	{"discovery", nil, discovery},
	{"create, put, delete, list", nil, storeBasics},
	{"conflicts change nothing", nil, conflicts},
	{"several operations are one step", nil, atomic},
	{"delete tree", nil, deleteTree},
	{"what is too large or ill-named is refused before it is sent", nil, refusedEarly},
	{"writes of many paths at once", nil, concurrentWrites},
	{"settle after a lost reply", []Capability{CanLoseReply}, lostReplies},
	{"settle after a lost request", []Capability{CanLoseReply}, lostRequests},
	{"the session expires", []Capability{CanExpire}, expiry},
	{"a suspension is tolerated", []Capability{CanCut}, suspensionTolerated},
	{"a suspension that is not tolerated ends the term", []Capability{CanCut}, suspensionEnds},
	{"the own lease ends the term", []Capability{CanCut}, lease},
	{"writes wait for the service", []Capability{CanCut}, waits},
	{"the service's leader is killed", []Capability{CanKillServer}, serverKilled},
	{"a lagging server decides nothing", []Capability{CanLag}, lagging},
	{"another cluster's state is refused", nil, otherCluster},
	{"state that is wiped is not invented again", []Capability{CanWipe}, wiped},
	{"five contenders under churn", nil, churn},
	{"a closed service", nil, closed},
}

func oneLeader(r *run) {
	nodes := []*node{r.contend("a", Options{}), r.contend("b", Options{}), r.contend("c", Options{})}
	var last ha.Epoch
	for range 4 {
		h := r.lead(nodes...)
		if h.Epoch() <= last {
			r.Fatalf("epoch %d after %d", h.Epoch(), last)
		}
		last = h.Epoch()
		if other := r.leadWithin(200*time.Millisecond, nodes...); other != nil {
			r.Fatalf("%s leads epoch %d while %s leads epoch %d", other.node.me.RPCAddress, other.Epoch(), h.node.me.RPCAddress, h.Epoch())
		}
		r.alive(h)
		h.Resign()
		r.over(h, ha.ErrResigned)
	}
}

func epochsIncrease(r *run) {
	var last ha.Epoch
	cluster := ""
	for i := range 3 { // a new process each time
		n := r.contend(fmt.Sprint("p", i), Options{})
		for range 2 {
			h := r.lead(n)
			if h.Epoch() <= last {
				r.Fatalf("epoch %d after %d", h.Epoch(), last)
			}
			if c := h.ClusterIncarnation(); c == "" || cluster != "" && c != cluster {
				r.Fatalf("cluster incarnation %q after %q", c, cluster)
			}
			last, cluster = h.Epoch(), h.ClusterIncarnation()
			h.Resign()
			r.over(h, ha.ErrResigned)
		}
		r.must(n.Services.Close())
	}
}

func fencing(r *run) {
	a := r.contend("a", Options{})
	old := r.lead(a)
	r.must(old.Settle(r.ctx(), ha.Create("x", []byte("old"))))
	r.cluster.Usurp(r.T)
	err := old.Apply(r.ctx(), ha.Put("x", []byte("too late"), ha.AnyVersion))
	r.wantErr(err, ha.ErrFenced)
	r.over(old, ha.ErrFenced)
	r.wantErr(old.Settle(r.ctx(), ha.Create("y", nil)), ha.ErrFenced)
	r.wantErr(old.Publish(r.ctx()), ha.ErrFenced)
	r.wantErr(old.DeleteTree(r.ctx(), "x"), ha.ErrFenced)
	now := r.lead(a) // contends again
	if now.Epoch() <= old.Epoch()+1 {
		r.Fatalf("epoch %d after %d and one more behind its back", now.Epoch(), old.Epoch())
	}
	r.value(now, "x", "old", 0)
	r.missing(now, "y")
}

func latchDeleted(r *run) {
	a := r.contend("a", Options{})
	old := r.lead(a)
	b := r.contend("b", Options{})
	r.cluster.DeleteLatch(r.T)
	r.over(old, ha.ErrFenced, ha.ErrSessionLost)
	now := r.lead(a, b) // b, unless its latch was not there yet
	if now.Epoch() <= old.Epoch() {
		r.Fatalf("epoch %d after %d", now.Epoch(), old.Epoch())
	}
	r.alive(now)
}

func resign(r *run) {
	a := r.contend("a", Options{})
	h := r.lead(a)
	r.must(h.Publish(r.ctx()))
	b := r.contend("b", Options{})
	r.sighted(b.Services.Discover(r.ctx()), "a", func(s ha.Sighting) bool { return s.Leader.Epoch == h.Epoch() })
	start := time.Now()
	h.Resign()
	if h.Context().Err() == nil {
		r.Fatal("the term's context lives after Resign has returned")
	}
	now := r.lead(a, b)
	took := time.Since(start)
	r.Logf("resigned to led: %v", took)
	if took > r.cluster.Lease {
		r.Errorf("a standby leads only after %v", took)
	}
	r.over(h, ha.ErrResigned)
	r.alive(now)
}

func stop(r *run) {
	a := r.contend("a", Options{})
	h := r.lead(a)
	b := r.contend("b", Options{})
	start := time.Now()
	a.cancel()
	now := r.lead(b)
	r.Logf("stopped to led: %v", time.Since(start))
	r.over(h, ha.ErrStopped)
	r.must(<-a.ended)
	r.alive(now)
	a.start() // the same process may contend again
	now.Resign()
	r.lead(a, b)
}

func serveReturns(r *run) {
	a := r.contend("a", Options{})
	h := r.lead(a)
	h.drop()
	r.over(h, ha.ErrResigned)
	if now := r.lead(a); now.Epoch() <= h.Epoch() {
		r.Fatalf("epoch %d after %d", now.Epoch(), h.Epoch())
	}
}

func killed(r *run) {
	a := r.contend("a", Options{})
	old := r.lead(a)
	r.must(old.Publish(r.ctx()))
	b := r.contend("b", Options{})
	updates := b.Services.Discover(r.ctx())
	r.sighted(updates, "a", func(s ha.Sighting) bool { return s.Leader.Epoch == old.Epoch() })
	start := time.Now()
	a.Abandon()
	now := r.lead(b)
	took := time.Since(start)
	r.Logf("killed to led: %v", took)
	if took > r.cluster.Lease+2*time.Second {
		r.Errorf("took %v, a lease is %v", took, r.cluster.Lease)
	}
	r.must(now.Publish(r.ctx()))
	r.sighted(updates, "b", func(s ha.Sighting) bool { return s.Leader.Epoch == now.Epoch() })
	r.alive(now)
}

func handover(r *run) {
	nodes := []*node{r.contend("a", Options{}), r.contend("b", Options{})}
	h := r.lead(nodes...)
	r.must(h.Settle(r.ctx(), ha.Create("jobs/1/counter", []byte("0"))))
	for i := range 20 {
		r.must(h.Settle(r.ctx(), ha.Put("jobs/1/counter", []byte(fmt.Sprint(i+1)), int64(i))))
		if i%5 == 4 {
			h.Resign()
			h = r.lead(nodes...)
			r.value(h, "jobs/1/counter", fmt.Sprint(i+1), int64(i+1))
		}
	}
}

func discovery(r *run) {
	watcher := r.idle("watcher", Options{})
	ctx, cancel := context.WithCancel(context.Background())
	updates := watcher.Services.Discover(ctx)
	r.sighted(updates, "nobody", func(s ha.Sighting) bool { return !s.Leader.Present() && s.Err == nil })
	a := r.contend("a", Options{})
	h := r.lead(a)
	r.must(h.Publish(r.ctx()))
	r.must(h.Publish(r.ctx())) // may be repeated
	s := r.sighted(updates, "a", func(s ha.Sighting) bool { return s.Leader.Present() })
	want := ha.LeaderInfo{Epoch: h.Epoch(), Incarnation: a.me.Incarnation, RPCAddress: a.me.RPCAddress, RESTAddress: a.me.RESTAddress,
		ClusterIncarnation: h.ClusterIncarnation()}
	if s.Leader != want {
		r.Fatalf("sighted %+v, want %+v", s.Leader, want)
	}
	b := r.contend("b", Options{})
	h.Resign()
	next := r.lead(a, b) // b, unless its latch was not there yet
	r.sighted(updates, "nobody again", func(s ha.Sighting) bool { return !s.Leader.Present() })
	r.must(next.Publish(r.ctx()))
	theNext := func(s ha.Sighting) bool {
		return s.Leader.Epoch == next.Epoch() && s.Leader.RPCAddress == next.node.me.RPCAddress
	}
	r.sighted(updates, "the next one", theNext)
	late := watcher.Services.Discover(ctx) // one that begins now sees it too
	r.sighted(late, "the next one", theNext)
	cancel()
	for range updates { // closed
	}
}

func storeBasics(r *run) {
	h := r.lead(r.contend("a", Options{}))
	ctx := r.ctx()
	r.missing(h, "jobs/1/graph")
	r.list(h, "jobs", "")
	r.must(h.Apply(ctx, ha.Create("jobs/1/graph", []byte("g"))))
	r.value(h, "jobs/1/graph", "g", 0)
	r.must(h.Apply(ctx, ha.Put("jobs/1/graph", []byte("g2"), 0)))
	r.value(h, "jobs/1/graph", "g2", 1)
	r.must(h.Apply(ctx, ha.Put("jobs/1/graph", nil, ha.AnyVersion)))
	r.value(h, "jobs/1/graph", "", 2)
	r.must(h.Apply(ctx, ha.Put("jobs/1/checkpoints/0000000000000000001", []byte("p"), ha.AnyVersion))) // makes it, and the directory
	r.must(h.Apply(ctx, ha.Create("jobs/2/graph", nil), ha.Create("jobs/10/graph", nil)))
	r.list(h, "jobs", "1 10 2")
	r.list(h, "jobs/1", "checkpoints graph")
	r.list(h, "jobs/2/graph", "")
	r.must(h.Apply(ctx, ha.Delete("jobs/1/checkpoints/0000000000000000001")))
	r.list(h, "jobs/1/checkpoints", "")
	r.must(h.Apply(ctx, ha.Delete("jobs/1/checkpoints")))
	r.list(h, "jobs/1", "graph")
	r.must(h.Apply(ctx, ha.Create("jobs/1/checkpoints/0000000000000000002", []byte("p2")))) // a directory that was there before
	r.value(h, "jobs/1/checkpoints/0000000000000000002", "p2", 0)
	r.must(h.Apply(ctx, ha.Create("jobs/1/graph/detail", []byte("below a value"))))
	r.value(h, "jobs/1/graph/detail", "below a value", 0)
	r.value(h, "jobs/1/graph", "", 2)
	r.must(h.Apply(ctx)) // nothing, fenced
	data := []byte("mine")
	r.must(h.Apply(ctx, ha.Create("own", data)))
	v, err := h.Get(ctx, "own")
	r.must(err)
	data[0], v.Data[0] = 'x', 'y'
	r.value(h, "own", "mine", 0)
}

func conflicts(r *run) {
	h := r.lead(r.contend("a", Options{}))
	ctx := r.ctx()
	r.must(h.Apply(ctx, ha.Create("d/x", []byte("1"))))
	for _, op := range []ha.Op{
		ha.Create("d/x", []byte("2")), ha.Put("d/x", []byte("2"), 7), ha.Put("d/missing", nil, 0), ha.Delete("d/missing"), ha.Delete("d"),
		ha.Create("d", nil),
	} {
		err := h.Apply(ctx, op)
		r.wantErr(err, ha.ErrConflict)
		if !strings.Contains(err.Error(), op.Path) {
			r.Errorf("%v: the error does not name the path: %v", op, err)
		}
		r.wantErr(h.Settle(ctx, op), ha.ErrConflict)
	}
	r.value(h, "d/x", "1", 0)
	r.list(h, "d", "x")
	r.alive(h)
}

func atomic(r *run) {
	h := r.lead(r.contend("a", Options{}))
	ctx := r.ctx()
	r.must(h.Apply(ctx, ha.Create("a", []byte("1")), ha.Create("b/c", []byte("2")), ha.Create("b/d/e", []byte("3"))))
	err := h.Apply(ctx, ha.Put("a", []byte("x"), 0), ha.Delete("b/c"), ha.Create("n/m", nil), ha.Delete("nothing"))
	r.wantErr(err, ha.ErrConflict)
	r.value(h, "a", "1", 0)
	r.value(h, "b/c", "2", 0)
	r.missing(h, "n/m")
	r.list(h, "n", "")
	r.must(h.Apply(ctx, ha.Put("a", []byte("x"), 0), ha.Delete("b/c"), ha.Create("n", nil), ha.Create("n/m", []byte("4"))))
	r.value(h, "a", "x", 1)
	r.missing(h, "b/c")
	r.value(h, "n/m", "4", 0)
}

func deleteTree(r *run) {
	h := r.lead(r.contend("a", Options{}))
	ctx := r.ctx()
	r.must(h.DeleteTree(ctx, "jobs/none"))
	for i := range 30 {
		r.must(h.Apply(ctx, ha.Create(fmt.Sprintf("jobs/1/checkpoints/%019d", i), []byte("p")), ha.Create(fmt.Sprintf("jobs/1/%d/%d/%d", i%3, i, i), nil)))
	}
	r.must(h.Apply(ctx, ha.Create("jobs/10/graph", []byte("stays"))))
	r.must(h.DeleteTree(ctx, "jobs/1"))
	r.list(h, "jobs", "10")
	r.list(h, "jobs/1", "")
	r.value(h, "jobs/10/graph", "stays", 0)
	r.must(h.DeleteTree(ctx, "jobs/1"))
	r.must(h.Apply(ctx, ha.Create("jobs/1/graph", []byte("again"))))
	r.value(h, "jobs/1/graph", "again", 0)
}

func refusedEarly(r *run) {
	h := r.lead(r.contend("a", Options{}))
	ctx := r.ctx()
	big := bytes.Repeat([]byte("x"), ha.MaxValue)
	r.must(h.Apply(ctx, ha.Create("big", big)))
	v, err := h.Get(ctx, "big")
	r.must(err)
	if !bytes.Equal(v.Data, big) {
		r.Fatal("the largest value did not survive")
	}
	r.wantErr(h.Apply(ctx, ha.Create("bigger", append(big, 'x'))), ha.ErrTooLarge)
	r.wantErr(h.Apply(ctx, ha.Create("one", big), ha.Create("two", big)), ha.ErrTooLarge)
	r.missing(h, "bigger")
	r.missing(h, "one")
	for _, path := range []string{"", "/x", "x/", "a//b", "a/../b", ".", "a\x00b", "leader/epoch", "leader", strings.Repeat("x", 300)} {
		r.wantErr(h.Apply(ctx, ha.Create(path, nil)), ha.ErrBadPath)
		_, err := h.Get(ctx, path)
		r.wantErr(err, ha.ErrBadPath)
		_, err = h.List(ctx, path)
		r.wantErr(err, ha.ErrBadPath)
		r.wantErr(h.DeleteTree(ctx, path), ha.ErrBadPath)
	}
	r.alive(h)
}

func concurrentWrites(r *run) {
	h := r.lead(r.contend("a", Options{}))
	ctx := r.ctx()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 10 { // the directories are shared, and made by whoever is first
				if err := h.Settle(ctx, ha.Create(fmt.Sprintf("shared/%d/%d", j, i), []byte("v"))); err != nil {
					r.Errorf("create %d of %d: %v", j, i, err)
				}
			}
		})
	}
	wg.Wait()
	for j := range 10 {
		r.list(h, fmt.Sprint("shared/", j), "0 1 2 3 4 5 6 7")
	}
}

func lostReplies(r *run) {
	a := r.contend("a", Options{})
	h := r.lead(a)
	ctx := r.ctx()
	r.must(h.Settle(ctx, ha.Create("x", []byte("0")), ha.Create("gone", nil), ha.Create("gone2", nil), ha.Create("t/u/v", nil)))

	a.LoseReply(ha.OpCreate)
	r.wantErr(h.Apply(ctx, ha.Create("apply", nil)), ha.ErrUnknown) // the caller hears the truth

	a.LoseReply(ha.OpCreate)
	r.must(h.Settle(ctx, ha.Create("made", []byte("m"))))
	r.value(h, "made", "m", 0)
	a.LoseReply(ha.OpPut)
	r.must(h.Settle(ctx, ha.Put("x", []byte("1"), 0)))
	r.value(h, "x", "1", 1) // once
	a.LoseReply(ha.OpPut)
	r.must(h.Settle(ctx, ha.Put("x", []byte("2"), ha.AnyVersion)))
	r.value(h, "x", "2", 2)
	a.LoseReply(ha.OpDelete)
	r.must(h.Settle(ctx, ha.Delete("gone")))
	r.missing(h, "gone")
	a.LoseReply(ha.OpDelete)
	r.must(h.Settle(ctx, ha.Put("x", []byte("3"), 2), ha.Create("made2", nil), ha.Delete("gone2")))
	r.value(h, "x", "3", 3)
	r.missing(h, "gone2")
	r.value(h, "made2", "", 0)
	a.LoseReply(ha.OpDelete)
	r.must(h.DeleteTree(ctx, "t"))
	r.list(h, "t", "")
	a.LoseReply(ha.OpCreate) // connection_info is created too
	r.must(h.Publish(ctx))
	r.sighted(a.Services.Discover(ctx), "itself", func(s ha.Sighting) bool { return s.Leader.Epoch == h.Epoch() })
	r.alive(h)

	a.LoseReply(ha.OpPut) // of the next grant: it is recognised, and served once
	h.Resign()
	next := r.lead(a)
	r.alive(next)
	a.LoseReply(ha.OpCreate) // of the next latch
	next.Resign()
	r.alive(r.lead(a))
}

func lostRequests(r *run) {
	a := r.contend("a", Options{})
	h := r.lead(a)
	ctx := r.ctx()
	r.must(h.Settle(ctx, ha.Create("x", []byte("0")), ha.Create("gone", nil), ha.Create("t/u/v", nil)))
	a.LoseRequest(ha.OpCreate)
	r.wantErr(h.Apply(ctx, ha.Create("apply", nil)), ha.ErrUnknown)
	r.missing(h, "apply")
	a.LoseRequest(ha.OpCreate)
	r.must(h.Settle(ctx, ha.Create("made", []byte("m"))))
	r.value(h, "made", "m", 0)
	a.LoseRequest(ha.OpPut)
	r.must(h.Settle(ctx, ha.Put("x", []byte("1"), 0)))
	r.value(h, "x", "1", 1)
	a.LoseRequest(ha.OpDelete)
	r.must(h.Settle(ctx, ha.Delete("gone")))
	r.missing(h, "gone")
	a.LoseRequest(ha.OpDelete)
	r.must(h.DeleteTree(ctx, "t"))
	r.list(h, "t", "")
	a.LoseRequest(ha.OpCreate)
	r.must(h.Publish(ctx))
	a.LoseRequest(ha.OpPut)
	r.wantErr(h.Settle(ctx, ha.Put("x", []byte("2"), 7)), ha.ErrConflict) // known in the end
	r.value(h, "x", "1", 1)
	r.alive(h)
	a.LoseRequest(ha.OpPut) // of the next grant
	h.Resign()
	r.alive(r.lead(a))
}

func expiry(r *run) {
	a := r.contend("a", Options{})
	h := r.lead(a)
	r.must(h.Publish(r.ctx()))
	a.Expire(r.T)
	r.over(h, ha.ErrSessionLost)
	r.wantErr(h.Settle(r.ctx(), ha.Create("x", nil)), ha.ErrSessionLost)
	next := r.lead(a) // on a new session, with a new latch
	if next.Epoch() <= h.Epoch() {
		r.Fatalf("epoch %d after %d", next.Epoch(), h.Epoch())
	}
	r.must(next.Publish(r.ctx()))
	r.sighted(a.Services.Discover(r.ctx()), "the new term", func(s ha.Sighting) bool { return s.Leader.Epoch == next.Epoch() })
	r.missing(next, "x")
}

func suspensionTolerated(r *run) {
	a, b := r.contend("a", Options{}), r.idle("b", Options{})
	h := r.lead(a)
	r.must(h.Publish(r.ctx()))
	b.start()
	updates := b.Services.Discover(r.ctx())
	r.sighted(updates, "a", func(s ha.Sighting) bool { return s.Leader.Epoch == h.Epoch() })
	for range 2 {
		a.Cut(true)
		r.wantErr(h.Apply(r.ctx(), ha.Put("probe", nil, 99)), ha.ErrUnavailable, ha.ErrUnknown)
		a.Cut(false)
		r.alive(h)
	}
	if other := r.leadWithin(100*time.Millisecond, b); other != nil {
		r.Fatalf("b leads epoch %d", other.Epoch())
	}
}

func suspensionEnds(r *run) {
	a := r.contend("a", Options{EndOnSuspended: true})
	h := r.lead(a)
	a.Cut(true)
	r.over(h, ha.ErrSuspended)
	a.Cut(false)
	next := r.lead(a) // with the same latch
	if next.Epoch() <= h.Epoch() {
		r.Fatalf("epoch %d after %d", next.Epoch(), h.Epoch())
	}
	r.alive(next)
}

func lease(r *run) {
	a := r.contend("a", Options{})
	h := r.lead(a)
	b := r.contend("b", Options{})
	a.Cut(true)
	start := time.Now()
	r.over(h, ha.ErrLeaseExpired)
	took := time.Since(start)
	r.Logf("cut to ended: %v", took)
	if took > r.cluster.Lease+time.Second/2 {
		r.Errorf("the term outlived its lease of %v: %v", r.cluster.Lease, took)
	}
	now := r.lead(b)
	r.alive(now)
	a.Cut(false)
	now.Resign()
	r.alive(r.lead(a, b))
}

func waits(r *run) {
	a := r.contend("a", Options{})
	h := r.lead(a)
	r.must(h.Settle(r.ctx(), ha.Create("x", []byte("1"))))
	a.Cut(true)
	updates := a.Services.Discover(r.ctx())
	var wg sync.WaitGroup
	wg.Go(func() { r.value(h, "x", "1", 0) })
	wg.Go(func() {
		if err := h.Settle(r.ctx(), ha.Create("y", []byte("2"))); err != nil {
			r.Errorf("settle over a cut: %v", err)
		}
	})
	short, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := h.Get(short, "x"); !errors.Is(err, context.DeadlineExceeded) {
		r.Errorf("get over a cut with a deadline: %v", err)
	}
	a.Cut(false)
	wg.Wait()
	r.value(h, "y", "2", 0)
	r.sighted(updates, "the service", func(s ha.Sighting) bool { return s.Err == nil })
}

func serverKilled(r *run) {
	a, b := r.contend("a", Options{}), r.idle("b", Options{})
	h := r.lead(a)
	r.must(h.Publish(r.ctx()))
	b.start()
	for i := range 3 {
		r.must(h.Settle(r.ctx(), ha.Create(fmt.Sprint("before/", i), nil)))
	}
	start := time.Now()
	r.cluster.KillServer(r.T)
	r.must(h.Settle(r.ctx(), ha.Create("after", []byte("x"))))
	r.Logf("service's leader killed to written: %v", time.Since(start))
	r.alive(h)
	r.list(h, "before", "0 1 2")
	if other := r.leadWithin(100*time.Millisecond, b); other != nil {
		r.Fatalf("b leads epoch %d", other.Epoch())
	}
}

func lagging(r *run) {
	nodes := []*node{r.contend("a", Options{}), r.contend("b", Options{}), r.contend("c", Options{})}
	h := r.lead(nodes...)
	r.must(h.Settle(r.ctx(), ha.Create("n", []byte("0"))))
	r.cluster.Lag(r.T, true)
	for i := range 9 {
		r.must(h.Settle(r.ctx(), ha.Put("n", []byte(fmt.Sprint(i+1)), int64(i))))
		h.Resign()
		h = r.lead(nodes...)
		r.value(h, "n", fmt.Sprint(i+1), int64(i+1))
	}
	r.cluster.Lag(r.T, false)
	r.alive(h)
}

func otherCluster(r *run) {
	a := r.contend("a", Options{})
	h := r.lead(a)
	r.must(h.Settle(r.ctx(), ha.Create("x", []byte("theirs"))))
	stranger := r.idle("stranger", Options{})
	stranger.me.Cluster = "0123456789abcdef0123456789abcdef"
	err := stranger.Services.Lead(r.ctx(), stranger.me, func(ha.Term) { r.Error("served another cluster") })
	r.wantErr(err, ha.ErrOtherCluster)
	for _, name := range []string{stranger.me.Cluster, h.ClusterIncarnation()} {
		if !strings.Contains(err.Error(), name) {
			r.Errorf("the error does not name %s: %v", name, err)
		}
	}
	r.alive(h)
	r.value(h, "x", "theirs", 0)
	friend := r.idle("friend", Options{})
	friend.me.Cluster = h.ClusterIncarnation()
	friend.start()
	h.Resign()
	r.alive(r.lead(a, friend))
}

func wiped(r *run) {
	a := r.contend("a", Options{})
	h := r.lead(a)
	r.must(h.Settle(r.ctx(), ha.Create("x", nil)))
	r.cluster.Wipe(r.T)
	r.over(h, ha.ErrFenced, ha.ErrSessionLost, ha.ErrLeaseExpired) // whatever it notices first
	select {
	case err := <-a.ended:
		r.wantErr(err, ha.ErrOtherCluster)
	case <-time.After(patience):
		r.Fatal("Lead goes on although the state is gone")
	}
	b := r.contend("b", Options{}) // one that knows no cluster begins a new one
	if now := r.lead(b); now.ClusterIncarnation() == h.ClusterIncarnation() {
		r.Fatal("a new cluster has the old one's incarnation")
	}
}

// churn: every effective write appends an entry that names its epoch and writer. In the service's total order the epochs must
// never go back, and one epoch has one writer.
func churn(r *run) {
	const writes = 12
	seed := uint64(time.Now().UnixNano())
	r.Logf("seed %d", seed)
	ctx, cancel := context.WithCancel(r.ctx())
	var wg sync.WaitGroup
	var stopping sync.Once
	finish := make(chan struct{})
	target := 5 * writes
	for i := range 5 {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		p := r.cluster.Open(r.T, Options{})
		me := ha.Contender{Incarnation: ha.NewIncarnation(), RPCAddress: fmt.Sprintf("p%d:1", i)}
		wg.Go(func() {
			err := p.Services.Lead(ctx, me, func(t ha.Term) {
				r.granted(t, me.Incarnation)
				for range 1 + rng.IntN(writes) {
					names, err := t.List(ctx, "log")
					if err != nil {
						return
					}
					if len(names) >= target {
						stopping.Do(func() { close(finish) })
						return
					}
					next := fmt.Sprintf("log/%06d", len(names))
					entry := fmt.Sprintf("%d %s", t.Epoch(), me.Incarnation)
					if err := t.Settle(ctx, ha.Create(next, []byte(entry))); err != nil {
						if t.Context().Err() == nil && ctx.Err() == nil {
							r.Errorf("epoch %d lives but cannot write: %v", t.Epoch(), err)
						}
						return
					}
				}
				switch rng.IntN(3) {
				case 0:
					t.Resign()
				case 1:
					if p.Expire != nil {
						p.Expire(r.T)
						<-t.Context().Done()
					}
				}
			})
			if err != nil {
				r.Errorf("lead: %v", err)
			}
		})
	}
	select {
	case <-finish:
	case <-ctx.Done():
		r.Error("the churn does not get on")
	}
	cancel()
	wg.Wait()
	h := r.lead(r.contend("judge", Options{}))
	names, err := h.List(r.ctx(), "log")
	r.must(err)
	var last ha.Epoch
	terms := 0
	writer := ""
	for i, name := range names {
		if n, err := strconv.Atoi(name); err != nil || n != i {
			r.Fatalf("entry %d is named %s", i, name)
		}
		v, err := h.Get(r.ctx(), "log/"+name)
		r.must(err)
		var epoch ha.Epoch
		var by string
		if _, err := fmt.Sscan(string(v.Data), &epoch, &by); err != nil {
			r.Fatalf("entry %s: %q: %v", name, v.Data, err)
		}
		switch {
		case epoch < last:
			r.Fatalf("entry %s of epoch %d after one of epoch %d", name, epoch, last)
		case epoch == last && by != writer:
			r.Fatalf("epoch %d has two writers", epoch)
		case epoch > last:
			terms++
		}
		last, writer = epoch, by
	}
	r.Logf("%d writes in %d epochs, the last is %d", len(names), terms, last)
	if len(names) < target || terms < 3 {
		r.Errorf("too little happened: %d writes in %d epochs", len(names), terms)
	}
}

func closed(r *run) {
	n := r.contend("a", Options{})
	h := r.lead(n)
	updates := n.Services.Discover(context.Background())
	r.must(n.Services.Close())
	r.over(h, ha.ErrStopped)
	<-n.ended
	for range updates { // closed
	}
	r.must(n.Services.Close())
	r.wantErr(n.Services.Lead(r.ctx(), n.me, func(ha.Term) { r.Error("served after Close") }), ha.ErrClosed)
	if _, open := <-n.Services.Discover(r.ctx()); open {
		r.Error("discovery goes on after Close")
	}
	r.alive(r.lead(r.contend("b", Options{})))
}
