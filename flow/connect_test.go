package flow_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/flow"
)

func contains(err error, text string) bool { return strings.Contains(err.Error(), text) }

type price struct {
	Item string
	Cent int64
}

// enrich counts, per item, records of both kinds in one value, and says the sums at the end of input by a timer.
func enrich(orders flow.Stream[event], prices flow.Stream[price], o ...flow.Option) flow.Stream[string] {
	a := flow.KeyBy(orders, func(e event) string { return e.Key })
	b := flow.KeyBy(prices, func(p price) string { return p.Item })
	return flow.Connect(a, b, "enrich", func(op *flow.Op[string]) flow.Handler2[string, event, price, string] {
		type both struct{ Orders, Cents int64 }
		sums := flow.NewValue[both](op, "sums")
		end := flow.NewTimer(op, "end", func(c *flow.Ctx[string], at time.Time, out *flow.Out[string]) error {
			s, _ := sums.Get()
			out.Emit(fmt.Sprint(c.Key(), " ", s.Orders, " ", s.Cents))
			return nil
		})
		late := time.Unix(1<<30, 0)
		return flow.Handler2[string, event, price, string]{
			Left: func(c *flow.Ctx[string], e event, _ *flow.Out[string]) error {
				sums.Update(func(b *both) { b.Orders++ })
				end.Set(c, late)
				return nil
			},
			Right: func(c *flow.Ctx[string], p price, _ *flow.Out[string]) error {
				sums.Update(func(b *both) { b.Cents += p.Cent })
				end.Set(c, late)
				return nil
			},
		}
	}, o...)
}

// Two inputs of different types share keys, state and timers, whatever the parallelisms, chains, interleavings and failures.
func TestConnect(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 12 {
		var orders [][]event
		var prices [][]price
		model := map[string][2]int64{}
		for range 1 + r.IntN(3) {
			var split []event
			for range r.IntN(3000) {
				e := event{Key: fmt.Sprint("k", r.IntN(300)), At: int64(r.IntN(1000))}
				split = append(split, e)
				m := model[e.Key]
				m[0]++
				model[e.Key] = m
			}
			orders = append(orders, split)
		}
		for range 1 + r.IntN(3) {
			var split []price
			for range r.IntN(3000) {
				p := price{Item: fmt.Sprint("k", r.IntN(300)), Cent: r.Int64N(10_000)}
				split = append(split, p)
				m := model[p.Item]
				m[1] += p.Cent
				model[p.Item] = m
			}
			prices = append(prices, split)
		}
		var want []string
		for k, m := range model {
			want = append(want, fmt.Sprint(k, " ", m[0], " ", m[1]))
		}
		slices.Sort(want)
		p, q, own := flow.Parallelism(1+r.IntN(2)), flow.Parallelism(1+r.IntN(3)), flow.Parallelism(1+r.IntN(3))
		at := func(event) time.Time { return time.Unix(0, 0) }
		if round%3 == 0 {
			equal(t, restarted(t, func(j *flow.Job, x *restarting) flow.Stream[string] {
				return enrich(flow.From(j, "orders", halves(x, orders...), p).EventTime(at), flow.From(j, "prices", halves(x, prices...), q), own)
			}), want)
			continue
		}
		equal(t, output(t, func(j *flow.Job) flow.Stream[string] {
			return enrich(flow.From(j, "orders", of(orders...), p).EventTime(at), flow.From(j, "prices", of(prices...), q), own)
		}), want)
	}
}

// One stream may be both inputs.
func TestConnectWithItself(t *testing.T) {
	got := output(t, func(j *flow.Job) flow.Stream[string] {
		s := flow.KeyBy(flow.From(j, "numbers", of(numbers(0, 1000))), func(i int) int { return i % 7 })
		return flow.Connect(s, s, "twice", func(op *flow.Op[int]) flow.Handler2[int, int, int, string] {
			emit := func(side string) func(*flow.Ctx[int], int, *flow.Out[string]) error {
				return func(c *flow.Ctx[int], v int, out *flow.Out[string]) error {
					if c.Key() != v%7 {
						return fmt.Errorf("key %d of %d", c.Key(), v)
					}
					out.Emit(fmt.Sprintf("%s%04d", side, v))
					return nil
				}
			}
			return flow.Handler2[int, int, int, string]{Left: emit("l"), Right: emit("r")}
		})
	})
	var want []string
	for _, side := range []string{"l", "r"} {
		for i := range 1000 {
			want = append(want, fmt.Sprintf("%s%04d", side, i))
		}
	}
	equal(t, got, want)
}

