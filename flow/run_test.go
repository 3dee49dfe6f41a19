package flow_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/internal/worker/local"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixed is a source of given splits, each a slice of values.
type fixed[T any] [][]T

func of[T any](splits ...[]T) flow.Source[T] { return fixed[T](splits) }

func (s fixed[T]) Enumerator(_ flow.Task, restored [][]byte) (flow.Enumerator, error) {
	if restored != nil {
		return flow.InOrder(restored), nil
	}
	var splits [][]byte
	for i := range s {
		splits = append(splits, []byte(fmt.Sprintf("%d 0", i)))
	}
	return flow.InOrder(splits), nil
}

func (s fixed[T]) Reader(_ flow.Task, split []byte) (flow.Reader[T], error) {
	r := &fixedReader[T]{}
	_, err := fmt.Sscanf(string(split), "%d %d", &r.split, &r.at)
	r.values = s[r.split]
	return r, err
}

type fixedReader[T any] struct {
	values    []T
	split, at int
}

func (r *fixedReader[T]) Read(dst []T) (int, flow.Next, error) {
	n := copy(dst, r.values[r.at:])
	if r.at += n; r.at == len(r.values) {
		return n, flow.EndOfSplit, nil
	}
	return n, flow.Again, nil
}
func (r *fixedReader[T]) Position() []byte { return []byte(fmt.Sprintf("%d %d", r.split, r.at)) }
func (r *fixedReader[T]) Close() error     { return nil }

// collected takes what reaches a sink, by subtask.
type collected[T any] struct {
	mu       sync.Mutex
	values   []T
	subtasks map[int]int
}

func (c *collected[T]) Writer(t flow.Task) (flow.Writer[T], error) {
	return collector[T]{c, t.Subtask()}, nil
}

type collector[T any] struct {
	c       *collected[T]
	subtask int
}

func (w collector[T]) Write(values []T) error {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	w.c.values = append(w.c.values, values...)
	if w.c.subtasks == nil {
		w.c.subtasks = map[int]int{}
	}
	w.c.subtasks[w.subtask] += len(values)
	return nil
}
func (collector[T]) Close() error { return nil }

// run runs a job to its end.
func run(t *testing.T, build func(*flow.Job)) error {
	t.Helper()
	g, err := flow.Build("test", 2, func(j *flow.Job) error { build(j); return nil })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return local.Run(ctx, g, local.Options{})
}

// output runs a job that ends in one sink, and sorts what came there.
func output[T cmp.Ordered](t *testing.T, build func(*flow.Job) flow.Stream[T]) []T {
	t.Helper()
	c := &collected[T]{}
	if err := run(t, func(j *flow.Job) { flow.To(build(j), "sink", flow.Sink[T](c)) }); err != nil {
		t.Fatal(err)
	}
	slices.Sort(c.values)
	return c.values
}

func numbers(from, to int) (s []int) {
	for i := from; i < to; i++ {
		s = append(s, i)
	}
	return s
}

func equal[T comparable](t *testing.T, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got %d: %.200v\nwant %d: %.200v", len(got), fmt.Sprint(got), len(want), fmt.Sprint(want))
	}
}

// The same steps in one chain, in tasks of their own, and at other parallelisms.
func TestSteps(t *testing.T) {
	var want []string
	for i := range 5000 {
		if i%3 == 0 {
			want = append(want, fmt.Sprintf("%d.0", i*2), fmt.Sprintf("%d.1", i*2))
		}
	}
	slices.Sort(want)
	for name, o := range map[string][]flow.Option{
		"chained":  nil,
		"no chain": {flow.NoChain()},
		"wider":    {flow.Parallelism(3)},
		"one":      {flow.Parallelism(1)},
		"group":    {flow.SlotGroup("other")},
	} {
		t.Run(name, func(t *testing.T) {
			equal(t, output(t, func(j *flow.Job) flow.Stream[string] {
				s := flow.From(j, "numbers", of(numbers(0, 2500), numbers(2500, 2600), nil, numbers(2600, 5000)))
				s = s.Filter("thirds", func(i int) bool { return i%3 == 0 }, o...)
				s = flow.Map(s, "double", func(i int) int { return i * 2 }, o...)
				texts := flow.MapBatch(s, "text", func(in []int, out []string) []string {
					for _, i := range in {
						out = append(out, strconv.Itoa(i))
					}
					return out
				})
				return flow.FlatMap(texts, "twice", func(v string, out *flow.Out[string]) error {
					out.Emit(v + ".0")
					out.Emit(v + ".1")
					return nil
				}, o...)
			}), want)
		})
	}
}

