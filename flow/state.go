package flow

import (
	"fmt"
	"iter"

	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/state"
)

// List is any number of elements of the key in hand, in the order in which they were appended.
type List[V any] struct{ in listOf[V] }

// listOf is a *state.List without its key type.
type listOf[V any] interface {
	Append(V)
	At(int) (V, bool)
	Len() int
	Clear()
}

// NewList declares a list per key.
func NewList[V any, K comparable](op *Op[K], name string, o ...StateOption) *List[V] {
	c, err := codec.For[V]()
	if err != nil {
		op.problem("state %q: %w", name, err)
		return &List[V]{}
	}
	s, schema := op.options(name, "list of "+c.Schema().String(), o)
	op.declare(name, schema)
	if op.keyed == nil {
		return &List[V]{}
	}
	var in listOf[V]
	if s.ttl != nil {
		in, err = state.NewAgingList[K, V](op.keyed, name, *s.ttl)
	} else {
		in, err = state.NewList[K, V](op.keyed, name)
	}
	if err != nil {
		op.problem("state %q: %w", name, err)
		return &List[V]{}
	}
	return &List[V]{in: in}
}

// Append adds elements at the end. It keeps copies.
func (l *List[V]) Append(xs ...V) {
	for i := range xs { // one by one: what an interface takes as a slice would be allocated by each caller
		l.in.Append(xs[i])
	}
}

// All gives copies of the elements: those that are there when it begins, but for what is cleared meanwhile.
func (l *List[V]) All() iter.Seq[V] {
	return func(yield func(V) bool) { // inlined into a loop over it, which then allocates nothing
		for i := range l.in.Len() {
			if v, ok := l.in.At(i); !ok || !yield(v) {
				return
			}
		}
	}
}

// Len is the number of elements.
func (l *List[V]) Len() int { return l.in.Len() }

// Clear removes all of them.
func (l *List[V]) Clear() { l.in.Clear() }

// MapState is a map of the key in hand.
type MapState[MK comparable, V any] struct{ in mapOf[MK, V] }

// mapOf is a *state.Map without its key type.
type mapOf[MK comparable, V any] interface {
	Get(MK) (V, bool)
	Put(MK, V)
	Update(MK, func(*V))
	Delete(MK)
	Keys() []MK
	Done([]MK)
	Len() int
	Clear()
}

// NewMapState declares a map per key. MK obeys the rule of keys: bool, integers, string, and arrays and structs of these; anything else is a build
// error naming the field.
func NewMapState[MK comparable, V any, K comparable](op *Op[K], name string, o ...StateOption) *MapState[MK, V] {
	schema, err := mapSchema[MK, V]()
	if err != nil {
		op.problem("state %q: %w", name, err)
		return &MapState[MK, V]{}
	}
	s, schema := op.options(name, schema, o)
	op.declare(name, schema)
	if op.keyed == nil {
		return &MapState[MK, V]{}
	}
	var in mapOf[MK, V]
	if s.ttl != nil {
		in, err = state.NewAgingMap[K, MK, V](op.keyed, name, *s.ttl)
	} else {
		in, err = state.NewMap[K, MK, V](op.keyed, name)
	}
	if err != nil {
		op.problem("state %q: %w", name, err)
		return &MapState[MK, V]{}
	}
	return &MapState[MK, V]{in: in}
}

func mapSchema[MK comparable, V any]() (string, error) {
	if _, err := codec.Hasher[MK](); err != nil {
		return "", fmt.Errorf("its map key: %w", err)
	}
	key, err := codec.For[MK]()
	if err != nil {
		return "", err
	}
	val, err := codec.For[V]()
	if err != nil {
		return "", err
	}
	return "map of " + key.Schema().String() + " to " + val.Schema().String(), nil
}

// Get is a copy of the value of a map key, and whether it has one.
func (m *MapState[MK, V]) Get(k MK) (V, bool) { return m.in.Get(k) }

// Put sets it.
func (m *MapState[MK, V]) Put(k MK, v V) { m.in.Put(k, v) }

// Update starts from the zero value where there is none; the pointer is valid inside f only.
func (m *MapState[MK, V]) Update(k MK, f func(*V)) { m.in.Update(k, f) }

// Delete removes it; one that is not there is no error.
func (m *MapState[MK, V]) Delete(k MK) { m.in.Delete(k) }

// All gives copies of the entries, in no order to rely on: each that is there when it begins and has not been deleted when its turn comes.
func (m *MapState[MK, V]) All() iter.Seq2[MK, V] {
	return func(yield func(MK, V) bool) { // inlined as List.All is
		names := m.in.Keys()
		for _, mk := range names {
			if v, ok := m.in.Get(mk); ok && !yield(mk, v) {
				break
			}
		}
		m.in.Done(names)
	}
}

// Len is the number of entries.
func (m *MapState[MK, V]) Len() int { return m.in.Len() }

// Clear removes all of them.
func (m *MapState[MK, V]) Clear() { m.in.Clear() }

// Reducing is a value of the key in hand into which others are folded.
type Reducing[V any] struct {
	in   *Value[V]
	hand V        // being added
	add  func(*V) // folds it in: made once, as a function that is handed on is allocated
}

// NewReducing declares a reducing value per key. The first one that is added is its beginning; fold adds each later one to it.
func NewReducing[V any, K comparable](op *Op[K], name string, fold func(a *V, v V), o ...StateOption) *Reducing[V] {
	if fold == nil {
		op.problem("state %q: it has nothing to reduce by", name)
	}
	r := &Reducing[V]{in: NewValue[V](op, name, o...)}
	r.add = func(a *V) { fold(a, r.hand) }
	return r
}

// Add folds v in.
func (r *Reducing[V]) Add(v V) {
	if _, ok := r.in.Get(); !ok {
		r.in.Set(v)
		return
	}
	r.hand = v
	r.in.Update(r.add)
	var none V
	r.hand = none
}

// Get is the value, and whether anything has been added.
func (r *Reducing[V]) Get() (V, bool) { return r.in.Get() }

// Clear removes it.
func (r *Reducing[V]) Clear() { r.in.Clear() }

// Aggregating is what an Aggregator keeps of the key in hand.
type Aggregating[T, A, R any] struct {
	in   *Value[A]
	a    Aggregator[T, A, R]
	hand T        // as in Reducing
	add  func(*A) // folds it in
}

// NewAggregating declares an aggregate per key.
func NewAggregating[T, A, R any, K comparable](op *Op[K], name string, a Aggregator[T, A, R], o ...StateOption) *Aggregating[T, A, R] {
	if p := a.check(); p != "" {
		op.problem("state %q: %s", name, p)
	}
	g := &Aggregating[T, A, R]{in: NewValue[A](op, name, o...), a: a}
	g.add = func(x *A) { g.a.Add(x, g.hand) }
	return g
}

// Add folds v in.
func (g *Aggregating[T, A, R]) Add(v T) {
	if g.a.New != nil {
		if _, ok := g.in.Get(); !ok {
			g.in.Set(g.a.New())
		}
	}
	g.hand = v
	g.in.Update(g.add)
	var none T
	g.hand = none
}

// Get is the result, and whether anything has been added.
func (g *Aggregating[T, A, R]) Get() (r R, ok bool) {
	a, ok := g.in.Get()
	if ok {
		r = g.a.Result(&a)
	}
	return r, ok
}

// Clear removes it.
func (g *Aggregating[T, A, R]) Clear() { g.in.Clear() }
