package flow_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/internal/worker/local"
)

// forbidden is a transactional sink whose commits fail for good.
type forbidden struct{}

func (forbidden) Writer(flow.Task) (flow.Writer[int], error) { return forbidden{}, nil }
func (forbidden) Write([]int) error                          { return nil }
func (forbidden) Close() error                               { return nil }
func (forbidden) Recover(context.Context, [][]byte) error    { return nil }
func (forbidden) Commit(context.Context, []byte) error {
	return flow.Permanent(errors.New("forbidden"))
}
func (forbidden) Prepare() (func(context.Context) ([]byte, error), error) {
	return func(context.Context) ([]byte, error) { return []byte("t"), nil }, nil
}

// A commit that fails for good fails its task by itself. Here nothing calls the sink any more: the input is over, and the next checkpoint an hour away.
func TestFailedCommitFailsTheTask(t *testing.T) {
	for name, o := range map[string][]flow.Option{"chained": {flow.Parallelism(1)}, "task": {flow.Parallelism(1), flow.NoChain()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := run(t, func(j *flow.Job) {
				j.Checkpoints(time.Hour)
				flow.To(flow.From(j, "in", of(numbers(0, 10)), flow.Parallelism(1)), "out", flow.Sink[int](forbidden{}), o...)
			})
			if err == nil || !strings.Contains(err.Error(), "sink out: commit: forbidden") {
				t.Errorf("the job ended with: %v", err)
			}
		})
	}
}

// leaving is a transactional sink that notes what becomes of its transactions. Where stalls is set, the second cannot be prepared before the task ends.
type leaving struct {
	stalls bool
	mu     sync.Mutex
	fate   map[string]string // of each transaction
	now    chan string       // what has just happened
	n      int
}

func (s *leaving) Writer(flow.Task) (flow.Writer[int], error) { return s, nil }
func (s *leaving) Write([]int) error                          { return nil }
func (s *leaving) Close() error                               { return nil }
func (s *leaving) Recover(context.Context, [][]byte) error    { return nil }

func (s *leaving) set(transaction, fate string) {
	s.mu.Lock()
	s.fate[transaction] = fate
	s.mu.Unlock()
	select {
	case s.now <- transaction + " " + fate:
	default:
	}
}

func (s *leaving) Prepare() (func(context.Context) ([]byte, error), error) {
	s.n++
	n := s.n
	return func(ctx context.Context) ([]byte, error) {
		if s.stalls && n > 1 {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		name := fmt.Sprint("t", n)
		s.set(name, "prepared")
		return []byte(name), nil
	}, nil
}

func (s *leaving) Commit(_ context.Context, t []byte) error {
	s.set(string(t), "committed")
	return nil
}

func (s *leaving) Discard(_ context.Context, ts [][]byte) error {
	for _, t := range ts {
		s.set(string(t), "discarded")
	}
	return nil
}

// A cancelled job leaves nothing behind that nobody will commit: here a transaction that was prepared, and acknowledged, for a checkpoint that another
// subtask keeps from completing.
func TestCancelledJobDiscards(t *testing.T) {
	a := &leaving{fate: map[string]string{}, now: make(chan string, 100)}
	b := &leaving{fate: map[string]string{}, now: make(chan string, 100), stalls: true}
	g, err := flow.Build("test", 1, func(j *flow.Job) error {
		j.Checkpoints(5 * time.Millisecond)
		in := flow.From(j, "in", flow.Source[int](gated[int]{fixed[int]{numbers(0, 10)}, 1, func() bool { return false }}))
		flow.To(in, "a", flow.Sink[int](a), flow.NoChain())
		flow.To(in, "b", flow.Sink[int](b), flow.NoChain())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go func() {
		for prepared, committed := false, false; !prepared || !committed; {
			switch <-a.now {
			case "t1 committed":
				committed = true
			case "t2 prepared":
				prepared = true
			}
		}
		cancel()
	}()
	if err := local.Run(ctx, g, local.Options{}); !errors.Is(err, context.Canceled) {
		t.Fatalf("the job ended with: %v", err)
	}
	for name, fate := range a.fate {
		want := "discarded"
		if name == "t1" {
			want = "committed"
		}
		if fate != want {
			t.Errorf("transaction %s is %s, want %s", name, fate, want)
		}
	}
	if len(a.fate) < 2 {
		t.Errorf("there were only %v", a.fate)
	}
}

// opening is a sink that says which of its writers were closed, in which order.
type opening struct {
	name   string
	closed *[]string
	mu     *sync.Mutex
	panics bool // when it is closed
}

func (s opening) Writer(flow.Task) (flow.Writer[int], error) { return s, nil }
func (s opening) Write([]int) error                          { return nil }
func (s opening) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	*s.closed = append(*s.closed, s.name)
	if s.panics {
		panic("cannot be closed")
	}
	return nil
}

type unopened struct{ panics bool }

func (s unopened) Writer(flow.Task) (flow.Writer[int], error) {
	if s.panics {
		panic("cannot be opened")
	}
	return nil, errors.New("cannot be opened")
}

// What of a chain was made before an operator that cannot be is closed, the last first, whatever becomes of each.
func TestHalfAChainIsClosed(t *testing.T) {
	for _, panics := range []bool{false, true} {
		var closed []string
		var mu sync.Mutex
		g, err := flow.Build("test", 1, func(j *flow.Job) error {
			s := flow.From(j, "in", of(numbers(0, 10)))
			for _, name := range []string{"a", "b", "c"} {
				counted := flow.Rolling(flow.KeyBy(s, func(i int) int { return i }), "count "+name, flow.Count[int]())
				values := flow.Map(counted, "value "+name, func(e flow.Entry[int, int64]) int { return e.Key })
				flow.To(values, name, flow.Sink[int](opening{name, &closed, &mu, name == "b"}))
			}
			flow.To(s, "d", flow.Sink[int](unopened{panics}))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		err = local.Run(t.Context(), g, local.Options{})
		if err == nil || !strings.Contains(err.Error(), "cannot be opened") {
			t.Errorf("the job ended with: %v", err)
		}
		if !panics && !strings.Contains(err.Error(), "panic in Close of b: cannot be closed") {
			t.Errorf("nothing is said of what could not be closed: %v", err)
		}
		mu.Lock()
		if want := []string{"c", "b", "a"}; !slices.Equal(closed, want) {
			t.Errorf("closed were %q, want %q", closed, want)
		}
		mu.Unlock()
	}
}
