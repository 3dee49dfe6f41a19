package flowtest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/thalweg-io/thalweg/flow"
)

// The operators of random jobs, twice: as a user writes them, and as an interpreter over slices and maps. What they give does not depend on the
// order in which records of different splits come.

// build makes the job.
func (c *randomJob) build(j *flow.Job, sources []*Source[item], sink *Sink[item], phase int) {
	var inputs []flow.Stream[item]
	for i, s := range c.sources {
		one := flow.From(j, fmt.Sprint("source", i), sources[i], flow.Parallelism(s.parallelism)).
			EventTime(item.time, flow.OutOfOrder(time.Duration(max(s.bound-c.hurry, 0))))
		inputs = append(inputs, one)
	}
	ops, all := c.ops, inputs[0]
	if c.apart {
		all = ops[0].addTwo(inputs[0], inputs[1], ops[0].kind, ops[0].options(phase))
		ops = ops[1:]
	} else {
		all = all.Union(inputs[1:]...)
	}
	for i, o := range ops {
		if o.rebalance {
			all = all.Rebalance()
		}
		all = o.add(all, fmt.Sprint(o.kind, i), o.options(phase))
	}
	flow.To(all, "sink", sink)
}

func (o op) options(phase int) (options []flow.Option) {
	if n := o.parallelism[phase]; n > 0 {
		options = append(options, flow.Parallelism(n))
	}
	if o.asRecords[phase] {
		options = append(options, flow.NoPreAggregation())
	}
	switch o.chaining[phase] {
	case 0:
		options = append(options, flow.NoChain())
	case 1:
		options = append(options, flow.StartChain())
	}
	return options
}

func key(v item) int64 { return v.Key }

// What the stateless operators do.
func (o op) mapped(v item) item   { v.V = (v.V*o.a + o.b) % 1009; return v }
func (o op) rekeyed(v item) item  { v.Key = v.V % (o.a * 3); return v }
func (o op) kept(v item) bool     { return v.V%(o.a+1) != 0 }
func (o op) copies(v item) int64  { return v.V % (o.b + 1) }
func nth(v item, n int64) item    { v.V += n; return v }
func (o op) size() time.Duration  { return time.Duration(o.a*o.a*17) * time.Millisecond }
func (o op) slide() time.Duration { return time.Duration(o.b*13) * time.Millisecond }

// summary is what a window gives of its records.
type summary = flow.Pair[int64, flow.Pair[int64, int64]]

func summaries() flow.Aggregator[item, flow.Pair[int64, flow.Pair[int64, int64]], summary] {
	value := func(v item) int64 { return v.V }
	return flow.Both(flow.Count[item](), flow.Both(flow.Sum(value), flow.Max(value)))
}

// paneItem is a window's result as a record.
func (o op) paneItem(key int64, begin, end time.Time, s summary) item {
	v := item{Key: key, V: s.First*1_000_003 + s.Second.First*31 + s.Second.Second}
	if !end.IsZero() {
		v.V += begin.UnixNano() % 1_000_003
		v.At = end.UnixNano() - 1
	}
	if strings.HasPrefix(o.kind, "late") { // reduce tells them apart, and more records have a higher V
		v.V, v.Tag = s.First*1_000_003+s.Second.First*31+s.Second.Second, begin.UnixNano()
	}
	return v
}

func (o op) window() flow.Window {
	switch o.kind {
	case "tumbling", "late tumbling", "late aside":
		return flow.Tumbling(o.size())
	case "sliding", "late sliding":
		return flow.Sliding(o.size(), o.slide())
	case "session", "late session":
		return flow.Session(o.slide())
	}
	return flow.Global()
}

// add adds the operator to a job.
func (o op) add(s flow.Stream[item], name string, options []flow.Option) flow.Stream[item] {
	switch o.kind {
	case "map":
		return flow.Map(s, name, o.mapped, options...)
	case "rekey":
		return flow.Map(s, name, o.rekeyed, options...)
	case "filter":
		return s.Filter(name, o.kept, options...)
	case "flatmap":
		return flow.FlatMap(s, name, func(v item, out *flow.Out[item]) error {
			for n := range o.copies(v) {
				out.Emit(nth(v, n))
			}
			return nil
		}, options...)
	case "rolling":
		counts := flow.Rolling(flow.KeyBy(s, key), name, flow.Count[item](), options...)
		return flow.Map(counts, name+" item", func(e flow.Entry[int64, int64]) item { return item{Key: e.Key, V: e.Value} })
	case "process":
		return flow.Process(flow.KeyBy(s, key), name, o.counting, options...)
	case "total":
		return flow.Process(flow.KeyBy(s, key), name, o.totalling, options...)
	case "side":
		return o.aside(s, name, options)
	case "list":
		return flow.Process(flow.KeyBy(s, key), name, o.listing, options...)
	case "map state":
		return flow.Process(flow.KeyBy(s, key), name, o.mapping, options...)
	case "reducing":
		return flow.Process(flow.KeyBy(s, key), name, o.reducing, options...)
	case "late tumbling", "late sliding", "late session", "late aside":
		return o.addLate(s, name, options)
	}
	if o.two() {
		left := s.Filter(name+" left", item.left)
		return o.addTwo(left, s.Filter(name+" right", func(v item) bool { return !v.left() }), name, options)
	}
	return flow.AggregateThen(flow.KeyBy(s, key).Window(o.window()), name, summaries(), func(p flow.Pane[int64, summary], out *flow.Out[item]) error {
		out.Emit(o.paneItem(p.Key, p.Start, p.End, p.Value))
		return nil
	}, options...)
}

