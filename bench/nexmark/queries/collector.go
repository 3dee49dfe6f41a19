package queries

import (
	"maps"
	"slices"
	"sync"

	"github.com/thalweg-io/thalweg/flow"
)

// Collector keeps the final rows of one run of a query: all rows, or of those with a key the last of each. The zero value is ready.
type Collector struct {
	mu struct {
		sync.Mutex
		rows []string
		last map[string]row // by key
		sums map[int64]int64
	}
}

// Rows is the text of the final rows, sorted. The job has ended.
func (c *Collector) Rows() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	rows := slices.Clone(c.mu.rows)
	for r := range maps.Values(c.mu.last) {
		rows = append(rows, string(r.line()))
	}
	for key, n := range c.mu.sums {
		rows = append(rows, string(text(nil).ints(key, n)))
	}
	slices.Sort(rows)
	return rows
}

func (c *Collector) add(r row) {
	switch r := r.(type) {
	case keyed:
		if c.mu.last == nil {
			c.mu.last = make(map[string]row)
		}
		c.mu.last[string(r.key())] = r
	case summed:
		if c.mu.sums == nil {
			c.mu.sums = make(map[int64]int64)
		}
		key, n := r.part()
		c.mu.sums[key] += n
	default:
		c.mu.rows = append(c.mu.rows, string(r.line()))
	}
}

// summed is a row whose final form is the sum of its parts, because no two runs part them alike.
type summed interface {
	row
	part() (key, n int64)
}

// collecting is the sink of a collector.
type collecting[R any] struct {
	c  *Collector
	as func(R) row
}

// Writer implements flow.Sink.
func (s collecting[R]) Writer(flow.Task) (flow.Writer[R], error) { return s, nil }

// Write implements flow.Writer. All rows of a key come from one subtask, in order.
func (s collecting[R]) Write(values []R) error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	for _, r := range values {
		s.c.add(s.as(r))
	}
	return nil
}

// Close implements flow.Writer.
func (s collecting[R]) Close() error { return nil }

// discard is the sink of a measurement.
type discard[R any] struct{}

// Writer implements flow.Sink.
func (d discard[R]) Writer(flow.Task) (flow.Writer[R], error) { return d, nil }

// Write implements flow.Writer.
func (discard[R]) Write([]R) error { return nil }

// Close implements flow.Writer.
func (discard[R]) Close() error { return nil }