// gated is a source whose records after the first wait until something has happened.
type gated[T any] struct {
	fixed[T]
	first int
	open  func() bool
}

func (s gated[T]) Reader(t flow.Task, split []byte) (flow.Reader[T], error) {
	in, err := s.fixed.Reader(t, split)
	if err != nil {
		return nil, err
	}
	return &gatedReader[T]{in.(*fixedReader[T]), s}, nil
}

type gatedReader[T any] struct {
	*fixedReader[T]
	s gated[T]
}

func (g *gatedReader[T]) Read(dst []T) (int, flow.Next, error) {
	switch {
	case g.at < g.s.first:
		return g.fixedReader.Read(dst[:1])
	case !g.s.open():
		return 0, flow.WaitUntil(time.Now().Add(time.Millisecond)), nil
	}
	return g.fixedReader.Read(dst)
}

// The watermark of several inputs is the lowest one's: a window waits for the input that is behind, also after the others have ended; but not for
// one that is idle.
func TestWatermarkOfSeveralInputs(t *testing.T) {
	at := func(i int) time.Time { return time.Unix(int64(i), 0) }
	count := func(j *flow.Job, s flow.Stream[int]) flow.Stream[string] {
		w := flow.KeyBy(s, func(int) bool { return true }).Window(flow.Tumbling(1000 * time.Second))
		return flow.AggregateThen(w, "count", flow.Count[int](), func(p flow.Pane[bool, int64], out *flow.Out[string]) error {
			out.Emit(fmt.Sprintf("%05d %d", p.Start.Unix(), p.Value))
			return nil
		})
	}
	want := []string{"00000 2000", "01000 2000", "02000 2000"}
	for _, connected := range []bool{false, true} {
		// The one that is behind begins only when the other has been read to its end: had the watermark been the other's, all its records were late.
		done := &collected[int]{}
		all := func() bool { done.mu.Lock(); defer done.mu.Unlock(); return len(done.values) == 3000 }
		got := output(t, func(j *flow.Job) flow.Stream[string] {
			ahead := flow.From(j, "ahead", of(numbers(0, 3000)), flow.Parallelism(1))
			flow.To(ahead, "seen", flow.Sink[int](done))
			behind := flow.From(j, "behind", flow.Source[int](gated[int]{fixed[int]{numbers(0, 3000)}, 0, all}), flow.Parallelism(1))
			return count(j, join(connected, ahead.EventTime(at), behind.EventTime(at)))
		})
		equal(t, got, want)

		// An idle input holds nobody up: it gives its second record only after the window of the first is out.
		c := &collected[string]{}
		out := func() bool { c.mu.Lock(); defer c.mu.Unlock(); return slices.Contains(c.values, "00000 1001") }
		if err := run(t, func(j *flow.Job) {
			busy := flow.From(j, "busy", of(numbers(0, 3000)), flow.Parallelism(1))
			quiet := flow.From(j, "quiet", flow.Source[int](gated[int]{fixed[int]{{5, 9999}}, 1, out}), flow.Parallelism(1))
			s := join(connected, busy.EventTime(at), quiet.EventTime(at, flow.Idle(20*time.Millisecond)))
			flow.To(count(j, s), "sink", flow.Sink[string](c))
		}); err != nil {
			t.Fatal(err)
		}
		slices.Sort(c.values)
		equal(t, c.values, []string{"00000 1001", "01000 1000", "02000 1000", "09000 1"})
	}
}

// join makes one stream of two, by one or the other operator.
func join(connected bool, a, b flow.Stream[int]) flow.Stream[int] {
	if !connected {
		return a.Union(b)
	}
	key := func(i int) int { return i }
	return flow.Connect(flow.KeyBy(a, key), flow.KeyBy(b, key), "join", func(*flow.Op[int]) flow.Handler2[int, int, int, int] {
		pass := func(_ *flow.Ctx[int], v int, out *flow.Out[int]) error { out.Emit(v); return nil }
		return flow.Handler2[int, int, int, int]{Left: pass, Right: pass}
	})
}
