package main

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/internal/stream"
)

// event is a record: when it was, or should have been, made.
type event struct {
	Key     uint64
	Created int64 // nanoseconds since 1970
}

// newest gives the last record of a key: what the sink needs to see when it was made.
var newest = flow.Aggregator[event, event, event]{
	Add:    func(a *event, v event) { *a = v },
	Merge:  func(a, b *event) { *a = *b },
	Result: func(a *event) event { return *a },
}

func graph(src *source, dst *sink) (*stream.Graph, error) {
	return flow.Build("latency", 1, func(j *flow.Job) error {
		keyed := flow.KeyBy(flow.From(j, "generate", src), func(e event) uint64 { return e.Key })
		flow.To(flow.Rolling(keyed, "newest", newest, flow.StartChain()), "measure", dst)
		return nil
	})
}

// orders are what a source is to make.
type orders struct {
	rate  float64 // records/s; 0: as many as it can
	total int64   // at that rate; 0: without end
}

// source makes records at a rate that the driver sets.
type source struct {
	keys   uint64
	orders atomic.Pointer[orders] // nil: none
	reader atomic.Pointer[reader]
	ready  chan struct{}
}

func (s *source) Enumerator(flow.Task, [][]byte) (flow.Enumerator, error) {
	return flow.InOrder([][]byte{{0}}), nil
}

func (s *source) Reader(t flow.Task, _ []byte) (flow.Reader[event], error) {
	r := &reader{source: s, task: t, x: 0x2545f4914f6cdd1d}
	s.reader.Store(r)
	close(s.ready)
	return r, nil
}

func (s *source) order(o *orders) {
	s.orders.Store(o)
	s.reader.Load().task.Wake()
}

type reader struct {
	source *source
	task   flow.Task
	x      uint64
	orders *orders
	since  time.Time
	given  int64 // of these orders
}

func (r *reader) Read(dst []event) (int, flow.Next, error) {
	o := r.source.orders.Load()
	if o == nil || o == r.orders && o.total > 0 && r.given == o.total {
		return 0, flow.WaitWake, nil
	}
	now := time.Now()
	if o != r.orders {
		r.orders, r.since, r.given = o, now, 0
	}
	n, next := len(dst), flow.Again
	created, step := now.UnixNano(), float64(0)
	if o.rate > 0 {
		// A record is made at its time, whenever that is noticed: what the machine or the job holds up counts.
		due := int64(now.Sub(r.since).Seconds()*o.rate) + 1
		if o.total > 0 {
			due = min(due, o.total)
		}
		n = int(min(int64(n), due-r.given))
		created, step = r.since.UnixNano(), 1e9/o.rate
		switch r.given + int64(n) {
		case o.total:
			next = flow.WaitWake
		case due:
			next = flow.WaitUntil(r.since.Add(time.Duration(float64(due) * step)))
		}
	}
	x := r.x
	for i := range dst[:n] {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		high, _ := bits.Mul64(x, r.source.keys)
		dst[i] = event{high + 1, created + int64(float64(r.given+int64(i))*step)}
	}
	r.x = x
	r.given += int64(n)
	return n, next, nil
}

func (r *reader) Position() []byte { return []byte{0} }
func (r *reader) Close() error     { return nil }

// sink measures.
type sink struct {
	mu     sync.Mutex
	window *window
}

func (s *sink) turn(w *window) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.window = w
}

func (s *sink) Writer(flow.Task) (flow.Writer[flow.Entry[uint64, event]], error) { return s, nil }

func (s *sink) Write(values []flow.Entry[uint64, event]) error {
	now := time.Now().UnixNano()
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.window; w != nil {
		for _, v := range values {
			w.delay.Add(time.Duration(now-v.Value.Created), 1)
		}
		if w.records += int64(len(values)); w.records == w.expected {
			close(w.through)
		}
	}
	return nil
}

func (s *sink) Close() error { return nil }
