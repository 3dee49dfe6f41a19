package queries

import (
	"fmt"

	"github.com/thalweg-io/thalweg/bench/nexmark/gen"
	"github.com/thalweg-io/thalweg/flow"
)

// moment is what is kept of an event where only its source is of interest.
type moment struct{ DateTime int64 }

func when(e *gen.Event, row *moment) bool {
	switch e.Kind {
	case gen.PersonKind:
		row.DateTime = e.Person.DateTime
	case gen.AuctionKind:
		row.DateTime = e.Auction.DateTime
	case gen.BidKind:
		row.DateTime = e.Bid.DateTime
	}
	return true
}

// SourceOnly is the source of a query with nothing behind it: the events of the kinds that the query reads are made, and of each its time is
// dropped. What a query costs is read beside it. Collect of it is nil: it has no result.
func (q Query) SourceOnly() (Query, error) {
	var reads kinds
	in := Input{Config: gen.Config{Seed: 1, Rate: 1, Splits: 1}, asked: &reads}
	if _, err := flow.Build(q.Name, 1, func(j *flow.Job) error { q.Discard(j, in); return nil }); err != nil {
		return Query{}, fmt.Errorf("nexmark: what %s reads: %w", q.Name, err)
	}
	return Query{Name: "source/" + q.Name, Discard: func(j *flow.Job, in Input) {
		flow.To(events(j, in, "events", reads, when), "discard", flow.Sink[moment](discard[moment]{}))
	}}, nil
}
