package hatest

import (
	"bytes"
	"fmt"
	"strings"
	"sync"

	"github.com/thalweg-io/thalweg/internal/ha"
)

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
