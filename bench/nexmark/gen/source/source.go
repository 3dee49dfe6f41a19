// Package source gives jobs the generated events of Nexmark, one kind per source: what a job reads is what it makes. It owns the form of a
// split in checkpoints. It never throttles, and what an event is comes from package gen alone.
package source

import (
	"encoding/json"
	"fmt"

	"github.com/thalweg-io/thalweg/bench/nexmark/gen"
	"github.com/thalweg-io/thalweg/flow"
)

// People is the people among the events, without the work of making the others.
func People(c gen.Config) flow.Source[gen.Person] {
	return events[gen.Person]{c, (*gen.Generator).People}
}

// Auctions is the auctions among the events, without the work of making the others.
func Auctions(c gen.Config) flow.Source[gen.Auction] {
	return events[gen.Auction]{c, (*gen.Generator).Auctions}
}

// Bids is the bids among the events, without the work of making the others.
func Bids(c gen.Config) flow.Source[gen.Bid] {
	return events[gen.Bid]{c, (*gen.Generator).Bids}
}

type events[T any] struct {
	c    gen.Config
	read func(*gen.Generator, []T) int
}

// rest is what is left of a split. The form in checkpoints is JSON.
type rest struct {
	Split    int   `json:"split"`
	Position int64 `json:"position"` // of the next event of any kind
}

func (r rest) encode() []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic("nexmark: encode a position: " + err.Error()) // numbers always can be
	}
	return b
}

// Enumerator implements flow.Source. The splits are timelines that run beside each other, so all are dealt out at once.
func (s events[T]) Enumerator(_ flow.Task, restored [][]byte) (flow.Enumerator, error) {
	if err := s.c.Check(); err != nil {
		return nil, err
	}
	if restored != nil {
		return flow.Spread(restored), nil
	}
	var splits [][]byte
	for split := range s.c.Splits {
		splits = append(splits, rest{Split: split}.encode())
	}
	return flow.Spread(splits), nil
}

// Reader implements flow.Source.
func (s events[T]) Reader(_ flow.Task, split []byte) (flow.Reader[T], error) {
	var from rest
	if err := json.Unmarshal(split, &from); err != nil {
		return nil, fmt.Errorf("nexmark: decode a position: %w", err)
	}
	g, err := gen.New(s.c, from.Split, from.Position)
	if err != nil {
		return nil, err
	}
	return &reader[T]{split: from.Split, g: g, read: s.read}, nil
}

type reader[T any] struct {
	split int
	g     *gen.Generator
	read  func(*gen.Generator, []T) int
}

// Read implements flow.Reader.
func (r *reader[T]) Read(dst []T) (int, flow.Next, error) {
	if n := r.read(r.g, dst); n < len(dst) {
		return n, flow.EndOfSplit, nil
	}
	return len(dst), flow.Again, nil
}

// Position implements flow.Reader.
func (r *reader[T]) Position() []byte { return rest{r.split, r.g.Position()}.encode() }

// Close implements flow.Reader.
func (r *reader[T]) Close() error { return nil }
