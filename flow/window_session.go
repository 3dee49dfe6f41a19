package flow

import (
	"github.com/thalweg-io/thalweg/internal/state"
)

// sessions is the windows that records delimit.
type sessions[K comparable, T, A, R any] struct {
	*giving[K, T, A, R]
	all    *state.Sessions[K, A]
	values []T // of the batch in hand
	times  []int64
}

func newSessions[K comparable, T, A, R any](w Window, k *state.Keyed[K], g *giving[K, T, A, R]) (*sessions[K, T, A, R], error) {
	o := &sessions[K, T, A, R]{giving: g}
	var err error
	o.all, err = state.NewSessions(k, "window", int64(w.size), g.lateness, state.Folding[K, A]{
		Add:   func(i int, a *A, fresh bool) { g.fold(o.values[i], a, fresh) },
		Merge: g.a.Merge,
		Late:  func(i int) error { return g.late(o.values[i], o.times[i]) },
		Fire:  func(key K, _ uint64, s *state.Session[A]) error { return g.give(key, s.Begin, s.End, &s.A) },
	})
	if err == nil {
		o.all.Reached = g.reached.of
	}
	return o, err
}

func (o *sessions[K, T, A, R]) add(values []T, times []int64, keys []K, hashes []uint64) error {
	defer o.counted()
	o.values, o.times = values, times
	err := o.all.Add(times, keys, hashes)
	o.values, o.times = nil, nil
	return err
}

func (o *sessions[K, T, A, R]) advance(at int64) error { return o.all.Advance(at) }
func (o *sessions[K, T, A, R]) next() (int64, bool)    { return o.all.Next() }
func (o *sessions[K, T, A, R]) resume() error          { return o.all.Resume(o.reached.now) }
