package queries

import "github.com/thalweg-io/thalweg/bench/nexmark/gen"

// The generator makes events in rounds of 50 ids: a person, three auctions, and bids.
const (
	round         = 50
	firstAuction  = 1
	firstBid      = 4
	bidsOfRound   = round - firstBid
	salesOfRound  = firstBid - firstAuction
	peopleOfRound = firstAuction
)

// some makes the events of some kinds in their order, and skips the others. A portion is of one kind and one round.
type some struct {
	g        *gen.Generator
	kinds    kinds
	first    int64 // id of the event at position 0
	people   [peopleOfRound]gen.Person
	auctions [salesOfRound]gen.Auction
	bids     [bidsOfRound]gen.Bid
}

func newSome(c gen.Config, split int, g *gen.Generator, of kinds) *some {
	return &some{g: g, kinds: of, first: 2 + int64(split)*c.Count(0)} // splits before the last are as long as the first
}

// read makes the next portion, of at most so many events, and says by e what they are. 0: there are none.
func (s *some) read(e *gen.Event, most int) int {
	offset := (s.first + s.g.Position()) % round
	for {
		switch {
		case offset < firstAuction && s.kinds.has(gen.PersonKind):
			*e = gen.Event{Kind: gen.PersonKind}
			return s.g.People(s.people[:min(most, peopleOfRound)])
		case offset < firstBid && s.kinds.has(gen.AuctionKind):
			*e = gen.Event{Kind: gen.AuctionKind}
			return s.g.Auctions(s.auctions[:min(most, int(firstBid-max(offset, firstAuction)))])
		case s.kinds.has(gen.BidKind):
			*e = gen.Event{Kind: gen.BidKind}
			return s.g.Bids(s.bids[:min(most, int(round-max(offset, firstBid)))])
		}
		offset = 0 // of the next round
	}
}

// event sets e to the i-th of the portion.
func (s *some) event(e *gen.Event, i int) {
	switch e.Kind {
	case gen.PersonKind:
		e.Person = s.people[i]
	case gen.AuctionKind:
		e.Auction = s.auctions[i]
	case gen.BidKind:
		e.Bid = s.bids[i]
	}
}