// counting numbers the records of each key.
func (o op) counting(op *flow.Op[int64]) flow.Handler[int64, item, item] {
	n := flow.NewValue[int64](op, "n")
	return flow.Handler[int64, item, item]{Record: func(c *flow.Ctx[int64], _ item, out *flow.Out[item]) error {
		n.Update(func(v *int64) { *v++ })
		v, _ := n.Get()
		out.Emit(item{Key: c.Key(), V: v})
		return nil
	}}
}

// theEnd is a time that only the last watermark passes.
var theEnd = time.Unix(0, 1<<60)

// totalling gives the sum of each key at the end.
func (o op) totalling(op *flow.Op[int64]) flow.Handler[int64, item, item] {
	sum := flow.NewValue[int64](op, "sum")
	end := flow.NewTimer(op, "end", func(c *flow.Ctx[int64], _ time.Time, out *flow.Out[item]) error {
		v, _ := sum.Get()
		sum.Clear()
		out.Emit(item{Key: c.Key(), V: v})
		return nil
	})
	return flow.Handler[int64, item, item]{Record: func(c *flow.Ctx[int64], v item, _ *flow.Out[item]) error {
		end.Set(c, theEnd)
		sum.Update(func(s *int64) { *s += v.V })
		return nil
	}}
}

// interpret is what the job has to give, when a join at its end has left some records out as late.
func (c *randomJob) interpret(late []item) (all []item) {
	for _, p := range c.pushes {
		all = append(all, p.items...)
	}
	for i, o := range c.ops {
		if o.lateJoin() {
			for _, v := range late {
				v.Tag -= lateTag
				if at := slices.Index(all, v); at >= 0 {
					all = slices.Delete(all, at, at+1)
				}
			}
		}
		all = o.interpret(all, c.apart && i == 0)
	}
	return append(all, late...)
}

func (o op) interpret(in []item, apart bool) (out []item) {
	switch o.kind {
	case "map", "rekey", "filter", "flatmap", "side":
		for _, v := range in {
			out = append(out, o.interpretOne(v)...)
		}
		return out
	}
	byKey := map[int64][]item{}
	for _, v := range in {
		byKey[v.Key] = append(byKey[v.Key], v)
	}
	for key, items := range byKey {
		if o.two() {
			out = append(out, o.interpretTwo(key, items, apart)...)
		} else {
			out = append(out, o.interpretKey(key, items)...)
		}
	}
	return out
}

func (o op) interpretOne(v item) (out []item) {
	switch {
	case o.kind == "map":
		return []item{o.mapped(v)}
	case o.kind == "rekey":
		return []item{o.rekeyed(v)}
	case o.kind == "filter" && o.kept(v):
		return []item{v}
	case o.kind == "flatmap":
		for n := range o.copies(v) {
			out = append(out, nth(v, n))
		}
	case o.kind == "side":
		return []item{o.asided(v)}
	}
	return out
}

// interpretKey is what a keyed operator makes of all records of a key.
func (o op) interpretKey(key int64, items []item) (out []item) {
	switch o.kind {
	case "rolling", "process":
		for i := range items {
			out = append(out, item{Key: key, V: int64(i + 1)})
		}
	case "total":
		sum := int64(0)
		for _, v := range items {
			sum += v.V
		}
		out = append(out, item{Key: key, V: sum})
	case "global":
		out = append(out, o.paneItem(key, time.Time{}, time.Time{}, summed(items)))
	case "list", "map state", "reducing":
		out = o.interpretState(key, items)
	case "late aside":
		out = append(out, item{Key: key, V: int64(len(items))})
	case "session", "late session":
		out = o.interpretSessions(key, items)
	default:
		out = o.interpretAligned(key, items)
	}
	return out
}

func summed(items []item) summary {
	s := summary{First: int64(len(items)), Second: flow.Pair[int64, int64]{Second: items[0].V}}
	for _, v := range items {
		s.Second.First += v.V
		s.Second.Second = max(s.Second.Second, v.V)
	}
	return s
}

// interpretAligned tries every window that a record may be in.
func (o op) interpretAligned(key int64, items []item) (out []item) {
	size, slide := int64(o.size()), int64(o.slide())
	if o.kind == "tumbling" || o.kind == "late tumbling" {
		slide = size
	}
	windows := map[int64][]item{}
	for _, v := range items {
		for begin := (v.At/slide+1)*slide - size/slide*slide - 3*slide; begin <= v.At; begin += slide {
			if v.At < begin+size {
				windows[begin] = append(windows[begin], v)
			}
		}
	}
	for begin, items := range windows {
		out = append(out, o.paneItem(key, time.Unix(0, begin), time.Unix(0, begin+size), summed(items)))
	}
	return out
}

func (o op) interpretSessions(key int64, items []item) (out []item) {
	gap := int64(o.slide())
	items = slices.SortedFunc(slices.Values(items), func(a, b item) int { return cmp.Compare(a.At, b.At) })
	for from := 0; from < len(items); {
		upto := from + 1
		for upto < len(items) && items[upto].At <= items[upto-1].At+gap {
			upto++
		}
		out = append(out, o.paneItem(key, time.Unix(0, items[from].At), time.Unix(0, items[upto-1].At+gap), summed(items[from:upto])))
		from = upto
	}
	return out
}
