package flow_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/flow"
)

type sided struct {
	Key  string
	At   int64 // seconds
	Name string
}

func (s sided) time() time.Time { return time.Unix(s.At, 0) }

// sidedSplits are random records in some splits, of the times 0 to span and out of order by a bound.
func sidedSplits(r *rand.Rand, name string, keys, span int) (splits [][]sided) {
	for s := range 1 + r.IntN(3) {
		var split []sided
		for i := range r.IntN(200) {
			split = append(split, sided{fmt.Sprint("k", r.IntN(keys)), int64(r.IntN(span) - span/4), fmt.Sprintf("%s%d.%d", name, s, i)})
		}
		splits = append(splits, split)
	}
	return splits
}

func pairName(a, b sided, out *flow.Out[string]) error {
	out.Emit(a.Name + "+" + b.Name)
	return nil
}

// joined runs a join of two streams at random parallelisms, now and then with a failure, and compares it with what a naive one gives.
func joined(t *testing.T, r *rand.Rand, as, bs [][]sided, span int,
	join func(a, b flow.Keyed[string, sided], o flow.Option) flow.Stream[string], naive func(a, b sided) []string) {
	t.Helper()
	want := []string{}
	for _, a := range slices.Concat(as...) {
		for _, b := range slices.Concat(bs...) {
			if a.Key == b.Key {
				want = append(want, naive(a, b)...)
			}
		}
	}
	slices.Sort(want)
	p, q, own := flow.Parallelism(1+r.IntN(2)), flow.Parallelism(1+r.IntN(2)), flow.Parallelism(1+r.IntN(3))
	key := func(s sided) string { return s.Key }
	bound := flow.OutOfOrder(time.Duration(span) * time.Second)
	build := func(j *flow.Job, a, b flow.Source[sided]) flow.Stream[string] {
		left := flow.From(j, "a", a, p).EventTime(sided.time, bound)
		right := flow.From(j, "b", b, q).EventTime(sided.time, bound)
		return join(flow.KeyBy(left, key), flow.KeyBy(right, key), own)
	}
	var got []string
	if r.IntN(3) == 0 {
		got = restarted(t, func(j *flow.Job, x *restarting) flow.Stream[string] {
			return build(j, halves(x, as...), halves(x, bs...))
		})
	} else {
		got = output(t, func(j *flow.Job) flow.Stream[string] { return build(j, of(as...), of(bs...)) })
	}
	equal(t, got, want)
}

func TestJoin(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 25 {
		span := 1 + r.IntN(200)
		as, bs := sidedSplits(r, "a", 1+r.IntN(5), span), sidedSplits(r, "b", 1+r.IntN(5), span)
		size, slide, offset := int64(1+r.IntN(30)), int64(0), int64(0)
		w := flow.Tumbling(time.Duration(size) * time.Second)
		if slide = size; r.IntN(2) == 0 {
			slide = int64(1 + r.IntN(40))
			w = flow.Sliding(time.Duration(size)*time.Second, time.Duration(slide)*time.Second)
		}
		offset = r.Int64N(slide)
		w = w.Offset(time.Duration(offset) * time.Second)
		joined(t, r, as, bs, span,
			func(a, b flow.Keyed[string, sided], o flow.Option) flow.Stream[string] {
				return flow.Join(a, b, w, "join", pairName, o)
			},
			func(a, b sided) (pairs []string) {
				for begin := offset - 500*slide; begin <= int64(span); begin += slide {
					if in := func(at int64) bool { return begin <= at && at < begin+size }; in(a.At) && in(b.At) {
						pairs = append(pairs, a.Name+"+"+b.Name)
					}
				}
				return pairs
			})
	}
}

func TestGlobalJoin(t *testing.T) {
	got := output(t, func(j *flow.Job) flow.Stream[string] {
		key := func(i int) int { return i % 3 }
		a, b := flow.From(j, "a", of(numbers(0, 6))), flow.From(j, "b", of(numbers(1, 4)))
		return flow.Join(flow.KeyBy(a, key), flow.KeyBy(b, key), flow.Global(), "join", func(a, b int, out *flow.Out[string]) error {
			out.Emit(fmt.Sprint(a, " ", b))
			return nil
		})
	})
	equal(t, got, []string{"0 3", "1 1", "2 2", "3 3", "4 1", "5 2"})
}

func TestIntervalJoin(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 25 {
		span := 1 + r.IntN(200)
		as, bs := sidedSplits(r, "a", 1+r.IntN(5), span), sidedSplits(r, "b", 1+r.IntN(5), span)
		lower := int64(r.IntN(40) - 20)
		upper := lower + int64(r.IntN(30))
		joined(t, r, as, bs, span,
			func(a, b flow.Keyed[string, sided], o flow.Option) flow.Stream[string] {
				return flow.IntervalJoin(a, b, time.Duration(lower)*time.Second, time.Duration(upper)*time.Second, "join", pairName, o)
			},
			func(a, b sided) []string {
				if a.At+lower <= b.At && b.At <= a.At+upper {
					return []string{a.Name + "+" + b.Name}
				}
				return nil
			})
	}
}

