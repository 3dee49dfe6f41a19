package state

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
)

// recentTest is one Value of few entries for decoded values, beside a map with what it should have. Whatever memory it gives or takes is destroyed
// afterwards: nothing of what is kept may lie in it.
type recentTest[V any] struct {
	t      testing.TB
	random *rand.Rand
	most   int
	hash   func(int32) uint64
	draw   func(*rand.Rand) V
	// change changes a value in place, the same way with the same random numbers. What it leaves there of its own it gives back.
	change func(*rand.Rand, *V) any

	k    *Keyed[int32]
	v    *Value[int32, V]
	want map[int32]V

	taking, last *recentSnapshot[V]
	id           int64
}

type recentSnapshot[V any] struct {
	id    int64
	want  map[int32]V
	base  *recentSnapshot[V]
	w     *checkpoint.FileWriter
	files []checkpoint.File
}

// cloned is a copy that shares nothing, by the codec.
func cloned[V any](v V) (c V) {
	values, err := codec.For[V]()
	if err != nil {
		panic(err)
	}
	b, err := values.Append(nil, []V{v})
	if err != nil {
		panic(err)
	}
	into := make([]V, 1)
	if _, err := values.Decode(b, into); err != nil {
		panic(err)
	}
	return into[0]
}

// destroy overwrites all that can be reached from a value, in the capacity of slices too.
func destroy(v reflect.Value) {
	if !v.IsValid() {
		return
	}
	switch v.Kind() {
	case reflect.Interface:
		destroy(v.Elem())
	case reflect.Pointer:
		if !v.IsNil() {
			destroy(v.Elem())
			v.Elem().SetZero()
		}
	case reflect.Map:
		v.Clear()
	case reflect.Slice:
		v = v.Slice(0, v.Cap())
		for i := range v.Len() {
			destroy(v.Index(i))
			v.Index(i).SetZero()
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type() != reflect.TypeFor[time.Time]() {
				destroy(v.Field(i))
			}
		}
	}
}

func (x *recentTest[V]) open(files ...checkpoint.File) {
	if x.k != nil {
		x.k.Close()
	}
	var err error
	if x.k, err = NewKeyed[int32](Config{Name: "op", MaxParallelism: 4, To: 4, onHeap: x.random.IntN(2) == 0}); err != nil {
		x.t.Fatal(err)
	}
	if x.v, err = NewValue[int32, V](x.k, "v"); err != nil {
		x.t.Fatal(err)
	}
	if x.v.recent == nil {
		x.t.Fatalf("no values of type %T are kept", *new(V))
	}
	x.v.recent.most = x.most
	if files == nil {
		return
	}
	r, err := checkpoint.Open(context.Background(), nil, "mem:///job", &checkpoint.SubtaskState{Vertex: "v", Files: files})
	if err == nil {
		err = errors.Join(x.k.Restore(r, "op"), r.Close())
	}
	if err != nil {
		x.t.Fatal(err)
	}
}

func (x *recentTest[V]) seek() int32 {
	key := int32(x.random.IntN(40))
	x.k.Seek(key, x.hash(key))
	return key
}

func (x *recentTest[V]) compare(what string, key int32, got V) {
	x.t.Helper()
	if !reflect.DeepEqual(got, x.want[key]) {
		x.t.Fatalf("%s of %d: %+v, want %+v", what, key, got, x.want[key])
	}
}

func (x *recentTest[V]) get(key int32) {
	x.t.Helper()
	got, ok := x.v.Get()
	if _, is := x.want[key]; ok != is {
		x.t.Fatalf("a value of %d: %v, want %v", key, ok, is)
	}
	x.compare("value", key, got)
	destroy(reflect.ValueOf(got))
}

