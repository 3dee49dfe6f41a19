package flowtest

import (
	"context"
	"sync"

	"github.com/thalweg-io/thalweg/flow"
)

// Sink collects what the job gives. After a Restore it has what it had at the snapshot, as a sink has whose output is transactional. It is safe for
// concurrent use.
type Sink[T any] struct {
	mu struct {
		sync.Mutex
		taken  []taken[T]
		counts map[who]int // of what each has written
		cuts   map[who]int // of that, what was before its last barrier
	}
}

// taken is a record and who wrote it; nobody: a run before a Restore.
type taken[T any] struct {
	by    who
	value T
}

// who is one subtask of an operator that writes into a sink.
type who struct {
	operator string
	subtask  int
}

// NewSink makes a sink.
func NewSink[T any](h *Harness) *Sink[T] {
	s := &Sink[T]{}
	s.reset(nil)
	h.sinks = append(h.sinks, s)
	return s
}

// All is what the sink has taken so far, in the order of its arrival; records of different subtasks arrive in any order.
func (s *Sink[T]) All() []T {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]T, len(s.mu.taken))
	for i, r := range s.mu.taken {
		all[i] = r.value
	}
	return all
}

// Len is how many records All has.
func (s *Sink[T]) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.mu.taken)
}

// collection is a Sink without its type, as the harness knows it.
type collection interface {
	// covered is what was before the barriers of a checkpoint that every subtask has come to.
	covered() any
	// reset goes back to what covered gave.
	reset(covered any)
}

func (s *Sink[T]) covered() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	var before []T
	seen := make(map[who]int)
	for _, r := range s.mu.taken {
		seen[r.by]++
		if cut, some := s.mu.cuts[r.by]; !some || seen[r.by] <= cut {
			before = append(before, r.value)
		}
	}
	return before
}

func (s *Sink[T]) reset(covered any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.taken, s.mu.counts, s.mu.cuts = nil, make(map[who]int), make(map[who]int)
	values, _ := covered.([]T) // none of a sink that is newer than the snapshot
	for _, v := range values {
		s.mu.taken = append(s.mu.taken, taken[T]{value: v})
	}
}

// Writer implements flow.Sink. It is called by the job.
func (s *Sink[T]) Writer(t flow.Task) (flow.Writer[T], error) {
	return &writer[T]{s, who{t.Operator(), t.Subtask()}}, nil
}

// writer is transactional for one reason: Prepare shows it where the barriers are.
type writer[T any] struct {
	s  *Sink[T]
	is who
}

func (w *writer[T]) Write(values []T) error {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	for _, v := range values {
		w.s.mu.taken = append(w.s.mu.taken, taken[T]{w.is, v})
	}
	w.s.mu.counts[w.is] += len(values)
	return nil
}

func (w *writer[T]) Prepare() (func(context.Context) ([]byte, error), error) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.s.mu.cuts[w.is] = w.s.mu.counts[w.is]
	return nil, nil
}

func (w *writer[T]) Commit(context.Context, []byte) error    { return nil }
func (w *writer[T]) Recover(context.Context, [][]byte) error { return nil }
func (w *writer[T]) Close() error                            { return nil }
