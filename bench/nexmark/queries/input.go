package queries

import (
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/thalweg-io/thalweg/bench/nexmark/gen"
	"github.com/thalweg-io/thalweg/flow"
)

// lateness is how far behind the highest time an event may be, as in the benchmark's tables.
const lateness = 4 * time.Second

// Input is the events that a query reads.
type Input struct {
	Config gen.Config
	// Skip lets a query that reads only bids skip the other events, which keep their numbers but are not made. Other engines make all events.
	Skip bool
	// Events counts the events that have been gone through, of all kinds; nil: nobody asks.
	Events *atomic.Int64
}

// bids is the stream of what project makes of each bid.
func bids[T any](j *flow.Job, in Input, project func(b *gen.Bid, row *T)) flow.Stream[T] {
	if in.Skip {
		return flow.From(j, "bids", flow.Source[T](source[T]{in, func(g *gen.Generator) reading[T] { return onlyBids(g, project) }}))
	}
	return events(j, in, "bids", func(e *gen.Event, row *T) bool {
		if e.Kind != gen.BidKind {
			return false
		}
		project(&e.Bid, row)
		return true
	})
}

// events is the stream of what project makes of each event. An event that it says no to is left out.
func events[T any](j *flow.Job, in Input, name string, project func(e *gen.Event, row *T) bool) flow.Stream[T] {
	return flow.From(j, name, flow.Source[T](source[T]{in, func(g *gen.Generator) reading[T] { return everything(g, project) }}))
}

// reading fills dst with the next rows: fewer than there is place for only at the end.
type reading[T any] func(dst []T) int

func everything[T any](g *gen.Generator, project func(*gen.Event, *T) bool) reading[T] {
	e := new(gen.Event)
	return func(dst []T) (n int) {
		for n < len(dst) && g.Next(e) {
			if project(e, &dst[n]) {
				n++
			}
		}
		return n
	}
}

func onlyBids[T any](g *gen.Generator, project func(*gen.Bid, *T)) reading[T] {
	portion := make([]gen.Bid, 64)
	return func(dst []T) (n int) {
		for n < len(dst) {
			some := portion[:min(len(portion), len(dst)-n)]
			got := g.Bids(some)
			for i := range some[:got] {
				project(&some[i], &dst[n])
				n++
			}
			if got < len(some) {
				break
			}
		}
		return n
	}
}

// source has a split for each timeline of the generator.
type source[T any] struct {
	in   Input
	open func(*gen.Generator) reading[T]
}

// place is where a split goes on. The form in checkpoints is JSON.
type place struct {
	Split    int   `json:"split"`
	Position int64 `json:"position"` // of the next event of any kind
}

func (p place) encode() []byte {
	return fmt.Appendf(nil, `{"split":%d,"position":%d}`, p.Split, p.Position)
}

// Enumerator implements flow.Source. The timelines run beside each other, so all are dealt out at once.
func (s source[T]) Enumerator(_ flow.Task, restored [][]byte) (flow.Enumerator, error) {
	if err := s.in.Config.Check(); err != nil {
		return nil, err
	}
	if restored != nil {
		return flow.Spread(restored), nil
	}
	var splits [][]byte
	for split := range s.in.Config.Splits {
		splits = append(splits, place{Split: split}.encode())
	}
	return flow.Spread(splits), nil
}

// Reader implements flow.Source.
func (s source[T]) Reader(_ flow.Task, split []byte) (flow.Reader[T], error) {
	var from place
	if err := json.Unmarshal(split, &from); err != nil {
		return nil, fmt.Errorf("nexmark: decode a position: %w", err)
	}
	g, err := gen.New(s.in.Config, from.Split, from.Position)
	if err != nil {
		return nil, err
	}
	return &reader[T]{split: from.Split, g: g, read: s.open(g), passed: s.in.Events}, nil
}

// reader belongs to the source's task.
type reader[T any] struct {
	split  int
	g      *gen.Generator
	read   reading[T]
	passed *atomic.Int64
}

// Read implements flow.Reader.
func (r *reader[T]) Read(dst []T) (int, flow.Next, error) {
	before := r.g.Position()
	n := r.read(dst)
	if r.passed != nil {
		r.passed.Add(r.g.Position() - before)
	}
	if n < len(dst) {
		return n, flow.EndOfSplit, nil
	}
	return n, flow.Again, nil
}

// Position implements flow.Reader.
func (r *reader[T]) Position() []byte { return place{r.split, r.g.Position()}.encode() }

// Close implements flow.Reader.
func (r *reader[T]) Close() error { return nil }