// updater changes values in place, and its own copies the same way.
func (x *recentTest[V]) updater() (f func(key int32, p *V), after func()) {
	var left []any
	return func(key int32, p *V) {
		x.t.Helper()
		x.compare("update", key, *p)
		a, b := x.random.Uint64(), x.random.Uint64()
		want := cloned(x.want[key])
		x.change(rand.New(rand.NewPCG(a, b)), &want)
		x.want[key] = cloned(want)
		left = append(left, x.change(rand.New(rand.NewPCG(a, b)), p))
	}, func() { destroy(reflect.ValueOf(left)) }
}

// batch takes each key of a batch in hand.
func (x *recentTest[V]) batch() {
	keys := make([]int32, 1+x.random.IntN(300))
	hashes := make([]uint64, len(keys))
	span := 1 + x.random.IntN(200)
	for i := range keys {
		keys[i] = int32(x.random.IntN(span))
		hashes[i] = x.hash(keys[i])
	}
	f, after := x.updater()
	if x.random.IntN(3) == 0 {
		if err := x.v.UpdateBatch(keys, hashes, func(i int, p *V, fresh bool) {
			if _, had := x.want[keys[i]]; fresh == had {
				x.t.Fatalf("key %d is fresh: %v", keys[i], fresh)
			}
			f(keys[i], p)
		}); err != nil {
			x.t.Fatal(err)
		}
		after()
		return
	}
	x.k.Batch(keys, hashes)
	for i, key := range keys {
		if i%Run == 0 {
			x.k.Turn(i)
		}
		x.k.SeekNext(i)
		x.v.Update(func(p *V) { f(key, p) })
	}
	after()
}

func (x *recentTest[V]) begin() {
	x.id++
	s := &recentSnapshot[V]{id: x.id, want: maps.Clone(x.want), w: inline()}
	p := Plan{Checkpoint: s.id, Out: s.w, Operator: "op"}
	if x.last != nil && x.random.IntN(4) > 0 {
		s.base, p.Base = x.last, x.last.id
	}
	if err := x.k.Begin(p); err != nil {
		x.t.Fatal(err)
	}
	x.taking = s
}

func (x *recentTest[V]) sweep(budget int) {
	s := x.taking
	if s == nil || !x.k.Sweep(budget) {
		return
	}
	f := finish(x.t, s.w)
	var base []checkpoint.File
	if s.base != nil {
		base = s.base.files
	}
	s.files = s.w.Chain(base, &f)
	x.taking, x.last = nil, s
}

func (x *recentTest[V]) step() {
	key := x.seek()
	switch x.random.IntN(16) {
	case 0, 1, 2:
		x.get(key)
	case 3, 4:
		v := x.draw(x.random)
		x.want[key] = cloned(v)
		x.v.Set(v)
		destroy(reflect.ValueOf(&v))
	case 5, 6, 7, 8, 9:
		f, after := x.updater()
		x.v.Update(func(p *V) {
			if x.random.IntN(4) == 0 {
				x.v.Get() // the value is lent, and must stay where it is
			}
			f(key, p)
		})
		after()
	case 10:
		x.v.Clear()
		delete(x.want, key)
	case 11:
		x.batch()
	case 12:
		x.begin()
	case 13, 14:
		x.sweep([]int{1, 50, 1 << 30}[x.random.IntN(3)])
	case 15:
		if x.last != nil && x.random.IntN(4) == 0 {
			x.want = maps.Clone(x.last.want)
			x.open(x.last.files...)
			x.last, x.taking = nil, nil
		}
	}
	if err := x.k.Err(); err != nil {
		x.t.Fatal(err)
	}
}

func testRecent[V any](t *testing.T, draw func(*rand.Rand) V, change func(*rand.Rand, *V) any) {
	t.Parallel()
	hash, err := codec.Hasher[int32]()
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(12) {
		x := &recentTest[V]{t: t, random: rand.New(rand.NewPCG(seed, 1)), most: []int{1, 3, 16, mostRecent}[seed%4], hash: hash, draw: draw, change: change,
			want: map[int32]V{}}
		x.open()
		for range 400 {
			x.step()
		}
		x.begin()
		x.sweep(1 << 30)
		want, files := x.last.want, x.last.files
		x.open(files...)
		x.want = want
		for key := range int32(200) {
			x.k.Seek(key, x.hash(key))
			x.get(key)
		}
		x.k.Close()
	}
}

