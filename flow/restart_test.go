package flow_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/internal/worker/local"
)

// restarting is a job that fails once and is restored from a checkpoint: every source that halves makes of it gives the first half of each split
// that it has begun, waits until a checkpoint is complete that covers those halves, and then one reader fails.
type restarting struct {
	mu        sync.Mutex
	commits   int         // by the sinks
	values    int         // in them
	waiting   map[any]int // splits that have given their first half, in a checkpoint: how many commits there were
	begun     map[any]bool
	failed    bool
	committed map[string]bool
}

var errPlanned = errors.New("planned failure")

// covered reports whether all first halves are in a completed checkpoint. A commit that begins after the position was taken may be that of an
// earlier checkpoint; the second is not.
func (r *restarting) covered() bool {
	for split := range r.begun {
		if before, ok := r.waiting[split]; !ok || r.commits < before+2 {
			return false
		}
	}
	return true
}

// halves is a source of the splits whose reading fails in the middle.
func halves[T any](r *restarting, splits ...[]T) flow.Source[T] {
	return half[T]{fixed[T](splits), r, new(int)}
}

type half[T any] struct {
	fixed[T]
	r  *restarting
	id *int // tells sources apart
}

func (s half[T]) Reader(t flow.Task, split []byte) (flow.Reader[T], error) {
	in, err := s.fixed.Reader(t, split)
	if err != nil {
		return nil, err
	}
	h := &halfReader[T]{fixedReader: in.(*fixedReader[T]), r: s.r, id: s.id}
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	s.r.begun[splitOf{h.id, h.split}] = true
	return h, nil
}

type halfReader[T any] struct {
	*fixedReader[T]
	r  *restarting
	id *int
}

type splitOf struct {
	id    *int
	split int
}

func (h *halfReader[T]) Read(dst []T) (int, flow.Next, error) {
	middle := len(h.values) / 2
	if h.at < middle {
		n := copy(dst, h.values[h.at:middle])
		h.at += n
		return n, flow.Again, nil
	}
	h.r.mu.Lock()
	defer h.r.mu.Unlock()
	switch {
	case h.r.failed:
		return h.fixedReader.Read(dst)
	case h.r.covered():
		h.r.failed = true
		return 0, flow.Again, errPlanned
	}
	return 0, flow.WaitUntil(time.Now().Add(time.Millisecond)), nil
}

func (h *halfReader[T]) Position() []byte {
	h.r.mu.Lock()
	defer h.r.mu.Unlock()
	if at := (splitOf{h.id, h.split}); h.at >= len(h.values)/2 {
		if _, ok := h.r.waiting[at]; !ok {
			h.r.waiting[at] = h.r.commits
		}
	}
	return h.fixedReader.Position()
}

// exactly is a sink whose records are seen once each: with a completed checkpoint.
type exactly[T any] struct {
	r      *restarting
	values *[]T
}

func (s exactly[T]) Writer(t flow.Task) (flow.Writer[T], error) {
	return &exactWriter[T]{s: s, task: t}, nil
}

type exactWriter[T any] struct {
	s      exactly[T]
	task   flow.Task
	values []T
	n      int
}

// kept is what transactions hold, of all generations.
var kept sync.Map

func (w *exactWriter[T]) Write(values []T) error {
	w.values = append(w.values, values...)
	return nil
}

func (w *exactWriter[T]) Prepare() (func(context.Context) ([]byte, error), error) {
	w.n++
	name := fmt.Sprintf("%s %s %d %v %d", w.task.JobID(), w.task.Operator(), w.task.Subtask(), w.task.Generation(), w.n)
	kept.Store(name, w.values)
	w.values = nil
	return func(context.Context) ([]byte, error) { return []byte(name), nil }, nil
}

func (w *exactWriter[T]) Commit(_ context.Context, transaction []byte) error {
	values, ok := kept.Load(string(transaction))
	w.s.r.mu.Lock()
	defer w.s.r.mu.Unlock()
	if w.s.r.committed[string(transaction)] {
		return nil
	}
	if !ok {
		return flow.Permanent(fmt.Errorf("transaction %s was never prepared", transaction))
	}
	w.s.r.committed[string(transaction)] = true
	w.s.r.commits++
	w.s.r.values += len(values.([]T))
	*w.s.values = append(*w.s.values, values.([]T)...)
	return nil
}

func (w *exactWriter[T]) Recover(context.Context, [][]byte) error { return nil }
func (w *exactWriter[T]) Close() error                            { return nil }

// restarted runs a job that ends in one sink, which fails once on the way, and sorts what came to the sink.
func restarted[T cmp.Ordered](t *testing.T, build func(*flow.Job, *restarting) flow.Stream[T]) (got []T) {
	t.Helper()
	r := &restarting{waiting: map[any]int{}, begun: map[any]bool{}, committed: map[string]bool{}}
	g, err := flow.Build("test", 2, func(j *flow.Job) error {
		j.Checkpoints(5 * time.Millisecond)
		flow.To(build(j, r), "sink", flow.Sink[T](exactly[T]{r, &got}), flow.Parallelism(1))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	g.Job.Restart = &thalwegv1.RestartOptions{Strategy: "exponential-delay"}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := local.Run(ctx, g, local.Options{}); err != nil {
		t.Fatal(err)
	}
	if !r.failed {
		t.Error("the job did not fail as planned")
	}
	slices.Sort(got)
	return got
}

// The frame of these tests itself: every record is there once.
func TestRestart(t *testing.T) {
	got := restarted(t, func(j *flow.Job, r *restarting) flow.Stream[int] {
		a := flow.From(j, "a", halves(r, numbers(0, 3000), numbers(3000, 4000)))
		b := flow.From(j, "b", halves(r, numbers(4000, 9000)))
		return a.Union(b)
	})
	equal(t, got, numbers(0, 9000))
}
