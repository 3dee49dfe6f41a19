package flow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/thalweg-io/thalweg/internal/storage"
)

// transactions is a Transactional whose storage can be broken.
type transactions struct {
	mu        sync.Mutex
	refuse    error // of Commit
	refusals  int
	committed []string
}

func (x *transactions) Prepare() (func(context.Context) ([]byte, error), error) { return nil, nil }
func (x *transactions) Recover(context.Context, [][]byte) error                 { return nil }
func (x *transactions) Commit(_ context.Context, t []byte) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.refusals > 0 {
		x.refusals--
		return x.refuse
	}
	x.committed = append(x.committed, string(t))
	return nil
}

type task struct{ ctx context.Context }

func (t task) Context() context.Context                      { return t.ctx }
func (t task) JobID() string                                 { return "" }
func (t task) JobName() string                               { return "" }
func (t task) Operator() string                              { return "sink" }
func (t task) Subtask() int                                  { return 0 }
func (t task) Parallelism() int                              { return 1 }
func (t task) Generation() Generation                        { return Generation{1, 1} }
func (t task) Logger() *slog.Logger                          { return slog.New(slog.DiscardHandler) }
func (t task) FileSystem(string) (storage.FileSystem, error) { return nil, errors.New("none") }
func (t task) TempDir() string                               { return "" }
func (t task) Wake()                                         {}

func newTestCommitter(t *testing.T, x *transactions, fail func(error)) (*committer, chan int64) {
	confirmed := make(chan int64, 100)
	ctx, cancel := context.WithCancel(context.Background())
	c := newCommitter(task{ctx}, x, func(id int64) { confirmed <- id }, fail, func(int64) bool { return true })
	c.ctx, c.cancel = ctx, cancel
	c.ended = make(chan struct{})
	go c.run()
	t.Cleanup(c.close)
	return c, confirmed
}

func unfinished(c *committer, upto int64, finish func(context.Context) ([]byte, error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.unfinished = append(c.mu.unfinished, &transaction{upto: upto, finish: finish})
}

func names(c *committer, id int64) (names []string) {
	for _, e := range c.entries(id) {
		names = append(names, string(e[1:])) // small ids take one byte
	}
	return names
}

// An aborted checkpoint's transaction is in every later snapshot, and is committed with the next completed one, in order.
func TestAbortedTransactionsAreCarriedForward(t *testing.T) {
	x := &transactions{}
	c, confirmed := newTestCommitter(t, x, func(err error) { t.Error(err) })
	broken := true
	for id := int64(1); id <= 4; id++ {
		unfinished(c, id, func(context.Context) ([]byte, error) {
			if broken {
				return nil, storage.ErrUnavailable
			}
			return []byte(fmt.Sprint("t", id)), nil
		})
	}
	if err := c.finish(t.Context(), 1); !errors.Is(err, storage.ErrUnavailable) {
		t.Fatalf("%v", err)
	}
	if got := names(c, 1); got != nil {
		t.Errorf("a snapshot has %q, which is not durable", got)
	}
	broken = false
	if err := c.finish(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	if got := names(c, 3); !slices.Equal(got, []string{"t1", "t2", "t3"}) {
		t.Errorf("snapshot 3 has %q", got)
	}
	if got := names(c, 2); !slices.Equal(got, []string{"t1", "t2"}) {
		t.Errorf("snapshot 2 has %q", got)
	}
	c.complete(2) // 1 was aborted, 3 is under way
	if id := <-confirmed; id != 2 {
		t.Errorf("confirmed %d", id)
	}
	if got := names(c, 3); !slices.Equal(got, []string{"t3"}) {
		t.Errorf("after the commit, snapshot 3 has %q", got)
	}
	c.complete(3)
	<-confirmed
	x.mu.Lock()
	defer x.mu.Unlock()
	if !slices.Equal(x.committed, []string{"t1", "t2", "t3"}) {
		t.Errorf("committed %q", x.committed)
	}
}

func TestCommitIsRetriedUntilItSucceeds(t *testing.T) {
	x := &transactions{refuse: storage.ErrUnavailable, refusals: 2}
	c, confirmed := newTestCommitter(t, x, func(err error) { t.Error(err) })
	unfinished(c, 1, func(context.Context) ([]byte, error) { return []byte("t"), nil })
	if err := c.finish(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	c.complete(1)
	<-confirmed
	if !slices.Equal(x.committed, []string{"t"}) {
		t.Errorf("committed %q", x.committed)
	}
}

func TestCommitThatCannotSucceedIsLoud(t *testing.T) {
	x := &transactions{refuse: Permanent(errors.New("forbidden")), refusals: 1}
	failed := make(chan error, 1)
	c, _ := newTestCommitter(t, x, func(err error) { failed <- err })
	unfinished(c, 1, func(context.Context) ([]byte, error) { return []byte("t"), nil })
	if err := c.finish(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	c.complete(1)
	if err := <-failed; err.Error() != "commit: forbidden" {
		t.Errorf("%v", err)
	}
	if got := names(c, 1); !slices.Equal(got, []string{"t"}) {
		t.Errorf("what was not committed is in no snapshot any more: %q", got)
	}
}

// discarding notes what it is told to discard.
type discarding struct {
	*transactions
	discarded []string
}

func (d *discarding) Discard(_ context.Context, ts [][]byte) error {
	for _, t := range ts {
		d.discarded = append(d.discarded, string(t))
	}
	return nil
}

// What nobody will commit is discarded at the end; what is complete, or may become so, is not.
func TestHopelessTransactionsAreDiscarded(t *testing.T) {
	d := &discarding{transactions: &transactions{}}
	ctx, cancel := context.WithCancel(context.Background())
	c := newCommitter(task{ctx}, d, func(int64) {}, func(err error) { t.Error(err) }, func(id int64) bool { return id != 2 })
	c.ctx, c.cancel, c.ended = ctx, cancel, make(chan struct{})
	go c.run()
	for id := int64(1); id <= 4; id++ {
		unfinished(c, id, func(context.Context) ([]byte, error) { return []byte(fmt.Sprint("t", id)), nil })
	}
	if err := c.finish(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	c.close()
	if !slices.Equal(d.discarded, []string{"t1", "t3"}) || len(d.committed) > 0 {
		t.Errorf("discarded are %q, committed %q", d.discarded, d.committed)
	}
}
