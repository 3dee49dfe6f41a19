package flowtest

import (
	"slices"
	"strings"
	"time"

	"github.com/thalweg-io/thalweg/flow"
)

// Operators with two inputs or two outputs. The inputs are two sources, or two parts of one stream.

// two reports whether an operator has two inputs.
func (o op) two() bool {
	return slices.Contains([]string{"connect", "join", "intervaljoin", "sliding join", "late join", "late intervaljoin"}, o.kind)
}

// left is the part of a stream that is the first input.
func (v item) left() bool { return v.V%2 == 0 }

func (o op) joinSize() time.Duration  { return time.Duration(o.a*9) * time.Millisecond }
func (o op) joinSlide() time.Duration { return time.Duration(o.b*4) * time.Millisecond }
func (o op) lower() time.Duration     { return time.Duration(o.b-4) * 5 * time.Millisecond }
func (o op) upper() time.Duration     { return o.lower() + time.Duration(o.a)*6*time.Millisecond }

// paired is what a join makes of two; at is the time of that, which the function of a sliding join cannot know.
func paired(a, b item, at int64) item { return item{Key: a.Key, V: (a.V*7 + b.V) % 1009, At: at} }

// lastOf is the last moment of the tumbling join window of a time.
func (o op) lastOf(at int64) int64 {
	size := int64(o.joinSize())
	return at - ((at%size)+size)%size + size - 1
}

// addTwo adds an operator with two inputs.
func (o op) addTwo(left, right flow.Stream[item], name string, options []flow.Option) flow.Stream[item] {
	a, b := flow.KeyBy(left, key), flow.KeyBy(right, key)
	switch o.kind {
	case "late join", "late intervaljoin":
		return o.addLateJoin(left, right, name, options)
	case "connect":
		return flow.Connect(a, b, name, o.connecting, options...)
	case "join":
		return flow.Join(a, b, flow.Tumbling(o.joinSize()), name, func(a, b item, out *flow.Out[item]) error {
			out.Emit(paired(a, b, o.lastOf(a.At)))
			return nil
		}, options...)
	case "sliding join":
		return flow.Join(a, b, flow.Sliding(o.joinSize(), o.joinSlide()), name, func(a, b item, out *flow.Out[item]) error {
			out.Emit(paired(a, b, 0))
			return nil
		}, options...)
	}
	return flow.IntervalJoin(a, b, o.lower(), o.upper(), name, func(a, b item, out *flow.Out[item]) error {
		out.Emit(paired(a, b, max(a.At, b.At)))
		return nil
	}, options...)
}

// connecting passes records on, and gives at the end how many of each input a key has had.
func (o op) connecting(op *flow.Op[int64]) flow.Handler2[int64, item, item, item] {
	counts := flow.NewMapState[int64, int64](op, "counts")
	end := flow.NewTimer(op, "end", func(c *flow.Ctx[int64], _ time.Time, out *flow.Out[item]) error {
		lefts, _ := counts.Get(0)
		rights, _ := counts.Get(1)
		counts.Clear()
		out.Emit(counted(c.Key(), lefts, rights))
		return nil
	})
	input := func(which int64) func(c *flow.Ctx[int64], v item, out *flow.Out[item]) error {
		return func(c *flow.Ctx[int64], v item, out *flow.Out[item]) error {
			end.Set(c, theEnd)
			counts.Update(which, func(n *int64) { *n++ })
			out.Emit(connected(v, which))
			return nil
		}
	}
	return flow.Handler2[int64, item, item, item]{Left: input(0), Right: input(1)}
}

func connected(v item, which int64) item { v.V = (v.V*3 + which) % 1009; return v }
func counted(key, lefts, rights int64) item {
	return item{Key: key, V: (lefts*13 + rights) % 1009, At: theEnd.UnixNano()}
}

// interpretTwo is what an operator with two inputs makes of all records of a key.
func (o op) interpretTwo(key int64, items []item, apart bool) (out []item) {
	var lefts, rights []item
	for _, v := range items {
		if apart && v.Tag == 0 || !apart && v.left() {
			lefts = append(lefts, v)
		} else {
			rights = append(rights, v)
		}
	}
	if o.kind == "connect" {
		for _, v := range lefts {
			out = append(out, connected(v, 0))
		}
		for _, v := range rights {
			out = append(out, connected(v, 1))
		}
		return append(out, counted(key, int64(len(lefts)), int64(len(rights))))
	}
	for _, a := range lefts {
		for _, b := range rights {
			out = append(out, o.pairs(a, b)...)
		}
	}
	return out
}

// pairs is what a join makes of two records of a key.
func (o op) pairs(a, b item) (out []item) {
	switch strings.TrimPrefix(o.kind, "late ") {
	case "join":
		if last := o.lastOf(a.At); last == o.lastOf(b.At) {
			out = append(out, paired(a, b, last))
		}
	case "intervaljoin":
		if d := time.Duration(b.At - a.At); d >= o.lower() && d <= o.upper() {
			out = append(out, paired(a, b, max(a.At, b.At)))
		}
	case "sliding join":
		size, slide := int64(o.joinSize()), int64(o.joinSlide())
		low, high := min(a.At, b.At), max(a.At, b.At)
		for begin := low - ((low%slide)+slide)%slide; begin > high-size; begin -= slide {
			out = append(out, paired(a, b, 0))
		}
	}
	return out
}

var sideItems = flow.NewSideOutput[item]("side")

// aside sends some records a way of their own, which joins the others again: at once, or when the watermark has come to their time.
func (o op) aside(s flow.Stream[item], name string, options []flow.Option) flow.Stream[item] {
	rest := flow.Process(flow.KeyBy(s, key), name, func(op *flow.Op[int64]) flow.Handler[int64, item, item] {
		side, held := flow.NewSide(op, sideItems), flow.NewMapState[item, int64](op, "held")
		due := flow.NewTimer(op, "due", func(_ *flow.Ctx[int64], at time.Time, _ *flow.Out[item]) error {
			for v, n := range held.All() {
				if v.time().Equal(at) {
					held.Delete(v)
					for range n {
						side.Emit(v)
					}
				}
			}
			return nil
		})
		return flow.Handler[int64, item, item]{Record: func(c *flow.Ctx[int64], v item, out *flow.Out[item]) error {
			switch {
			case o.kept(v):
				out.Emit(v)
			case o.b%2 == 0:
				side.Emit(v)
			default:
				held.Update(v, func(n *int64) { *n++ })
				due.Set(c, v.time())
			}
			return nil
		}}
	}, options...)
	return rest.Union(flow.Map(flow.ReadSide(rest, sideItems), name+" aside", func(v item) item { return nth(v, 1) }))
}

func (o op) asided(v item) item {
	if o.kept(v) {
		return v
	}
	return nth(v, 1)
}
