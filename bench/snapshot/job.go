package main

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/internal/stream"
)

// total is the aggregate: 16 bytes.
type total struct{ N, Sum int64 }

func graph(src *source, dst *sink) (*stream.Graph, error) {
	return flow.Build("snapshot", 1, func(j *flow.Job) error {
		in := flow.From(j, "generate", src)
		keyed := flow.KeyBy(in, func(v uint64) uint64 { return v })
		flow.To(flow.Rolling(keyed, "total", flow.Aggregator[uint64, total, int64]{
			Add:    func(t *total, v uint64) { t.N++; t.Sum += int64(v) },
			Merge:  func(t, u *total) { t.N += u.N; t.Sum += u.Sum },
			Result: func(t *total) int64 { return t.Sum },
		}), "measure", dst)
		return nil
	})
}

// Orders to the source, which the driver changes while it runs.
type orders struct {
	keys   uint64  // 1..keys, at random
	inTurn bool    // else each once, in turn
	rate   float64 // records/s; 0: as many as it can
	limit  int64   // how many; 0: no end
}

// source follows orders. Reading, the task and the sink are one goroutine: begun is when the batch in hand should have been made.
type source struct {
	orders atomic.Pointer[orders]
	begun  time.Time
	given  atomic.Int64 // of these orders, and through
	reader atomic.Pointer[reader]
	ready  chan struct{}
}

func (s *source) Enumerator(flow.Task, [][]byte) (flow.Enumerator, error) {
	return flow.InOrder([][]byte{{0}}), nil
}

func (s *source) Reader(t flow.Task, _ []byte) (flow.Reader[uint64], error) {
	r := &reader{source: s, task: t, x: 0x2545f4914f6cdd1d}
	s.reader.Store(r)
	close(s.ready)
	return r, nil
}

// order replaces the orders.
func (s *source) order(o orders) {
	s.given.Store(0)
	s.orders.Store(&o)
	s.reader.Load().task.Wake()
}

type reader struct {
	source *source
	task   flow.Task
	x      uint64
	now    *orders
	since  time.Time
	given  int64
}

func (r *reader) Read(dst []uint64) (int, flow.Next, error) {
	o := r.source.orders.Load()
	if o == nil {
		return 0, flow.WaitWake, nil
	}
	now := time.Now()
	if o != r.now {
		r.now, r.since, r.given = o, now, 0
	}
	r.source.given.Store(r.given) // all of it is through: the chain is one goroutine
	n := int64(len(dst))
	if o.limit > 0 {
		if n = min(n, o.limit-r.given); n == 0 {
			return 0, flow.WaitWake, nil
		}
	}
	r.source.begun = now
	if o.rate > 0 {
		due := r.since.Add(time.Duration(float64(r.given) / o.rate * 1e9))
		if due.After(now) {
			return 0, flow.WaitUntil(due), nil
		}
		r.source.begun = due
	}
	if o.inTurn {
		for i := range dst[:n] {
			dst[i] = uint64(r.given+int64(i))%o.keys + 1
		}
	} else {
		x := r.x
		for i := range dst[:n] {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
			high, _ := bits.Mul64(x, o.keys)
			dst[i] = high + 1
		}
		r.x = x
	}
	r.given += n
	return int(n), flow.Again, nil
}

func (r *reader) Position() []byte { return []byte{0} }
func (r *reader) Close() error     { return nil }

// sink measures how long after it should have been made a batch is through.
type sink struct {
	source *source
	window atomic.Pointer[result]
}

func (s *sink) Writer(flow.Task) (flow.Writer[flow.Entry[uint64, int64]], error) { return s, nil }

func (s *sink) Write(values []flow.Entry[uint64, int64]) error {
	if w := s.window.Load(); w != nil {
		w.records += int64(len(values))
		w.pause.Add(time.Since(s.source.begun), int64(len(values)))
	}
	return nil
}

func (s *sink) Close() error { return nil }