type recentLine struct {
	Name string
	N    int32
	At   time.Time
}

func drawLine(r *rand.Rand) recentLine {
	l := recentLine{Name: strings.Repeat("ab", r.IntN(9)), N: int32(r.Int())}
	if r.IntN(2) == 0 {
		l.At = time.Unix(r.Int64N(1e9), 0).In(time.FixedZone("x", 3600))
	}
	return l
}

// changeSlice changes a slice in place in all ways that there are, and may leave memory of its own there.
func changeSlice[E any](r *rand.Rand, s *[]E, draw func(*rand.Rand) E) any {
	switch n := len(*s); r.IntN(10) {
	case 0, 1, 2:
		for range 1 + r.IntN(3) {
			*s = append(*s, draw(r))
		}
	case 3:
		*s = slices.Insert(*s, r.IntN(n+1), draw(r))
	case 4:
		if n > 0 {
			(*s)[r.IntN(n)] = draw(r)
		}
	case 5:
		*s = (*s)[:r.IntN(n+1)]
	case 6:
		*s = (*s)[r.IntN(n+1):]
	case 7:
		slices.Reverse(*s)
	case 8:
		own := append(make([]E, 0, n+5), *s...)
		*s = own[:r.IntN(n+1)]
		return own
	case 9:
		*s = nil
		if r.IntN(2) == 0 {
			*s = []E{}
		}
	}
	return nil
}

func TestRecentSlices(t *testing.T) {
	testRecent(t, func(r *rand.Rand) (ls []recentLine) {
		for range r.IntN(12) {
			ls = append(ls, drawLine(r))
		}
		return ls
	}, func(r *rand.Rand, p *[]recentLine) any { return changeSlice(r, p, drawLine) })
}

func TestRecentPlainValues(t *testing.T) {
	testRecent(t, drawLine, func(r *rand.Rand, p *recentLine) any {
		p.N++
		p.Name += "x"
		if r.IntN(3) == 0 {
			*p = drawLine(r)
		}
		return nil
	})
}

func TestRecentStructs(t *testing.T) {
	type thing struct {
		ID    int64
		Text  string
		A, B  []string
		Raw   []byte
		Pairs [2][]int16
		Void  []struct{}
	}
	word := func(r *rand.Rand) string { return fmt.Sprint(r.IntN(1000)) }
	testRecent(t, func(r *rand.Rand) thing {
		return thing{ID: r.Int64(), Text: word(r), A: make([]string, r.IntN(4)), Raw: []byte(word(r)), Pairs: [2][]int16{{1}, nil}}
	}, func(r *rand.Rand, p *thing) any {
		p.ID++
		switch r.IntN(8) {
		case 0, 1:
			return changeSlice(r, &p.A, word)
		case 2:
			return changeSlice(r, &p.B, word)
		case 3:
			p.A, p.B = p.B, p.A
		case 4:
			p.A = p.B[len(p.B)/2:]
		case 5:
			return changeSlice(r, &p.Raw, func(r *rand.Rand) byte { return byte(r.Int()) })
		case 6:
			return changeSlice(r, &p.Pairs[r.IntN(2)], func(r *rand.Rand) int16 { return int16(r.Int()) })
		case 7:
			return changeSlice(r, &p.Void, func(r *rand.Rand) struct{} { return struct{}{} })
		}
		return nil
	})
}

