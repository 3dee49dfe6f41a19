package flowtest

import (
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/thalweg-io/thalweg/flow"
)

// Windows whose records come behind the watermark. Which do, and how often a window is given, is a matter of timing; what it says at last is not, as
// long as Lateness is at least as much as event time is ahead of the truth. Nor is the sum of what is given and what is left out.

// lates makes a case one of late records.
func (c *randomJob) lates(r *rand.Rand, some func(kinds []string, upto int)) {
	c.ops = nil
	some(stateless, 2)
	kinds := []string{"late tumbling", "late sliding", "late session", "late aside", "late join", "late intervaljoin"}
	o := op{kind: kinds[r.IntN(len(kinds))], a: 1 + r.Int64N(5), b: 1 + r.Int64N(5), rebalance: r.IntN(2) == 0}
	for i := range 2 {
		o.parallelism[i], o.chaining[i] = r.IntN(5), r.IntN(6)
	}
	c.hurry = 1 + r.Int64N(200)*ms
	o.lateness = time.Duration(c.hurry)
	c.ops = append(c.ops, o)
}

var lateItems = flow.NewSideOutput[item]("late")

func (o op) addLate(s flow.Stream[item], name string, options []flow.Option) flow.Stream[item] {
	give := func(p flow.Pane[int64, summary], out *flow.Out[item]) error {
		out.Emit(o.paneItem(p.Key, p.Start, p.End, p.Value))
		return nil
	}
	if o.kind != "late aside" {
		return flow.AggregateThen(flow.KeyBy(s, key).Window(o.window(), flow.Lateness(o.lateness)), name, summaries(), give, options...)
	}
	counts := flow.AggregateThen(flow.KeyBy(s, key).Window(o.window(), flow.LateTo(lateItems)), name, flow.Count[item](), func(p flow.Pane[int64, int64], out *flow.Out[item]) error {
		out.Emit(item{Key: p.Key, V: p.Value})
		return nil
	}, options...)
	return counts.Union(flow.Map(flow.ReadSide(counts, lateItems), name+" late", func(v item) item { return item{Key: v.Key, V: 1} }))
}

// addLateJoin joins, and gives what is late with a Tag of its own.
func (o op) addLateJoin(left, right flow.Stream[item], name string, options []flow.Option) flow.Stream[item] {
	o.kind = strings.TrimPrefix(o.kind, "late ")
	options = append(slices.Clone(options), flow.LateLeftTo(lateItems), flow.LateRightTo(lateItems))
	pairs := o.addTwo(left, right, name, options)
	return pairs.Union(flow.Map(flow.ReadSide(pairs, lateItems), name+" late", func(v item) item { v.Tag += lateTag; return v }))
}

const lateTag = 1 << 20

func (o op) lateJoin() bool { return o.two() && strings.HasPrefix(o.kind, "late ") }

// lateOf is what a join at the end of the job has left out, as it says itself: all others pair as if nothing had been late.
func (c *randomJob) lateOf(results []item) (late []item) {
	if len(c.ops) == 0 || !c.ops[len(c.ops)-1].lateJoin() {
		return nil
	}
	for _, v := range results {
		if v.Tag >= lateTag {
			late = append(late, v)
		}
	}
	return late
}

// reduce leaves of the results what does not depend on timing.
func (c *randomJob) reduce(all []item) (rest []item) {
	if len(c.ops) == 0 || !strings.HasPrefix(c.ops[len(c.ops)-1].kind, "late ") {
		return all
	}
	if c.ops[len(c.ops)-1].lateJoin() {
		return all
	}
	if c.ops[len(c.ops)-1].kind == "late aside" {
		sums := map[int64]int64{}
		for _, v := range all {
			sums[v.Key] += v.V
		}
		for key, sum := range sums {
			rest = append(rest, item{Key: key, V: sum})
		}
		return rest
	}
	type pane struct{ key, begin, last int64 }
	newest := map[pane]item{}
	for _, v := range all {
		at := pane{v.Key, v.Tag, v.At}
		if v.V >= newest[at].V {
			newest[at] = v
		}
	}
	perKey := map[int64][]item{}
	for _, v := range newest {
		perKey[v.Key] = append(perKey[v.Key], v)
	}
	for _, v := range newest {
		if !slices.ContainsFunc(perKey[v.Key], v.within) {
			rest = append(rest, v)
		}
	}
	return rest
}

// within reports whether a pane is a part of another: of a longer session.
func (v item) within(w item) bool {
	return v != w && w.Tag <= v.Tag && v.At <= w.At
}
