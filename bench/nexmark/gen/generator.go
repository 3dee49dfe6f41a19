package gen

import "fmt"

const (
	round    = 50   // events after which the kinds repeat: a person, auctions, bids
	people   = 1    // the offset in a round behind the person
	auctions = 4    // the offset in a round behind the auctions
	draws    = 8    // draws set aside for each event
	horizon  = 1666 // events in which 100 auctions are opened: how far ahead an auction's end is chosen
)

// Generator makes the events of one split in order. It belongs to one goroutine.
type Generator struct {
	*shared
	c        Config
	position int64  // of the next event
	count    int64  // of all events
	state    uint64 // of the next event's draws
	epoch    uint64 // id / 50 of the next event
	offset   int64  // id mod 50 of the next event
	time     int64  // of the next event
	rest     int64  // of the division that gave the time
	step     int64  // what an event adds to the rest
}

// New makes the events of a split from a position on; 0 is the first, [Config.Count] behind the last.
func New(c Config, split int, position int64) (*Generator, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	if split < 0 || split >= c.Splits {
		return nil, fmt.Errorf("nexmark: split %d of %d: the first is 0", split, c.Splits)
	}
	if count := c.Count(split); position < 0 || position > count {
		return nil, fmt.Errorf("nexmark: position %d in split %d: it has %d events", position, split, count)
	}
	n := position + 1
	id := c.first(split) + n
	step := 1000 * int64(c.Splits)
	return &Generator{
		shared:   sharedStrings(),
		c:        c,
		position: position,
		count:    c.Count(split),
		state:    output(c.Seed, uint64(split)) + draws*uint64(n)*gamma,
		epoch:    uint64(id / round),
		offset:   id % round,
		time:     c.time(n),
		rest:     n * step % c.Rate,
		step:     step,
	}, nil
}

// Position is that of the next event, counting those of all kinds.
func (g *Generator) Position() int64 { return g.position }

// Left is the number of events, of all kinds, that are still to come.
func (g *Generator) Left() int64 { return g.count - g.position }

// Next sets e to the next event. False: there is none.
func (g *Generator) Next(e *Event) bool {
	if g.position == g.count {
		return false
	}
	kind := BidKind
	if g.offset < auctions {
		kind = AuctionKind
	}
	if g.offset < people {
		kind = PersonKind
	}
	if e.Kind != kind {
		*e = Event{Kind: kind}
	}
	switch kind {
	case PersonKind:
		g.person(&e.Person)
	case AuctionKind:
		g.auction(&e.Auction)
	case BidKind:
		g.bid(&e.Bid)
	}
	g.skip(1)
	return true
}

// Bids sets dst to the next bids and passes over the other events, which keep their numbers but are not made. It gives how many it has set:
// fewer than there is place for only at the end of the split.
func (g *Generator) Bids(dst []Bid) int {
	for i := range dst {
		if !g.reach(auctions, round) {
			return i
		}
		g.bid(&dst[i])
		g.skip(1)
	}
	return len(dst)
}

// Auctions does with auctions what Bids does with bids.
func (g *Generator) Auctions(dst []Auction) int {
	for i := range dst {
		if !g.reach(people, auctions) {
			return i
		}
		g.auction(&dst[i])
		g.skip(1)
	}
	return len(dst)
}

// People does with people what Bids does with bids.
func (g *Generator) People(dst []Person) int {
	for i := range dst {
		if !g.reach(0, people) {
			return i
		}
		g.person(&dst[i])
		g.skip(1)
	}
	return len(dst)
}

// reach passes over events until the offset in the round is in [from, upto), and says whether there is such an event.
func (g *Generator) reach(from, upto int64) bool {
	if g.offset < from {
		g.skip(from - g.offset)
	} else if g.offset >= upto {
		g.skip(round - g.offset + from)
	}
	return g.position < g.count
}

// skip goes n events on, at most a round.
func (g *Generator) skip(n int64) {
	g.position = min(g.position+n, g.count)
	g.state += uint64(n) * draws * gamma
	if g.offset += n; g.offset >= round {
		g.offset -= round
		g.epoch++
	}
	if g.rest += n * g.step; g.rest >= g.c.Rate {
		g.time += g.rest / g.c.Rate
		g.rest %= g.c.Rate
	}
}
