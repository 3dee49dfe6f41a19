package counting

import (
	"fmt"
	"sync/atomic"

	"github.com/thalweg-io/thalweg/flow"
)

// Control is who grants the records of a job, and sees how far it is. Its methods may be called from any goroutine.
type Control struct {
	granted atomic.Int64 // records of the generator, given or not
	given   atomic.Int64
	task    atomic.Pointer[flow.Task]
	ready   chan struct{} // closed by the first read
	marks   chan struct{}
}

// Grant lets n more records be given. The portion before has to be through.
func (c *Control) Grant(n int64) {
	c.granted.Add(n)
	(*c.task.Load()).Wake()
}

// Given is how many records the source has given.
func (c *Control) Given() int64 { return c.given.Load() }

// Ready is closed when the source runs, and records may be granted.
func (c *Control) Ready() <-chan struct{} { return c.ready }

// Counted gives a value for each portion that the operator is through with.
func (c *Control) Counted() <-chan struct{} { return c.marks }

// source gives the records that it is granted, a mark behind each portion, and never ends.
type source[R any, K comparable] struct {
	form[R, K]
	*Control
	keys keys
}

// Enumerator implements flow.Source.
func (s *source[R, K]) Enumerator(flow.Task, [][]byte) (flow.Enumerator, error) {
	return flow.InOrder([][]byte{{0}}), nil
}

// Reader implements flow.Source.
func (s *source[R, K]) Reader(t flow.Task, _ []byte) (flow.Reader[R], error) {
	return &reader[R, K]{source: s, task: t, keys: s.keys}, nil
}

// reader belongs to the source's task.
type reader[R any, K comparable] struct {
	*source[R, K]
	task  flow.Task
	keys  keys
	count int64
}

func (r *reader[R, K]) Read(dst []R) (int, flow.Next, error) {
	if r.Control.task.CompareAndSwap(nil, &r.task) {
		close(r.ready)
	}
	left := r.granted.Load() - r.count
	if left == 0 {
		return 0, flow.WaitWake, nil
	}
	// One place is kept for the mark: it shares the batch of its portion's last record, so left == 0 says that it was given too.
	n := min(int64(len(dst))-1, left)
	r.fill(&r.keys, dst[:n])
	r.count += n
	r.given.Store(r.count)
	if n < left {
		return int(n), flow.Again, nil
	}
	dst[n] = r.mark
	return int(n) + 1, flow.WaitWake, nil
}

func (r *reader[R, K]) Position() []byte { return fmt.Appendf(nil, "%d", r.count) }
func (r *reader[R, K]) Close() error     { return nil }
