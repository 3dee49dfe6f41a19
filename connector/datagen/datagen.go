// Package datagen makes records out of nothing but their position: bounded or not, as fast as possible or at a rate, the same ones after a
// restore. A sequence is divided into partitions, each a split with an offset of its own.
//
// Sequence is the general one. Oracle is the input by which exactly-once is judged: keys whose sequence numbers have no gap, so that the right
// output is known without running anything.
//
// The package owns pacing and positions. It never uses randomness or the clock for what a record is: the only time in a record is when it was
// due, which follows from when the job was first started.
package datagen

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/thalweg-io/thalweg/flow"
)

// Option adjusts a sequence.
type Option func(*settings)

type settings struct {
	partitions int
	rate       float64 // records a second, of all partitions; 0: no limit
}

// Partitions divides the sequence: record i belongs to partition i modulo n. At most so many subtasks have something to do. The default is 1.
func Partitions(n int) Option { return func(s *settings) { s.partitions = n } }

// Rate makes so many records a second, all partitions together. A record is due at a time that its position decides; what could not be made
// in time, because the job was down, is made up for.
func Rate(recordsPerSecond float64) Option { return func(s *settings) { s.rate = recordsPerSecond } }

// Sequence is f(0), f(1), ... up to f(n-1); n <= 0 has no end. f is called in several processes, in the order of each partition, and again
// after a restore: it must be a function of i alone.
func Sequence[T any](n int64, f func(i int64) T, o ...Option) flow.Source[T] {
	s := settings{partitions: 1}
	for _, option := range o {
		option(&s)
	}
	p := int64(s.partitions)
	g := &generator[T]{settings: s, make: func(partition int, offset int64, _ time.Time) T { return f(offset*p + int64(partition)) }}
	if n > 0 && p > 0 {
		g.size = func(partition int) int64 { return (n - int64(partition) + p - 1) / p }
	}
	return g
}

// generator is a source of records made by position.
type generator[T any] struct {
	settings
	size func(partition int) int64 // records of a partition; nil: no end
	make func(partition int, offset int64, due time.Time) T
	err  error
}

// position is a partition, or the rest of one. The form in checkpoints is JSON.
type position struct {
	Partition int   `json:"partition"`
	Offset    int64 `json:"offset"`
	Start     int64 `json:"start"` // when offset 0 was due, ns since 1970: set at the job's first start
}

func (p position) encode() []byte {
	b, err := json.Marshal(p)
	if err != nil {
		panic("datagen: encode a position: " + err.Error()) // numbers always can be
	}
	return b
}

// Enumerator implements flow.Source.
func (g *generator[T]) Enumerator(_ flow.Task, restored [][]byte) (flow.Enumerator, error) {
	switch {
	case g.err != nil:
		return nil, g.err
	case g.partitions < 1:
		return nil, fmt.Errorf("datagen: %d partitions: at least 1", g.partitions)
	case g.rate < 0:
		return nil, fmt.Errorf("datagen: rate %v: it is not negative; 0 is no limit", g.rate)
	case restored != nil:
		return flow.Spread(restored), nil
	}
	start := time.Now().UnixNano()
	var splits [][]byte
	for p := range g.partitions {
		splits = append(splits, position{Partition: p, Start: start}.encode())
	}
	return flow.Spread(splits), nil
}

// Reader implements flow.Source.
func (g *generator[T]) Reader(_ flow.Task, split []byte) (flow.Reader[T], error) {
	r := &reader[T]{generator: g, now: time.Now}
	if err := json.Unmarshal(split, &r.at); err != nil {
		return nil, fmt.Errorf("datagen: decode a position: %w", err)
	}
	if r.at.Partition < 0 || r.at.Partition >= g.partitions || r.at.Offset < 0 {
		return nil, fmt.Errorf("datagen: restored position %s is not of a sequence with %d partitions: a restored job keeps their number", split, g.partitions)
	}
	return r, nil
}

type reader[T any] struct {
	*generator[T]
	at  position
	now func() time.Time
}

// Read implements flow.Reader.
func (r *reader[T]) Read(dst []T) (int, flow.Next, error) {
	n, next := int64(len(dst)), flow.Again
	if r.rate > 0 {
		now := r.now()
		due := int64(now.Sub(time.Unix(0, r.at.Start)).Seconds()*r.perPartition()) + 1 // offsets below are due
		if due <= r.at.Offset {
			return 0, flow.WaitUntil(later(r.due(r.at.Offset), now)), nil
		}
		if due-r.at.Offset <= n {
			n = due - r.at.Offset
			next = flow.WaitUntil(later(r.due(due), now))
		}
	}
	if r.size != nil {
		if left := r.size(r.at.Partition) - r.at.Offset; left <= n {
			n, next = max(left, 0), flow.EndOfSplit
		}
	}
	for i := range n {
		dst[i] = r.make(r.at.Partition, r.at.Offset+i, r.due(r.at.Offset+i))
	}
	r.at.Offset += n
	return int(n), next, nil
}

func (r *reader[T]) perPartition() float64 { return r.rate / float64(r.partitions) }

// due is when a record should be made; without a rate, a microsecond after the one before.
func (r *reader[T]) due(offset int64) time.Time {
	if r.rate == 0 {
		return time.Unix(0, r.at.Start+offset*int64(time.Microsecond))
	}
	return time.Unix(0, r.at.Start+int64(float64(offset)/r.perPartition()*float64(time.Second)))
}

// later is a time to wait for that is worth it: a high rate is several records at a time.
func later(at, now time.Time) time.Time {
	if least := now.Add(time.Millisecond); at.Before(least) {
		return least
	}
	return at
}

// Position implements flow.Reader.
func (r *reader[T]) Position() []byte { return r.at.encode() }

// Close implements flow.Reader.
func (r *reader[T]) Close() error { return nil }
