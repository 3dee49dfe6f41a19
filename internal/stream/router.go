package stream

import (
	"fmt"
	"sync"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/job"
)

// Partitioner says which subtask of the next vertex gets a record.
type Partitioner[T any] struct {
	Kind   thalwegv1.Partitioning
	Custom func(v T, n int) int // of PARTITIONING_CUSTOM; the result is taken modulo n
	// ShipHashes has hashes of PARTITIONING_HASH travel between processes. Those of integers cost less to compute anew than to send.
	ShipHashes bool
}

// flusher is the untyped side of a router, for its task.
type flusher interface {
	// flush sends what is buffered, as far as there is room; force sends all of it, whatever the credit. Its error means that
	// records are lost: no barrier may follow.
	flush(force bool) error
	channels() []*outChannel
}

// router is the end of a chain: it scatters batches over the channels of one edge. What it does to them one by one is in outlet.go.
type router[T any] struct {
	t       *task
	codec   codec.Codec[T]
	by      Partitioner[T]
	weights codec.Weights[T]
	outs    []*outChannel
	outlets []outlet[T]
	common  outlet[T] // of a broadcast: what all of outlets get
	owner   []int32   // subtask of each key group
	max     int       // key groups
	next    int       // of PARTITIONING_REBALANCE
	most    int       // records of a frame, as its bytes allow
	limit   int       // what most may grow to again
	took    int       // bytes of a record, and some more, in the last frame: the next one's buffer need not grow
	packs   bool      // frames are compressed
	pool    sync.Pool
	failed  error

	// Scratch of at most BatchSize records.
	run    Batch[T] // a part of what was pushed
	part   Batch[T] // of run, for one outlet
	framed Batch[T] // of what an outlet sends: one frame's
	weight []int    // of each record of run; nil: they are even
	to     []int32  // outlet of each record
	order  []int32  // records, by outlet
	starts []int32  // of each outlet's in order, and the end
}

// perRecord is what a record may take in a frame beside its value: time and hash.
const perRecord = 16

// NewRouter makes the end of a chain that feeds an outgoing edge.
func NewRouter[T any](t *TaskContext, edge int, c codec.Codec[T], p Partitioner[T]) Input[T] {
	r := &router[T]{t: t.task, codec: c, by: p, weights: codec.WeightsOf(c), outs: t.task.openEdge(edge), packs: t.task.host.c.CompressRecords}
	r.pool.New = func() any { return &Batch[T]{Split: -1} }
	n := len(r.outs)
	r.outlets, r.starts = make([]outlet[T], n), make([]int32, n+1)
	for i, c := range r.outs {
		r.outlets[i] = outlet[T]{c: c, mark: NoTime, hashes: c.local != nil || p.ShipHashes}
	}
	each, even := r.weights.Each()
	r.most = max(1, min(BatchSize, (fullFrame-recordsHeader)/(each+perRecord)))
	r.limit, r.took = r.most, each+perRecord
	if !even {
		r.weight = make([]int, BatchSize)
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

// NeedsHashes reports whether batches have to come with the hashes of their keys. With one outlet nobody asks for them here.
func (r *router[T]) NeedsHashes() bool {
	return r.by.Kind == thalwegv1.Partitioning_PARTITIONING_HASH && (len(r.outs) > 1 || r.by.ShipHashes)
}

// Push implements Input.
func (r *router[T]) Push(b *Batch[T]) error {
	r.t.counters.AddOut(len(b.Values))
	for from := 0; from < len(b.Values); from += BatchSize {
		upto := min(from+BatchSize, len(b.Values))
		r.run.slice(b, from, upto)
		if r.weight != nil {
			r.weights.Of(r.weight, r.run.Values)
		}
		if err := r.route(&r.run, from == 0); err != nil {
			return err
		}
	}
	return nil
}

// route takes at most BatchSize records; first: it is a batch's first run.
func (r *router[T]) route(b *Batch[T], first bool) error {
	switch n := len(r.outs); r.by.Kind {
	case thalwegv1.Partitioning_PARTITIONING_FORWARD:
		if n == 1 { // the channel to the subtask of the same number is the only one
			return r.all(&r.outlets[0], b)
		}
		return r.all(&r.outlets[r.t.id.Subtask%n], b)
	case thalwegv1.Partitioning_PARTITIONING_GLOBAL:
		return r.all(&r.outlets[0], b)
	case thalwegv1.Partitioning_PARTITIONING_REBALANCE:
		if first {
			r.next = (r.next + 1) % n
		}
		return r.all(&r.outlets[r.next], b)
	case thalwegv1.Partitioning_PARTITIONING_BROADCAST:
		if n == 1 {
			return r.all(&r.outlets[0], b)
		}
		return r.broadcast(b)
	case thalwegv1.Partitioning_PARTITIONING_CUSTOM:
		return r.scatter(b, r.chosen(b.Values))
	}
	if len(r.outs) == 1 {
		return r.all(&r.outlets[0], b)
	}
	if len(b.Hashes) != len(b.Values) { // they would be lost
		return fmt.Errorf("%d records came with the hashes of %d keys to where keys are told apart", len(b.Values), len(b.Hashes))
	}
	return r.scatter(b, r.owners(b.Hashes))
}

// chosen is where the user's function wants each record.
func (r *router[T]) chosen(values []T) []int32 {
	to, n := r.destinations(len(values)), len(r.outs)
	for i, v := range values {
		d := r.by.Custom(v, n) % n
		if d < 0 {
			d += n
		}
		to[i] = int32(d)
	}
	return to
}

// owners is the subtask of each hash.
func (r *router[T]) owners(hashes []uint64) []int32 {
	to, owner, groups := r.destinations(len(hashes)), r.owner, r.max
	for i, h := range hashes {
		to[i] = owner[job.KeyGroup(h, groups)]
	}
	return to
}

func (r *router[T]) destinations(n int) []int32 {
	if r.to == nil {
		r.to, r.order = make([]int32, BatchSize), make([]int32, BatchSize)
	}
	return r.to[:n]
}

// scatter sorts the records by outlet, in their order, and then copies each outlet's column by column.
func (r *router[T]) scatter(b *Batch[T], to []int32) error {
	starts := r.starts
	clear(starts)
	for _, d := range to {
		starts[d+1]++
	}
	for i := 1; i < len(starts); i++ {
		starts[i] += starts[i-1]
	}
	order := r.order[:len(to)]
	for i, d := range to { // starts[d] moves on to the start of d+1
		order[starts[d]] = int32(i)
		starts[d]++
	}
	from := int32(0)
	for d := range r.outlets {
		upto := starts[d]
		if upto > from {
			if err := r.some(&r.outlets[d], b, order[from:upto]); err != nil {
				return err
			}
		}
		from = upto
	}
	return nil
}

func (r *router[T]) flush(force bool) error {
	if r.common.part != nil && (force || r.allFit()) {
		r.castHeld(false) // watermarks of all outlets follow it
	}
	for i := range r.outlets {
		o := &r.outlets[i]
		if r.common.part == nil && (force || o.c.fits()) {
			r.send(o, false)
		}
		if o.c.remote != nil {
			o.c.remote.conn.flush()
		}
	}
	return r.failed
}

// Watermark implements Input: it goes out behind what is buffered.
func (r *router[T]) Watermark(at int64) error {
	r.t.counters.outMark.set(at)
	for i := range r.outlets {
		if o := &r.outlets[i]; at == MaxWatermark {
			o.last = true
		} else {
			o.mark = max(o.mark, at)
		}
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
