package flow

import (
	"reflect"
	"time"
)

// Windowed is a keyed stream cut into windows.
type Windowed[K comparable, T any] struct {
	keyed  Keyed[K, T]
	window Window
	at     position
}

// Window cuts the stream of each key into windows.
func (s Keyed[K, T]) Window(w Window) Windowed[K, T] {
	return Windowed[K, T]{keyed: s, window: w, at: caller()}
}

// Window says which records belong together.
type Window struct {
	kind   windowKind
	size   time.Duration
	offset time.Duration
}

type windowKind uint8

const (
	noWindow windowKind = iota
	tumbling
	global
)

// Tumbling windows have a fixed size and do not overlap. They begin at multiples of it since 1970, UTC.
func Tumbling(size time.Duration) Window { return Window{kind: tumbling, size: size} }

// Global is one window of all records; its result comes when the input ends. It needs no event time.
func Global() Window { return Window{kind: global} }

// Offset shifts where windows begin: Tumbling(24*time.Hour).Offset(-8*time.Hour) are days in UTC+8.
func (w Window) Offset(d time.Duration) Window {
	w.offset = d
	return w
}

// check says what is wrong with a window over a stream that has event time, or not.
func (w Window) check(times bool) string {
	switch {
	case w.kind == noWindow:
		return "the zero Window: use Tumbling or Global"
	case w.kind == global && w.offset != 0:
		return sprintf("Global().Offset(%v): there is only one window", w.offset)
	case w.kind == tumbling && w.size <= 0:
		return sprintf("Tumbling(%v): a window's size is above 0", w.size)
	case w.kind == tumbling && (w.offset <= -w.size || w.offset >= w.size):
		return sprintf("Tumbling(%v).Offset(%v): an offset is less than the size", w.size, w.offset)
	case w.kind == tumbling && !times:
		return "its windows are of event time, and no EventTime is upstream of all its inputs: say what time a record happened at by EventTime, right behind the source"
	}
	return ""
}

// Aggregator folds records. Merge is required: it makes pre-aggregation before the exchange, shared slices and session merging automatic.
type Aggregator[T, A, R any] struct {
	New    func() A // nil: the zero value; Max and Min need it
	Add    func(a *A, v T)
	Merge  func(a *A, b *A)
	Result func(a *A) R
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

// Pane is the result of one window of one key; Start and End are UTC, End exclusive. Those of a Global window are zero.
type Pane[K comparable, R any] struct {
	Key        K
	Start, End time.Time
	Value      R
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
		Result: func(a *int64) int64 { return *a },
	}
}

// Sum adds up what f says of each record.
func Sum[T any, N Number](f func(T) N) Aggregator[T, N, N] {
	return Aggregator[T, N, N]{
		Add:    func(a *N, v T) { *a += f(v) },
		Merge:  func(a, b *N) { *a += *b },
		Result: func(a *N) N { return *a },
	}
}

// Max is the greatest of what f says of each record.
func Max[T any, N Number](f func(T) N) Aggregator[T, N, N] {
	lowest := lowestOf[N]()
	return Aggregator[T, N, N]{
		New:    func() N { return lowest },
		Add:    func(a *N, v T) { *a = max(*a, f(v)) },
		Merge:  func(a, b *N) { *a = max(*a, *b) },
		Result: func(a *N) N { return *a },
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

// Both runs two aggregators over the same records.
func Both[T, A, B, R, S any](a Aggregator[T, A, R], b Aggregator[T, B, S]) Aggregator[T, Pair[A, B], Pair[R, S]] {
	both := Aggregator[T, Pair[A, B], Pair[R, S]]{}
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
