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
	// Skip lets events of kinds that a query does not read be skipped: they keep their numbers but are not made.
	Skip bool
	// Events counts the events that have been gone through, of all kinds; nil: nobody asks.
	Events *atomic.Int64
	// asked collects the kinds that a job reads, while it is built; nil: nobody asks.
	asked *kinds
}

// kinds is a set of kinds of events.
type kinds uint8

func kindsOf(some ...gen.Kind) (set kinds) {
	for _, k := range some {
		set |= 1 << k
	}
	return set
}

func (k kinds) has(kind gen.Kind) bool { return k>>kind&1 > 0 }

// bids is the stream of what project makes of each bid.
func bids[T any](j *flow.Job, in Input, project func(b *gen.Bid, row *T)) flow.Stream[T] {
	return events(j, in, "bids", kindsOf(gen.BidKind), func(e *gen.Event, row *T) bool {
		project(&e.Bid, row)
		return true
	})
}

// events is the stream of what project makes of each event of some kinds. An event that it says no to is left out.
func events[T any](j *flow.Job, in Input, name string, of kinds, project func(e *gen.Event, row *T) bool) flow.Stream[T] {
	if in.asked != nil {
		*in.asked |= of
	}
	return flow.From(j, name, flow.Source[T](source[T]{in, of, project}))
}

// source has a split for each timeline of the generator.
type source[T any] struct {
	in      Input
	kinds   kinds
	project func(*gen.Event, *T) bool
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
	r := &reader[T]{source: s, split: from.Split, g: g}
	if s.in.Skip {
		r.some = newSome(s.in.Config, from.Split, g, s.kinds)
	}
	return r, nil
}

// reader belongs to the source's task.
type reader[T any] struct {
	source[T]
	split int
	g     *gen.Generator
	e     gen.Event // in hand
	some  *some     // nil: all events are made
}

// Read implements flow.Reader.
func (r *reader[T]) Read(dst []T) (n int, next flow.Next, err error) {
	before := r.g.Position()
	if r.some != nil {
		n = r.someOf(dst)
	} else {
		n = r.allOf(dst)
	}
	if r.in.Events != nil {
		r.in.Events.Add(r.g.Position() - before)
	}
	if n < len(dst) {
		return n, flow.EndOfSplit, nil
	}
	return n, flow.Again, nil
}

func (r *reader[T]) allOf(dst []T) (n int) {
	for n < len(dst) && r.g.Next(&r.e) {
		if r.kinds.has(r.e.Kind) && r.project(&r.e, &dst[n]) {
			n++
		}
	}
	return n
}

func (r *reader[T]) someOf(dst []T) (n int) {
	for n < len(dst) {
		made := r.some.read(&r.e, len(dst)-n)
		if made == 0 {
			break
		}
		for i := range made {
			r.some.event(&r.e, i)
			if r.project(&r.e, &dst[n]) {
				n++
			}
		}
	}
	return n
}

// Position implements flow.Reader.
func (r *reader[T]) Position() []byte { return place{r.split, r.g.Position()}.encode() }

// Close implements flow.Reader.
func (r *reader[T]) Close() error { return nil }