// What MapInto fills is zero before, whatever an earlier batch left there.
func TestMapIntoBeginsWithZero(t *testing.T) {
	type wide struct {
		N, A, B, C, D int
		Text          string
	}
	var want []wide
	for i := range 5000 {
		w := wide{N: i}
		if i%3 == 0 {
			w.D, w.Text = i, strconv.Itoa(i)
		}
		want = append(want, w)
	}
	got := output(t, func(j *flow.Job) flow.Stream[string] {
		wides := flow.MapInto(flow.From(j, "numbers", of(numbers(0, 5000)), flow.Parallelism(1)), "fill", func(i *int, w *wide) {
			if w.N = *i; *i%3 == 0 {
				w.D, w.Text = *i, strconv.Itoa(*i)
			}
		})
		return flow.Map(wides, "print", func(w wide) string { return fmt.Sprint(w) })
	})
	var texts []string
	for _, w := range want {
		texts = append(texts, fmt.Sprint(w))
	}
	slices.Sort(texts)
	equal(t, got, texts)
}

func TestFlatMapThatExplodes(t *testing.T) {
	got := output(t, func(j *flow.Job) flow.Stream[int] {
		s := flow.From(j, "one", of([]int{1}))
		return flow.FlatMap(s, "many", func(_ int, out *flow.Out[int]) error {
			for i := range 100_000 {
				out.Emit(i)
			}
			return nil
		}).Rebalance()
	})
	equal(t, got, numbers(0, 100_000))
}

func TestFlatMapSeqAndUnion(t *testing.T) {
	got := output(t, func(j *flow.Job) flow.Stream[string] {
		a := flow.From(j, "a", of([]string{"to be", "or"}))
		b := flow.From(j, "b", of([]string{"not"}, []string{"to be"}), flow.Parallelism(3))
		return flow.FlatMapSeq(a.Union(b), "words", strings.FieldsSeq)
	})
	equal(t, got, []string{"be", "be", "not", "or", "to", "to"})
}

// One output that two operators read, one of them in the same chain.
func TestBranches(t *testing.T) {
	even, all := &collected[int]{}, &collected[int]{}
	if err := run(t, func(j *flow.Job) {
		s := flow.From(j, "numbers", of(numbers(0, 3000)))
		flow.To(s.Filter("even", func(i int) bool { return i%2 == 0 }), "even sink", flow.Sink[int](even))
		flow.To(s.Rebalance(), "all sink", flow.Sink[int](all), flow.Parallelism(3))
	}); err != nil {
		t.Fatal(err)
	}
	if len(even.values) != 1500 || len(all.values) != 3000 {
		t.Errorf("%d even of %d", len(even.values), len(all.values))
	}
}

func TestPartitionings(t *testing.T) {
	for name, tc := range map[string]struct {
		by   func(flow.Stream[int]) flow.Stream[int]
		want map[int]int
	}{
		"custom": {func(s flow.Stream[int]) flow.Stream[int] {
			return s.Partition(func(v, n int) int { return v % 2 * (n - 1) })
		}, map[int]int{0: 1500, 2: 1500}},
		"global":    {flow.Stream[int].Global, map[int]int{0: 3000}},
		"broadcast": {flow.Stream[int].Broadcast, map[int]int{0: 3000, 1: 3000, 2: 3000}},
	} {
		c := &collected[int]{}
		if err := run(t, func(j *flow.Job) {
			flow.To(tc.by(flow.From(j, "numbers", of(numbers(0, 3000)))), "sink", flow.Sink[int](c), flow.Parallelism(3))
		}); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(c.subtasks, tc.want) {
			t.Errorf("%s: %v, want %v", name, c.subtasks, tc.want)
		}
	}
}

func TestTryMap(t *testing.T) {
	parse := func(_ context.Context, s string) (int, error) { return strconv.Atoi(s) }
	in := []string{"1", "x", "2", "", "3"}
	got := output(t, func(j *flow.Job) flow.Stream[int] {
		return flow.TryMap(flow.From(j, "texts", of(in)), "parse", parse, flow.Skip())
	})
	equal(t, got, []int{1, 2, 3})

	c := &collected[int]{}
	err := run(t, func(j *flow.Job) {
		flow.To(flow.TryMap(flow.From(j, "texts", of(in)), "parse", parse), "sink", flow.Sink[int](c))
	})
	if err == nil || !strings.Contains(err.Error(), `operator parse: strconv.Atoi: parsing "x"`) {
		t.Errorf("it fails by %v", err)
	}

	got = output(t, func(j *flow.Job) flow.Stream[int] {
		return flow.TryMap(flow.From(j, "texts", of(in)), "parse", func(_ context.Context, s string) (int, error) {
			if s == "x" || s == "" {
				return 0, fmt.Errorf("%w: %q", flow.ErrSkip, s)
			}
			return strconv.Atoi(s)
		})
	})
	equal(t, got, []int{1, 2, 3})
}

