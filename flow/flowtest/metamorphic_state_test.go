package flowtest

import (
	"time"

	"github.com/thalweg-io/thalweg/flow"
)

// Operators over collections of state. What they give for a record tells how many there are, which is the same in any order; what they give at
// the end tells of all.

// atEnd has a function say at the end what becomes of each key.
func atEnd(op *flow.Op[int64], give func(key int64) item) *flow.Timer[int64, item] {
	return flow.NewTimer(op, "end", func(c *flow.Ctx[int64], _ time.Time, out *flow.Out[item]) error {
		out.Emit(give(c.Key()))
		return nil
	})
}

// full is how many a list takes before it is given up.
func (o op) full() int64 { return o.a + 2 }

// listing gives lists up when they are full.
func (o op) listing(op *flow.Op[int64]) flow.Handler[int64, item, item] {
	list := flow.NewList[item](op, "list")
	end := atEnd(op, func(key int64) item {
		n := int64(0)
		for range list.All() {
			n++
		}
		list.Clear()
		return item{Key: key, V: -n}
	})
	return flow.Handler[int64, item, item]{Record: func(c *flow.Ctx[int64], v item, out *flow.Out[item]) error {
		end.Set(c, theEnd)
		list.Append(v)
		n := int64(list.Len())
		out.Emit(item{Key: c.Key(), V: n})
		if n == o.full() {
			list.Clear()
		}
		return nil
	}}
}

// mapping counts the records of a key by a part of their value, and begins anew when one is often enough there.
func (o op) mapping(op *flow.Op[int64]) flow.Handler[int64, item, item] {
	counts := flow.NewMapState[[2]int64, int64](op, "counts")
	end := atEnd(op, func(key int64) item {
		sum, n := int64(0), int64(0)
		for part, count := range counts.All() {
			sum += (part[0]*31 + part[1] + 1) * count
			n++
		}
		if n != int64(counts.Len()) {
			sum = -1
		}
		counts.Clear()
		return item{Key: key, V: -sum}
	})
	return flow.Handler[int64, item, item]{Record: func(c *flow.Ctx[int64], v item, out *flow.Out[item]) error {
		end.Set(c, theEnd)
		part := o.part(v)
		counts.Update(part, func(n *int64) { *n++ })
		n, _ := counts.Get(part)
		out.Emit(item{Key: c.Key(), V: n})
		if n == o.full() {
			counts.Delete(part)
		}
		return nil
	}}
}

func (o op) part(v item) [2]int64 { return [2]int64{v.V % (o.b + 1), v.V % 2} }

// reducing gives at the end what was folded: by two kinds of state.
func (o op) reducing(op *flow.Op[int64]) flow.Handler[int64, item, item] {
	highest := flow.NewReducing[int64](op, "highest", func(a *int64, v int64) { *a = max(*a, v) })
	texts := flow.NewAggregating(op, "summary", summaries())
	end := atEnd(op, func(key int64) item {
		high, _ := highest.Get()
		s, _ := texts.Get()
		highest.Clear()
		texts.Clear()
		return item{Key: key, V: high*7 + s.First*1_000_003 + s.Second.First*31 + s.Second.Second}
	})
	return flow.Handler[int64, item, item]{Record: func(c *flow.Ctx[int64], v item, _ *flow.Out[item]) error {
		end.Set(c, theEnd)
		highest.Add(v.V)
		texts.Add(v)
		return nil
	}}
}

// interpretState is what these operators make of all records of a key.
func (o op) interpretState(key int64, items []item) (out []item) {
	switch o.kind {
	case "list":
		n := int64(0)
		for range items {
			n++
			out = append(out, item{Key: key, V: n})
			n %= o.full()
		}
		out = append(out, item{Key: key, V: -n})
	case "map state":
		counts := map[[2]int64]int64{}
		for _, v := range items {
			part := o.part(v)
			counts[part]++
			out = append(out, item{Key: key, V: counts[part]})
			counts[part] %= o.full()
		}
		sum := int64(0)
		for part, count := range counts {
			sum += (part[0]*31 + part[1] + 1) * count
		}
		out = append(out, item{Key: key, V: -sum})
	case "reducing":
		s := summed(items)
		out = append(out, item{Key: key, V: s.Second.Second*7 + s.First*1_000_003 + s.Second.First*31 + s.Second.Second})
	}
	return out
}
