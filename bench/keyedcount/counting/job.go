package counting

import (
	"fmt"

	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/internal/state/bareloop"
	"github.com/thalweg-io/thalweg/internal/stream"
)

// mark is the key of no record that was generated. It ends a portion of records: the operator answers it with a record, by which the measuring
// side knows that everything before it has been counted.
const mark = 0

// Observer is given each key and its count so far, from the sink's task.
type Observer func(key uint64, count int64)

// New makes the job of a shape. A nil observer is nobody: the sink looks at marks alone.
func New(s Shape, o Observer) (*stream.Graph, *Control, error) {
	if s.Keys == 0 {
		return nil, nil, fmt.Errorf("keyed count: no keys; there has to be at least one")
	}
	c := &Control{ready: make(chan struct{}), marks: make(chan struct{}, 1)}
	var g *stream.Graph
	var err error
	switch s.record() {
	case Number:
		g, err = graph(s, numbers, c, o)
	case Wide:
		g, err = graph(s, rows(), c, o)
	case String:
		g, err = graph(s, words(s.Keys), c, o)
	default:
		return nil, nil, fmt.Errorf("keyed count: no record %q; there are %s, %s and %s", s.Record, Number, Wide, String)
	}
	return g, c, err
}

// graph is the job, as a user writes it.
func graph[R any, K comparable](s Shape, f form[R, K], c *Control, o Observer) (*stream.Graph, error) {
	src := &source[R, K]{form: f, Control: c, keys: keys{Generator: bareloop.NewGenerator(s.Keys)}}
	if s.Zipf {
		src.keys.drawn = Zipf(s.Keys)
	}
	if s.Operator != "" && s.Operator != Rolling && s.Operator != Process && s.Operator != Pair {
		return nil, fmt.Errorf("keyed count: no operator %q; there are %s, %s and %s", s.Operator, Rolling, Process, Pair)
	}
	return flow.Build("keyed count", 1, func(j *flow.Job) error {
		records := flow.From(j, "generate", flow.Source[R](src))
		if s.SourceOnly {
			flow.To(records, "discard", flow.Sink[R](dropping[R, K]{f, c}))
			return nil
		}
		if s.record() == Number {
			records = flow.Map(records, "map", func(r R) R { return r })
		} else { // what is returned and does not fit into registers goes through memory
			records = flow.MapInto(records, "map", func(in, out *R) { *out = *in })
		}
		var apart []flow.Option
		if s.Exchange {
			apart = append(apart, flow.StartChain())
		}
		keyed := flow.KeyBy(records, f.key)
		switch s.operator() {
		case Process:
			discardTo(flow.Process(keyed, "count", count[R, K], apart...), f, c, o, func(n int64) int64 { return n })
		case Pair:
			discardTo(flow.Rolling(keyed, "count", pairs[R](), apart...), f, c, o, func(t Tally) int64 { return t.Count })
		default:
			discardTo(flow.Rolling(keyed, "count", flow.Count[R](), apart...), f, c, o, func(n int64) int64 { return n })
		}
		return nil
	})
}

// count gives the count so far for every record.
func count[R any, K comparable](op *flow.Op[K]) flow.Handler[K, R, flow.Entry[K, int64]] {
	counts := flow.NewValue[int64](op, "count")
	var now int64
	increment := func(n *int64) { *n++; now = *n }
	return flow.Handler[K, R, flow.Entry[K, int64]]{Record: func(c *flow.Ctx[K], _ R, out *flow.Out[flow.Entry[K, int64]]) error {
		counts.Update(increment)
		out.Emit(flow.Entry[K, int64]{Key: c.Key(), Value: now})
		return nil
	}}
}

// Tally is a value of 16 bytes.
type Tally struct{ Count, Sum int64 }

func pairs[R any]() flow.Aggregator[R, Tally, Tally] {
	return flow.Aggregator[R, Tally, Tally]{
		Add:    func(t *Tally, _ R) { t.Count++; t.Sum += t.Count },
		Merge:  func(a, b *Tally) { a.Count += b.Count; a.Sum += b.Sum },
		Result: func(t *Tally) Tally { return *t },
	}
}

// discard is the sink. It tells of marks.
type discard[K comparable, V any] struct {
	c      *Control
	number func(K) uint64
	count  func(V) int64
	o      Observer
}

func discardTo[R any, K comparable, V any](s flow.Stream[flow.Entry[K, V]], f form[R, K], c *Control, o Observer, count func(V) int64) {
	flow.To(s, "discard", flow.Sink[flow.Entry[K, V]](discard[K, V]{c, f.number, count, o}))
}

// Writer implements flow.Sink.
func (d discard[K, V]) Writer(flow.Task) (flow.Writer[flow.Entry[K, V]], error) { return d, nil }

// Write implements flow.Writer. A mark is the last record of its portion, and so of its batch.
func (d discard[K, V]) Write(values []flow.Entry[K, V]) error {
	if d.o != nil {
		for _, v := range values {
			d.o(d.number(v.Key), d.count(v.Value))
		}
	}
	if d.number(values[len(values)-1].Key) == mark {
		d.c.marks <- struct{}{}
	}
	return nil
}

// Close implements flow.Writer.
func (d discard[K, V]) Close() error { return nil }

// dropping is the sink of a source alone.
type dropping[R any, K comparable] struct {
	form[R, K]
	c *Control
}

// Writer implements flow.Sink.
func (d dropping[R, K]) Writer(flow.Task) (flow.Writer[R], error) { return d, nil }

// Write implements flow.Writer.
func (d dropping[R, K]) Write(values []R) error {
	if d.number(d.key(values[len(values)-1])) == mark {
		d.c.marks <- struct{}{}
	}
	return nil
}

// Close implements flow.Writer.
func (d dropping[R, K]) Close() error { return nil }