func TestPanicKeepsTheStack(t *testing.T) {
	c := &collected[int]{}
	err := run(t, func(j *flow.Job) {
		flow.To(flow.Map(flow.From(j, "numbers", of(numbers(0, 10))), "boom", explode), "sink", flow.Sink[int](c))
	})
	if err == nil || !strings.Contains(err.Error(), "nobody expected 7") || !strings.Contains(err.Error(), "flow_test.explode") {
		t.Errorf("it fails by %v", err)
	}
}

func explode(i int) int {
	if i == 7 {
		panic("nobody expected 7")
	}
	return i
}

type event struct {
	Key string
	At  int64 // seconds
}

func (e event) time() time.Time { return time.Unix(e.At, 0) }

// A process that counts per key and gives each count 10 s of event time after the key's first record, and what is left at the end of input.
func TestProcessWithStateAndTimers(t *testing.T) {
	count := func(j *flow.Job, s flow.Stream[event]) flow.Stream[string] {
		byKey := flow.KeyBy(s, func(e event) string { return e.Key })
		return flow.Process(byKey, "count", func(op *flow.Op[string]) flow.Handler[string, event, string] {
			n := flow.NewValue[int](op, "n")
			done := flow.NewTimer(op, "done", func(c *flow.Ctx[string], at time.Time, out *flow.Out[string]) error {
				v, ok := n.Get()
				if !ok {
					return errors.New("a timer without state")
				}
				n.Clear()
				out.Emit(fmt.Sprintf("%s=%d@%d", c.Key(), v, at.Unix()))
				return nil
			})
			return flow.Handler[string, event, string]{Record: func(c *flow.Ctx[string], e event, _ *flow.Out[string]) error {
				if !c.Time().Equal(e.time()) {
					return fmt.Errorf("time %v of %v", c.Time(), e)
				}
				if _, ok := n.Get(); !ok {
					done.Set(c, c.Time().Add(10*time.Second))
					done.Set(c, c.Time().Add(time.Minute))
					done.Cancel(c, c.Time().Add(time.Minute))
				}
				n.Update(func(v *int) { *v++ })
				return nil
			}}
		})
	}
	var events []event
	var want []string
	for k := range 20 {
		at := int64(k * 100)
		for i := range 300 {
			events = append(events, event{fmt.Sprint("k", k), at + int64(i/100)})
		}
		want = append(want, fmt.Sprintf("k%d=300@%d", k, at+10))
	}
	// Far enough behind all of them that a watermark fires their timers, whatever the position.
	for range 600 {
		events = append(events, event{"between", 5000})
	}
	want = append(want, "between=600@5010")
	for k := range 20 {
		at := int64(10_000 + k)
		events = append(events, event{fmt.Sprint("k", k), at})
		want = append(want, fmt.Sprintf("k%d=1@%d", k, at+10))
	}
	slices.Sort(want)
	for _, parallelism := range []int{1, 3} {
		got := output(t, func(j *flow.Job) flow.Stream[string] {
			s := flow.From(j, "events", of(events), flow.Parallelism(1)).EventTime(event.time)
			return count(j, s.Filter("all", func(event) bool { return true }, flow.Parallelism(parallelism)))
		})
		if parallelism == 1 { // all in one chain: watermarks are where the split says
			equal(t, got, want)
		}
		// Between tasks a watermark may come later than it could: but no record is lost or counted twice.
		sum := 0
		for _, s := range got {
			var n int
			if _, err := fmt.Sscanf(s[strings.Index(s, "=")+1:], "%d@", &n); err != nil {
				t.Fatal(err)
			}
			sum += n
		}
		if sum != len(events) {
			t.Errorf("parallelism %d: %d records in the counts of %d", parallelism, sum, len(events))
		}
	}
}

