package stream

import (
	"sync"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/job"
)

// Partitioner says which subtask of the next vertex gets a record.
type Partitioner[T any] struct {
	Kind   thalwegv1.Partitioning
	Custom func(v T, n int) int // of PARTITIONING_CUSTOM; the result is taken modulo n
}

// flusher is the untyped side of a router, for its task.
type flusher interface {
	// flush sends what is buffered, as far as there is room; force sends all of it, whatever the credit. Its error means that
	// records are lost: no barrier may follow.
	flush(force bool) error
	channels() []*outChannel
}

// router is the end of a chain: it scatters batches over the channels of one edge.
type router[T any] struct {
	t      *task
	codec  codec.Codec[T]
	part   Partitioner[T]
	outs   []*outChannel
	parts  []*Batch[T]
	marks  []int64 // watermark that is to follow what is buffered; NoTime: none
	owner  []int32 // subtask of each key group
	max    int
	next   int
	pool   sync.Pool
	failed error
}

// NewRouter makes the end of a chain that feeds an outgoing edge.
func NewRouter[T any](t *TaskContext, edge int, c codec.Codec[T], p Partitioner[T]) Input[T] {
	r := &router[T]{t: t.task, codec: c, part: p, outs: t.task.openEdge(edge)}
	r.pool.New = func() any { return &Batch[T]{Split: -1} }
	n := len(r.outs)
	r.parts = make([]*Batch[T], n)
	r.marks = make([]int64, n)
	for i := range r.marks {
		r.marks[i] = NoTime
	}
	if p.Kind == thalwegv1.Partitioning_PARTITIONING_HASH {
		r.max = t.task.edgeMaxParallelism(edge)
		r.owner = make([]int32, r.max)
		for g := range r.owner {
			r.owner[g] = int32(job.Owner(g, r.max, n))
		}
	}
	t.task.routers = append(t.task.routers, r)
	return r
}

func (r *router[T]) channels() []*outChannel { return r.outs }

// Push implements Input.
func (r *router[T]) Push(b *Batch[T]) error {
	r.t.counters.AddOut(len(b.Values))
	switch n := len(r.outs); r.part.Kind {
	case thalwegv1.Partitioning_PARTITIONING_FORWARD:
		if n == 1 { // the channel to the subtask of the same number is the only one
			return r.all(0, b)
		}
		return r.all(r.t.id.Subtask%n, b)
	case thalwegv1.Partitioning_PARTITIONING_GLOBAL:
		return r.all(0, b)
	case thalwegv1.Partitioning_PARTITIONING_REBALANCE:
		r.next = (r.next + 1) % n
		return r.all(r.next, b)
	case thalwegv1.Partitioning_PARTITIONING_BROADCAST:
		for i := range n {
			if err := r.all(i, b); err != nil {
				return err
			}
		}
		return nil
	case thalwegv1.Partitioning_PARTITIONING_CUSTOM:
		for i, v := range b.Values {
			to := r.part.Custom(v, n) % n
			if to < 0 {
				to += n
			}
			if err := r.one(to, b, i); err != nil {
				return err
			}
		}
		return nil
	}
	for i, h := range b.Hashes {
		if err := r.one(int(r.owner[job.KeyGroup(h, r.max)]), b, i); err != nil {
			return err
		}
	}
	return nil
}

func (r *router[T]) batch(to int) *Batch[T] {
	p := r.parts[to]
	if p == nil {
		p = r.pool.Get().(*Batch[T])
		r.parts[to] = p
	}
	return p
}

func (r *router[T]) one(to int, b *Batch[T], i int) error {
	p := r.parts[to]
	if p == nil {
		p = r.batch(to)
	}
	p.Values = append(p.Values, b.Values[i])
	p.Times = append(p.Times, b.Times[i])
	if b.Hashes != nil {
		p.Hashes = append(p.Hashes, b.Hashes[i])
	}
	if len(p.Values) >= BatchSize {
		return r.sendFull(to)
	}
	return nil
}

func (r *router[T]) all(to int, b *Batch[T]) error {
	for from := 0; from < len(b.Values); {
		p := r.batch(to)
		n := min(BatchSize-len(p.Values), len(b.Values)-from)
		p.Values = append(p.Values, b.Values[from:from+n]...)
		p.Times = append(p.Times, b.Times[from:from+n]...)
		if b.Hashes != nil {
			p.Hashes = append(p.Hashes, b.Hashes[from:from+n]...)
		}
		from += n
		if len(p.Values) >= BatchSize {
			if err := r.sendFull(to); err != nil {
				return err
			}
		}
	}
	return nil
}

// sendFull sends a full batch, waiting for room: an operator that makes much out of one record blocks here.
func (r *router[T]) sendFull(to int) error {
	for r.outs[to].unconsumed.Load() >= window {
		if err := r.t.waitForRoom(); err != nil {
			return err
		}
	}
	r.send(to)
	return r.failed
}

func (r *router[T]) send(to int) {
	if p := r.parts[to]; p != nil && len(p.Values) > 0 {
		r.parts[to] = nil
		c := r.outs[to]
		c.unconsumed.Add(1)
		if c.local != nil {
			c.local.put(element{kind: records, batch: p, release: func() { p.Reset(); r.pool.Put(p) }})
		} else {
			if err := c.remote.records(func(dst []byte) ([]byte, error) { return appendBatch(dst, r.codec, p) }); err != nil && r.failed == nil {
				r.failed = err
			}
			p.Reset()
			r.pool.Put(p)
		}
	}
	if r.marks[to] != NoTime {
		r.outs[to].control(element{kind: watermark, at: r.marks[to]})
		r.marks[to] = NoTime
	}
}

func (r *router[T]) flush(force bool) error {
	for i, c := range r.outs {
		if force || c.unconsumed.Load() < window {
			r.send(i)
		}
	}
	return r.failed
}

// Watermark implements Input: it goes out behind what is buffered.
func (r *router[T]) Watermark(at int64) error {
	r.t.counters.outMark.set(at)
	for i := range r.marks {
		r.marks[i] = max(r.marks[i], at)
	}
	return r.failed
}

// Idle implements Input.
func (r *router[T]) Idle() error { return r.everyone(element{kind: idle}) }

// SplitEnd implements Input: splits do not leave their chain.
func (r *router[T]) SplitEnd(int32) error { return nil }

// End implements Input.
func (r *router[T]) End() error { return r.everyone(element{kind: end}) }

// everyone sends an element to all channels, behind everything buffered.
func (r *router[T]) everyone(e element) error {
	if err := r.flush(true); err != nil {
		return err
	}
	for _, c := range r.outs {
		c.control(e)
	}
	return r.failed
}
