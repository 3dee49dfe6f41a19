package hatest

import (
	"context"
	"fmt"
	"time"

	"github.com/thalweg-io/thalweg/internal/ha"
)

func oneLeader(r *run) {
	nodes := []*node{r.contend("a", Options{}), r.contend("b", Options{}), r.contend("c", Options{})}
	var last ha.Epoch
	for range 4 {
		h := r.leadAfter(last, nodes...)
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
			h := r.leadAfter(last, n)
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
	now := r.leadAfter(old.Epoch()+1, a) // contends again, with an epoch greater than that behind its back
	r.value(now, "x", "old", 0)
	r.missing(now, "y")
}

func latchDeleted(r *run) {
	a := r.contend("a", Options{})
	old := r.lead(a)
	b := r.contend("b", Options{})
	r.cluster.DeleteLatch(r.T)
	r.over(old, ha.ErrFenced, ha.ErrSessionLost)
	now := r.leadAfter(old.Epoch(), a, b) // b, unless its latch was not there yet
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
	r.leadAfter(h.Epoch(), a)
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