func TestTumblingWindows(t *testing.T) {
	var events []event
	want := map[string]int64{}
	for i := range 20_000 {
		e := event{Key: string(rune('a' + i%7)), At: int64(i/10) - int64(i*7919%50) - 100} // up to 49 s late, and before 1970
		events = append(events, e)
		start := (e.At - 3) / 60
		if (e.At-3)%60 < 0 {
			start--
		}
		want[fmt.Sprintf("%s %d", e.Key, start*60+3)]++
	}
	for _, parallelism := range []int{1, 2, 4} {
		for _, splits := range []int{1, 5} {
			var parts [][]event
			for p := range slices.Chunk(events, (len(events)+splits-1)/splits) {
				parts = append(parts, p)
			}
			c := &collected[flow.Pane[string, int64]]{}
			if err := run(t, func(j *flow.Job) {
				s := flow.From(j, "events", of(parts...), flow.Parallelism(parallelism)).EventTime(event.time, flow.OutOfOrder(49*time.Second))
				w := flow.KeyBy(s, func(e event) string { return e.Key }).Window(flow.Tumbling(time.Minute).Offset(3 * time.Second))
				flow.To(flow.Aggregate(w, "count", flow.Count[event]()), "sink", flow.Sink[flow.Pane[string, int64]](c))
			}); err != nil {
				t.Fatal(err)
			}
			got := map[string]int64{}
			for _, p := range c.values {
				if p.End.Sub(p.Start) != time.Minute {
					t.Errorf("window %v to %v", p.Start, p.End)
				}
				got[fmt.Sprintf("%s %d", p.Key, p.Start.Unix())] += p.Value
			}
			if !reflect.DeepEqual(got, want) || len(c.values) != len(want) {
				t.Errorf("parallelism %d, %d splits: %d panes, want %d", parallelism, splits, len(c.values), len(want))
			}
		}
	}
}

func TestAggregators(t *testing.T) {
	c := &collected[flow.Pane[bool, flow.Pair[flow.Pair[int64, int], float64]]]{}
	if err := run(t, func(j *flow.Job) {
		s := flow.From(j, "numbers", of(numbers(-10, 0), numbers(0, 11)))
		w := flow.KeyBy(s, func(i int) bool { return i < 0 }).Window(flow.Global())
		both := flow.Both(flow.Both(flow.Count[int](), flow.Sum(func(i int) int { return i })), flow.Max(func(i int) float64 { return float64(i) }))
		flow.To(flow.Aggregate(w, "sums", both), "sink", flow.Sink[flow.Pane[bool, flow.Pair[flow.Pair[int64, int], float64]]](c))
	}); err != nil {
		t.Fatal(err)
	}
	for _, p := range c.values {
		v := p.Value
		if p.Key && (v.First.First != 10 || v.First.Second != -55 || v.Second != -1) || !p.Key && (v.First.First != 11 || v.First.Second != 55 || v.Second != 10) {
			t.Errorf("%+v", p)
		}
		if !p.Start.IsZero() || !p.End.IsZero() {
			t.Errorf("a global window from %v to %v", p.Start, p.End)
		}
	}
	if len(c.values) != 2 {
		t.Errorf("%d panes", len(c.values))
	}
}

func TestAggregateThen(t *testing.T) {
	got := output(t, func(j *flow.Job) flow.Stream[string] {
		w := flow.KeyBy(flow.From(j, "numbers", of(numbers(0, 100))), func(i int) int { return i % 3 }).Window(flow.Global())
		return flow.AggregateThen(w, "count", flow.Count[int](), func(p flow.Pane[int, int64], out *flow.Out[string]) error {
			out.Emit(fmt.Sprint(p.Key, "=", p.Value))
			return nil
		})
	})
	equal(t, got, []string{"0=34", "1=33", "2=33"})
}

// heavy is a source whose split is larger than any channel carries.
type heavy struct{ fixed[int] }

func (heavy) Enumerator(flow.Task, [][]byte) (flow.Enumerator, error) {
	return flow.InOrder([][]byte{make([]byte, 64<<20)}), nil
}

// A split that is too large is the sender's error, which says whose it is and what to do; in one process, too.
func TestSplitsThatAreTooLarge(t *testing.T) {
	err := run(t, func(j *flow.Job) {
		flow.To(flow.From(j, "heavy", flow.Source[int](heavy{fixed[int]{numbers(0, 10)}})), "sink", flow.Sink[int](&collected[int]{}))
	})
	if err == nil || !contains(err, "source heavy: a split of 67108864 bytes for reader") || !contains(err, "let splits say what is to be read") {
		t.Errorf("%v", err)
	}
}
