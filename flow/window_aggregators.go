package flow

import (
	"math"
	"reflect"

	"github.com/thalweg-io/thalweg/internal/state"
)

var negativeInfinity = math.Inf(-1)

// Aggregator folds records. Merge is required: it makes pre-aggregation before the exchange, shared slices and session merging automatic.
//
// Merge folds b, which is of later records as far as their order is known, into a. Neither may be kept.
type Aggregator[T, A, R any] struct {
	New    func() A // nil: the zero value; Max and Min need it
	Add    func(a *A, v T)
	Merge  func(a *A, b *A)
	Result func(a *A) R

	// What the package's own aggregators do with the records of a run at once, where a call per record would be most of the cost; nil: Add, and
	// Add with Result.
	fold  func(run *state.Slots[A], in []T)
	ones  func(in []T, out []A) // what becomes of each of some records alone; nil: New and Add
	first func(v T) A           // what becomes of a record alone, if that is not New and Add
	// neutral: what New gives, or zero, makes no difference to what is merged into it.
	neutral bool
	roll    func(run *state.Slots[A], in []T, out []R)
}

func (a Aggregator[T, A, R]) check() string {
	switch {
	case a.Add == nil:
		return "its Aggregator has no Add"
	case a.Merge == nil:
		return "its Aggregator has no Merge, which is what lets partial results be combined"
	case a.Result == nil:
		return "its Aggregator has no Result"
	}
	return ""
}

// Number is what can be added and compared.
type Number interface {
	~int | ~int32 | ~int64 | ~uint32 | ~uint64 | ~float64
}

// Pair holds two of something.
type Pair[A, B any] struct {
	First  A
	Second B
}

// Count counts records.
func Count[T any]() Aggregator[T, int64, int64] {
	return Aggregator[T, int64, int64]{
		Add:    func(a *int64, _ T) { *a++ },
		Merge:  func(a, b *int64) { *a += *b },
		Result: func(a *int64) int64 { return *a }, neutral: true,
		fold: func(run *state.Slots[int64], in []T) {
			for i := range in {
				*run.At(i)++
			}
		},
		ones: func(in []T, out []int64) {
			for i := range out[:len(in)] {
				out[i] = 1
			}
		},
		roll: func(run *state.Slots[int64], in []T, out []int64) {
			out = out[:len(in)]
			for i := range in {
				a := run.At(i)
				*a++
				out[i] = *a
			}
		},
	}
}

// Sum adds up what f says of each record.
func Sum[T any, N Number](f func(T) N) Aggregator[T, N, N] {
	return Aggregator[T, N, N]{
		Add:    func(a *N, v T) { *a += f(v) },
		Merge:  func(a, b *N) { *a += *b },
		Result: func(a *N) N { return *a }, neutral: true,
		fold: func(run *state.Slots[N], in []T) {
			for i, v := range in {
				*run.At(i) += f(v)
			}
		},
		ones: onesOf(f),
		roll: func(run *state.Slots[N], in []T, out []N) {
			out = out[:len(in)]
			for i, v := range in {
				a := run.At(i)
				*a += f(v)
				out[i] = *a
			}
		},
	}
}

// onesOf makes what f says of each record.
func onesOf[T any, N Number](f func(T) N) func(in []T, out []N) {
	return func(in []T, out []N) {
		out = out[:len(in)]
		for i, v := range in {
			out[i] = f(v)
		}
	}
}

// Max is the greatest of what f says of each record.
func Max[T any, N Number](f func(T) N) Aggregator[T, N, N] {
	lowest := lowestOf[N]()
	return Aggregator[T, N, N]{
		New:    func() N { return lowest },
		Add:    func(a *N, v T) { *a = max(*a, f(v)) },
		Merge:  func(a, b *N) { *a = max(*a, *b) },
		Result: func(a *N) N { return *a }, neutral: true,
		ones: onesOf(f),
	}
}

// Min is the least of what f says of each record.
func Min[T any, N Number](f func(T) N) Aggregator[T, N, N] {
	highest := highestOf[N]()
	return Aggregator[T, N, N]{
		New:    func() N { return highest },
		Add:    func(a *N, v T) { *a = min(*a, f(v)) },
		Merge:  func(a, b *N) { *a = min(*a, *b) },
		Result: func(a *N) N { return *a }, neutral: true,
		ones: onesOf(f),
	}
}

// Collect keeps all records of a window: with AggregateThen, what needs to see them together. Their order is that of arrival within one slice of a
// sliding window, and of time between slices. A window's list is decoded and encoded again with each record, so it is for windows of few records.
func Collect[T any]() Aggregator[T, []T, []T] {
	return Aggregator[T, []T, []T]{
		Add:    func(a *[]T, v T) { *a = append(*a, v) },
		Merge:  func(a, b *[]T) { *a = append(*a, *b...) },
		Result: func(a *[]T) []T { return *a },
	}
}

// Reduced is what Reduce keeps.
type Reduced[T any] struct {
	Value T
	Some  bool
}

// reducer folds records by a function of two, the earlier first.
func reducer[T any](f func(a, b T) T) Aggregator[T, Reduced[T], T] {
	add := func(a *Reduced[T], v T) {
		if a.Some {
			v = f(a.Value, v)
		}
		*a = Reduced[T]{v, true}
	}
	return Aggregator[T, Reduced[T], T]{
		Add: add,
		Merge: func(a, b *Reduced[T]) {
			if b.Some {
				add(a, b.Value)
			}
		},
		Result: func(a *Reduced[T]) T { return a.Value },
	}
}

// lowestOf is the number that none is below.
func lowestOf[N Number]() N {
	var n N
	v := reflect.ValueOf(&n).Elem()
	switch {
	case v.CanInt():
		v.SetInt(-1 << (v.Type().Bits() - 1))
	case v.CanFloat():
		v.SetFloat(negativeInfinity)
	}
	return n
}

// highestOf is the number that none is above.
func highestOf[N Number]() N {
	var n N
	v := reflect.ValueOf(&n).Elem()
	switch {
	case v.CanInt():
		v.SetInt(1<<(v.Type().Bits()-1) - 1)
	case v.CanUint():
		v.SetUint(math.MaxUint64 >> (64 - v.Type().Bits()))
	case v.CanFloat():
		v.SetFloat(math.Inf(1))
	}
	return n
}

// Both runs two aggregators over the same records.
func Both[T, A, B, R, S any](a Aggregator[T, A, R], b Aggregator[T, B, S]) Aggregator[T, Pair[A, B], Pair[R, S]] {
	both := Aggregator[T, Pair[A, B], Pair[R, S]]{neutral: a.neutral && b.neutral}
	if a.check() != "" || b.check() != "" {
		return both // which is as incomplete, and reported where it is used
	}
	if a.New != nil || b.New != nil {
		both.New = func() (p Pair[A, B]) {
			if a.New != nil {
				p.First = a.New()
			}
			if b.New != nil {
				p.Second = b.New()
			}
			return p
		}
	}
	both.Add = func(p *Pair[A, B], v T) { a.Add(&p.First, v); b.Add(&p.Second, v) }
	both.Merge = func(p, q *Pair[A, B]) { a.Merge(&p.First, &q.First); b.Merge(&p.Second, &q.Second) }
	both.Result = func(p *Pair[A, B]) Pair[R, S] { return Pair[R, S]{a.Result(&p.First), b.Result(&p.Second)} }
	return both
}