// A result has the time that is documented, so that a window behind a join takes it in.
func TestTimesOfJoins(t *testing.T) {
	as := []sided{{"k", 3, "a"}, {"k", 12, "a"}}
	bs := []sided{{"k", 5, "b"}, {"k", 10, "b"}}
	for name, tc := range map[string]struct {
		join func(a, b flow.Keyed[string, sided]) flow.Stream[string]
		want []string
	}{
		"window": {func(a, b flow.Keyed[string, sided]) flow.Stream[string] {
			return flow.Join(a, b, flow.Tumbling(10*time.Second), "join", pairName)
		}, []string{"a+b 1970-01-01T00:00:09.999999999Z", "a+b 1970-01-01T00:00:19.999999999Z"}},
		"interval": {func(a, b flow.Keyed[string, sided]) flow.Stream[string] {
			return flow.IntervalJoin(a, b, -3*time.Second, 3*time.Second, "join", pairName)
		}, []string{"a+b 1970-01-01T00:00:05Z", "a+b 1970-01-01T00:00:12Z"}},
	} {
		got := output(t, func(j *flow.Job) flow.Stream[string] {
			key := func(s sided) string { return s.Key }
			a := flow.From(j, "a", of(as)).EventTime(sided.time, flow.OutOfOrder(time.Minute))
			b := flow.From(j, "b", of(bs)).EventTime(sided.time, flow.OutOfOrder(time.Minute))
			return flow.Process(flow.KeyBy(tc.join(flow.KeyBy(a, key), flow.KeyBy(b, key)), func(s string) string { return s }), "times",
				func(*flow.Op[string]) flow.Handler[string, string, string] {
					return flow.Handler[string, string, string]{Record: func(c *flow.Ctx[string], v string, out *flow.Out[string]) error {
						out.Emit(v + " " + c.Time().Format(time.RFC3339Nano))
						return nil
					}}
				})
		})
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

var (
	lateLefts  = flow.NewSideOutput[sided]("late lefts")
	lateRights = flow.NewSideOutput[sided]("late rights")
)

// What is behind the watermark pairs with nothing, and comes out of the side output of its input, with its time: the late record of b comes when the join's
// own watermark is known to be behind it, as a window behind the join has been given.
func TestLateRecordsOfJoins(t *testing.T) {
	for _, interval := range []bool{false, true} {
		c := &collected[string]{}
		first := func() bool { c.mu.Lock(); defer c.mu.Unlock(); return slices.Contains(c.values, "a+b") }
		as, bs := []sided{{"k", 1, "a"}}, []sided{{"k", 2, "b"}}
		for range 300 { // watermarks come every 256 records
			as, bs = append(as, sided{"other", 500, "a"}), append(bs, sided{"another", 500, "b"})
		}
		as, bs = append(as, sided{"k", 900, "end"}), append(bs, sided{"k", 3, "late"}, sided{"k", 900, "end"})
		if err := run(t, func(j *flow.Job) {
			key := func(s sided) string { return s.Key }
			a := flow.From(j, "a", of(as), flow.Parallelism(1)).EventTime(sided.time)
			b := flow.From(j, "b", flow.Source[sided](gated[sided]{fixed[sided]{bs}, len(bs) - 2, first}), flow.Parallelism(1)).EventTime(sided.time)
			var s flow.Stream[string]
			late := []flow.Option{flow.LateLeftTo(lateLefts), flow.LateRightTo(lateRights)}
			if interval {
				s = flow.IntervalJoin(flow.KeyBy(a, key), flow.KeyBy(b, key), -5*time.Second, 5*time.Second, "join", pairName, late...)
			} else {
				s = flow.Join(flow.KeyBy(a, key), flow.KeyBy(b, key), flow.Tumbling(10*time.Second), "join", pairName, late...)
			}
			pairs := flow.KeyBy(s, func(s string) string { return s }).Window(flow.Tumbling(10 * time.Second))
			given := flow.AggregateThen(pairs, "pairs", flow.Count[string](), func(p flow.Pane[string, int64], out *flow.Out[string]) error {
				out.Emit(p.Key)
				return nil
			})
			asides := flow.ReadSide(s, lateLefts).Union(flow.ReadSide(s, lateRights))
			flow.To(given.Union(timed(asides)), "sink", flow.Sink[string](c))
		}); err != nil {
			t.Fatal(err)
		}
		slices.Sort(c.values)
		equal(t, c.values, []string{"a+b", "end+end", "late of 3 at 1970-01-01T00:00:03Z"})
	}
}

// timed tells records with the times that they have in the stream.
func timed(s flow.Stream[sided]) flow.Stream[string] {
	return flow.Process(flow.KeyBy(s, func(s sided) string { return s.Key }), "times", func(*flow.Op[string]) flow.Handler[string, sided, string] {
		return flow.Handler[string, sided, string]{Record: func(c *flow.Ctx[string], v sided, out *flow.Out[string]) error {
			out.Emit(fmt.Sprintf("%s of %d at %s", v.Name, v.At, c.Time().Format(time.RFC3339)))
			return nil
		}}
	})
}
