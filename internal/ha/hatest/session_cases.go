package hatest

import (
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

func expiry(r *run) {
	a := r.contend("a", Options{})
	h := r.lead(a)
	r.must(h.Publish(r.ctx()))
	a.Expire(r.T)
	r.over(h, ha.ErrSessionLost)
	r.wantErr(h.Settle(r.ctx(), ha.Create("x", nil)), ha.ErrSessionLost)
	next := r.leadAfter(h.Epoch(), a) // on a new session, with a new latch
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
	next := r.leadAfter(h.Epoch(), a) // with the same latch
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
