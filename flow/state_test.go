package flow_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/flow"
)

type bid struct {
	Item  string
	User  string
	Price int64
}

// topN keeps the n highest bids of each item, one for each user, and gives them at the end of input.
func topN(s flow.Stream[bid], n int, o ...flow.Option) flow.Stream[string] {
	byItem := flow.KeyBy(s.EventTime(func(bid) time.Time { return time.Unix(0, 0) }), func(b bid) string { return b.Item })
	return flow.Process(byItem, "top", func(op *flow.Op[string]) flow.Handler[string, bid, string] {
		best := flow.NewMapState[string, int64](op, "best")
		end := flow.NewTimer(op, "end", func(c *flow.Ctx[string], _ time.Time, out *flow.Out[string]) error {
			var top []bid
			for user, price := range best.All() {
				top = append(top, bid{c.Key(), user, price})
			}
			out.Emit(listed(top))
			return nil
		})
		return flow.Handler[string, bid, string]{Record: func(c *flow.Ctx[string], b bid, _ *flow.Out[string]) error {
			end.Set(c, time.Unix(1, 0))
			best.Update(b.User, func(price *int64) { *price = max(*price, b.Price) })
			if best.Len() <= n {
				return nil
			}
			last := b
			for user, price := range best.All() {
				if x := (bid{b.Item, user, price}); byPrice(x, last) > 0 {
					last = x
				}
			}
			best.Delete(last.User)
			return nil
		}}
	}, o...)
}

func byPrice(a, b bid) int {
	return cmp.Or(cmp.Compare(b.Price, a.Price), strings.Compare(a.User, b.User))
}

func listed(bids []bid) string {
	slices.SortFunc(bids, byPrice)
	text := bids[0].Item
	for _, b := range bids {
		text += fmt.Sprintf(" %s:%d", b.User, b.Price)
	}
	return text
}

// Each user bids once, so that the best n are the same in whatever order the bids come.
func TestTopN(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for round := range 6 {
		n := 1 + r.IntN(5)
		highest := map[string]map[string]int64{}
		var splits [][]bid
		for s := range 3 {
			var split []bid
			for i := range r.IntN(2000) {
				b := bid{fmt.Sprint("item", r.IntN(30)), fmt.Sprint("user", s, ".", i), r.Int64N(1000)}
				split = append(split, b)
				if highest[b.Item] == nil {
					highest[b.Item] = map[string]int64{}
				}
				highest[b.Item][b.User] = b.Price
			}
			splits = append(splits, split)
		}
		var want []string
		for item, users := range highest {
			var all []bid
			for user, price := range users {
				all = append(all, bid{item, user, price})
			}
			slices.SortFunc(all, byPrice)
			want = append(want, listed(all[:min(n, len(all))]))
		}
		slices.Sort(want)
		p := flow.Parallelism(1 + round%3)
		equal(t, output(t, func(j *flow.Job) flow.Stream[string] { return topN(flow.From(j, "bids", of(splits...)), n, p) }), want)
		equal(t, restarted(t, func(j *flow.Job, x *restarting) flow.Stream[string] {
			return topN(flow.From(j, "bids", halves(x, splits...)), n, p)
		}), want)
	}
}

// distinct lets the first record of each kind pass, by key.
func distinct(s flow.Stream[int], o ...flow.Option) flow.Stream[int] {
	return flow.Process(flow.KeyBy(s, func(i int) int { return i % 1000 }), "distinct", func(op *flow.Op[int]) flow.Handler[int, int, int] {
		seen := flow.NewMapState[int, bool](op, "seen")
		return flow.Handler[int, int, int]{Record: func(_ *flow.Ctx[int], v int, out *flow.Out[int]) error {
			if _, ok := seen.Get(v); !ok {
				seen.Put(v, true)
				out.Emit(v)
			}
			return nil
		}}
	}, o...)
}

func TestDeduplication(t *testing.T) {
	in := append(numbers(0, 5000), numbers(2500, 7000)...)
	for _, p := range []flow.Option{flow.Parallelism(1), flow.Parallelism(3)} {
		equal(t, output(t, func(j *flow.Job) flow.Stream[int] { return distinct(flow.From(j, "in", of(in, in)), p) }), numbers(0, 7000))
		equal(t, restarted(t, func(j *flow.Job, x *restarting) flow.Stream[int] {
			return distinct(flow.From(j, "in", halves(x, in, in)), p)
		}), numbers(0, 7000))
	}
}

// Every kind of state of one operator, also behind a restore: what they say at the end is what a program without any would.
func TestKindsOfState(t *testing.T) {
	build := func(s flow.Stream[int]) flow.Stream[string] {
		keyed := flow.KeyBy(s.EventTime(func(int) time.Time { return time.Unix(0, 0) }), func(i int) int { return i % 100 })
		return flow.Process(keyed, "kinds", func(op *flow.Op[int]) flow.Handler[int, int, string] {
			list := flow.NewList[int](op, "list")
			lowest := flow.NewReducing(op, "lowest", func(a *int, v int) { *a = min(*a, v) })
			highest := flow.NewAggregating(op, "highest", flow.Max(func(i int) int { return i }))
			end := flow.NewTimer(op, "end", func(c *flow.Ctx[int], _ time.Time, out *flow.Out[string]) error {
				all := slices.Sorted(list.All())
				low, _ := lowest.Get()
				high, ok := highest.Get()
				out.Emit(fmt.Sprint(c.Key(), " ", len(all), list.Len(), " ", all[0], low, " ", all[len(all)-1], high, ok))
				list.Clear()
				lowest.Clear()
				highest.Clear()
				if _, ok := highest.Get(); ok || list.Len() != 0 {
					return fmt.Errorf("something is left of key %d", c.Key())
				}
				return nil
			})
			return flow.Handler[int, int, string]{Record: func(c *flow.Ctx[int], v int, _ *flow.Out[string]) error {
				list.Append(v)
				lowest.Add(v)
				highest.Add(v)
				end.Set(c, time.Unix(1, 0))
				return nil
			}}
		}, flow.Parallelism(2))
	}
	var want []string
	for k := range 100 {
		want = append(want, fmt.Sprint(k, " ", 50, 50, " ", k, k, " ", 4900+k, 4900+k, true))
	}
	slices.Sort(want)
	equal(t, output(t, func(j *flow.Job) flow.Stream[string] {
		return build(flow.From(j, "in", of(numbers(0, 2000), numbers(2000, 5000))))
	}), want)
	equal(t, restarted(t, func(j *flow.Job, x *restarting) flow.Stream[string] {
		return build(flow.From(j, "in", halves(x, numbers(0, 2000), numbers(2000, 5000))))
	}), want)
}
