package main

import (
	"fmt"
	"sync/atomic"

	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/internal/state/bareloop"
	"github.com/thalweg-io/thalweg/internal/stream"
)

// mark is a key that the generator never gives. It ends a portion of records: the operator answers it with a record, by which the measuring
// side knows that everything before it has been counted.
const mark = 0

// Counted is what the operator makes.
type Counted = flow.Entry[uint64, int64]

// shape is how the job is laid out.
type shape struct {
	keys     uint64
	exchange bool // the count is a task of its own, else everything is one chain
	process  bool // the count is written with Process and a Value, else it is a Rolling count
}

// graph is the job, as a user writes it.
func (s shape) graph(src *source, dst flow.Sink[Counted]) (*stream.Graph, error) {
	return flow.Build("keyed count", 1, func(j *flow.Job) error {
		keys := flow.Map(flow.From(j, "generate", src), "key", func(v uint64) uint64 { return v })
		var apart []flow.Option
		if s.exchange {
			apart = append(apart, flow.StartChain())
		}
		keyed := flow.KeyBy(keys, func(v uint64) uint64 { return v })
		if s.process {
			flow.To(flow.Process(keyed, "count", count, apart...), "discard", dst)
		} else {
			flow.To(flow.Rolling(keyed, "count", flow.Count[uint64](), apart...), "discard", dst)
		}
		return nil
	})
}

// count gives the count so far for every record.
func count(op *flow.Op[uint64]) flow.Handler[uint64, uint64, Counted] {
	counts := flow.NewValue[int64](op, "count")
	var now int64
	increment := func(n *int64) { *n++; now = *n }
	return flow.Handler[uint64, uint64, Counted]{Record: func(_ *flow.Ctx[uint64], key uint64, out *flow.Out[Counted]) error {
		counts.Update(increment)
		out.Emit(Counted{Key: key, Value: now})
		return nil
	}}
}

// source gives the records that it is granted, a mark behind each portion, and never ends.
type source struct {
	keys    uint64
	granted atomic.Int64 // records of the generator, given or not
	reading atomic.Pointer[reader]
	ready   chan struct{} // closed by the first read
}

func newSource(keys uint64) *source { return &source{keys: keys, ready: make(chan struct{})} }

// grant lets n more records be given. The portion before has to be through.
func (s *source) grant(n int) {
	s.granted.Add(int64(n))
	s.reading.Load().task.Wake()
}

// Enumerator implements flow.Source.
func (s *source) Enumerator(flow.Task, [][]byte) (flow.Enumerator, error) {
	return flow.InOrder([][]byte{{0}}), nil
}

// Reader implements flow.Source.
func (s *source) Reader(t flow.Task, _ []byte) (flow.Reader[uint64], error) {
	return &reader{source: s, task: t, g: bareloop.NewGenerator(s.keys)}, nil
}

// reader belongs to the source's task.
type reader struct {
	source *source
	task   flow.Task
	g      bareloop.Generator
	given  int64
}

func (r *reader) Read(dst []uint64) (int, flow.Next, error) {
	if r.source.reading.CompareAndSwap(nil, r) {
		close(r.source.ready)
	}
	left := r.source.granted.Load() - r.given
	if left == 0 {
		return 0, flow.WaitWake, nil
	}
	// One place is kept for the mark: it shares the batch of its portion's last record, so left == 0 says that it was given too.
	n := min(int64(len(dst))-1, left)
	g := r.g
	for i := range dst[:n] {
		dst[i] = g.Next()
	}
	r.g, r.given = g, r.given+n
	if n < left {
		return int(n), flow.Again, nil
	}
	dst[n] = mark
	return int(n) + 1, flow.WaitWake, nil
}

func (r *reader) Position() []byte { return fmt.Appendf(nil, "%d", r.given) }
func (r *reader) Close() error     { return nil }

// discard is the sink. It tells of marks.
type discard struct{ marks chan struct{} }

// Writer implements flow.Sink.
func (d discard) Writer(flow.Task) (flow.Writer[Counted], error) { return d, nil }

// Write implements flow.Writer. A mark is the last record of its portion, and so of its batch.
func (d discard) Write(values []Counted) error {
	if values[len(values)-1].Key == mark {
		d.marks <- struct{}{}
	}
	return nil
}

// Close implements flow.Writer.
func (d discard) Close() error { return nil }