// Maps and pointers are changed in place, and given and taken as bytes.
func TestRecentMaps(t *testing.T) {
	type counts struct {
		By   map[string]int32
		Last *recentNumber
		Seen []int64
	}
	testRecent(t, func(r *rand.Rand) counts {
		return counts{By: map[string]int32{"a": int32(r.IntN(9))}, Last: &recentNumber{r.Int64()}, Seen: []int64{r.Int64()}}
	}, func(r *rand.Rand, p *counts) any {
		switch r.IntN(8) {
		case 0, 1, 2, 3:
			if p.By == nil {
				p.By = map[string]int32{}
				return p.By
			}
			p.By[fmt.Sprint(r.IntN(20))]++
		case 4:
			own := maps.Clone(p.By)
			p.By = own
			return own
		case 5:
			own := &recentNumber{r.Int64()}
			p.Last = own
			return own
		case 6:
			if p.Last != nil {
				p.Last.N++
			}
		case 7:
			return changeSlice(r, &p.Seen, func(r *rand.Rand) int64 { return r.Int64() })
		}
		return nil
	})
}

type recentNumber struct{ N int64 }

// TestWhatHasNoRecentValues: who keeps a slice out of a slice could change what is kept.
func TestWhatHasNoRecentValues(t *testing.T) {
	for name, made := range map[string]bool{
		"slices of slices":            hasRecent[[][]string](t),
		"maps to slices":              hasRecent[map[string][]int](t),
		"what marshals itself":        hasRecent[stubborn](t),
		"structs of pointers in them": hasRecent[[]struct{ P *int }](t),
		"numbers":                     hasRecent[int64](t),
	} {
		if made {
			t.Errorf("%s are kept", name)
		}
	}
}

func hasRecent[V any](t *testing.T) bool {
	k, err := NewKeyed[int](Config{Name: "op", MaxParallelism: 1, To: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	v, err := NewValue[int, V](k, "v")
	if err != nil {
		t.Fatal(err)
	}
	return v.recent != nil
}

// TestRecentWriteBackFails: what cannot be packed is an error when it is written back, of the state that it is in.
func TestRecentWriteBackFails(t *testing.T) {
	k, err := NewKeyed[int](Config{Name: "op", MaxParallelism: 1, To: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	v, err := NewValue[int, string](k, "large")
	if err != nil {
		t.Fatal(err)
	}
	k.Seek(1, codec.Mix(1))
	v.Update(func(s *string) { *s = strings.Repeat("x", maxBlob+1) })
	if k.Err() != nil {
		t.Fatal(k.Err())
	}
	if err := k.Snapshot(inline(), "op"); err == nil || !strings.Contains(err.Error(), `state "large" of operator op: 268435460 encoded bytes of one key or value`) {
		t.Errorf("got %v", err)
	}
}

// TestRecentRests: keys that do not come again are not kept, and those that do are found again.
func TestRecentRests(t *testing.T) {
	k, err := NewKeyed[int](Config{Name: "op", MaxParallelism: 1, To: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	v, err := NewValue[int, string](k, "v")
	if err != nil {
		t.Fatal(err)
	}
	hash, _ := codec.Hasher[int]()
	next := 0
	use := func(key int) {
		k.Seek(key, hash(key))
		v.Update(func(s *string) { *s = fmt.Sprint(key) })
	}
	for v.recent.resting == 0 {
		if use(next); next > 2*recentPeriod {
			t.Fatal("it does not rest")
		}
		next++
	}
	if n := len(v.recent.entries); n > 0 {
		t.Fatalf("%d values are kept at rest", n)
	}
	for range restPeriods*recentPeriod + 3*recentPeriod {
		use(next % 100)
		next++
	}
	if v.recent.resting > 0 || v.recent.bytes() == 0 {
		t.Errorf("it rests for %d more uses, with %d bytes", v.recent.resting, v.recent.bytes())
	}
	for key := range next - 100 {
		k.Seek(key, hash(key))
		if got, ok := v.Get(); ok && got != fmt.Sprint(key) {
			t.Fatalf("%d has %q", key, got)
		}
	}
}
