package queries

import (
	"time"

	"github.com/thalweg-io/thalweg/bench/nexmark/gen"
	"github.com/thalweg-io/thalweg/flow"
)

// The queries over windows.

const (
	windowSize  = 10 * time.Second // and the gap of sessions
	windowSlide = 2 * time.Second
)

// window is windowSize in milliseconds, as events have their times.
const window = int64(windowSize / time.Millisecond)

// Seen is when something with an id was.
type Seen struct{ ID, DateTime int64 }

func (s Seen) when() time.Time { return at(s.DateTime) }

// BidCount is how many bids an auction had in the window that ends at a time.
type BidCount struct {
	Auction, Bids int64
	End           int64 // in nanoseconds since 1970
}

func (c BidCount) line() text { return text(nil).ints(c.Auction, c.Bids) }

// Q5 finds the auctions with the most bids of the last ten seconds, every two.
func Q5(j *flow.Job, in Input) flow.Stream[BidCount] {
	seen := bids(j, in, func(b *gen.Bid, s *Seen) { *s = Seen{b.Auction, b.DateTime} }).EventTime(Seen.when, flow.OutOfOrder(lateness))
	byAuction := flow.KeyBy(seen, func(s Seen) int64 { return s.ID })
	counts := flow.AggregateThen(byAuction.Window(flow.Sliding(windowSize, windowSlide)), "count", flow.Count[Seen](),
		func(p flow.Pane[int64, int64], out *flow.Out[BidCount]) error {
			out.Emit(BidCount{p.Key, p.Value, p.End.UnixNano()})
			return nil
		})
	byWindow := flow.KeyBy(counts, func(c BidCount) int64 { return c.End })
	return best(byWindow, "most", contest[BidCount]{
		score: func(c *BidCount) int64 { return c.Bids },
		until: func(c *BidCount) time.Time { return time.Unix(0, c.End-1) }, // the results' own time
	})
}

// Candidate is a bid that may be the highest of a window.
type Candidate struct {
	Offer
	// Spectator is a bid at the very end of the window: the query compares it with the window's highest, but it is not in the window.
	Spectator bool
}

func (c Candidate) line() text {
	return text(nil).ints(c.Auction, c.Price, c.Bidder, c.DateTime).strings(c.Extra)
}

// end is that of the window, in milliseconds.
func (c *Candidate) end() int64 {
	if c.Spectator {
		return c.DateTime
	}
	return (c.DateTime/window + 1) * window
}

// shards is into how many parts the bids of a window are divided to find the highest of each, and then the highest of all.
const shards = 64

// Q7 finds the highest bids of each ten seconds.
func Q7(j *flow.Job, in Input) flow.Stream[Candidate] {
	all := bids(j, in, offer).EventTime(func(o Offer) time.Time { return at(o.DateTime) }, flow.OutOfOrder(lateness))
	candidates := flow.FlatMap(all, "enter", func(o Offer, out *flow.Out[Candidate]) error {
		out.Emit(Candidate{Offer: o})
		if o.DateTime%window == 0 {
			out.Emit(Candidate{o, true})
		}
		return nil
	})
	of := contest[Candidate]{
		score:     func(c *Candidate) int64 { return c.Price },
		until:     func(c *Candidate) time.Time { return at(c.end()) },
		spectator: func(c *Candidate) bool { return c.Spectator },
	}
	type shard struct{ End, Number int64 }
	inShards := best(flow.KeyBy(candidates, func(c Candidate) shard { return shard{c.end(), c.Auction % shards} }), "highest of a shard", of)
	of.final = true
	return best(flow.KeyBy(inShards, func(c Candidate) int64 { return c.end() }), "highest", of)
}

// contest is how the best of the records of a key are found.
type contest[T any] struct {
	score func(*T) int64
	until func(*T) time.Time // when all records of the key have come
	// spectator says of a record that it does not count, but is as good as those that are as good as it. nil: none is.
	spectator func(*T) bool
	// final leaves spectators out that are better than all others. Before that, another part of the records may have one as good.
	final bool
}

// best gives the records of the highest score of each key, at the time when all have come.
func best[K comparable, T any](s flow.Keyed[K, T], name string, by contest[T]) flow.Stream[T] {
	return flow.Process(s, name, func(op *flow.Op[K]) flow.Handler[K, T, T] {
		highest := flow.NewValue[int64](op, "highest") // 0: only of spectators so far
		leaders := flow.NewValue[[]T](op, "leaders")   // as good as the highest, and spectators that are better
		end := flow.NewTimer(op, "end", func(_ *flow.Ctx[K], _ time.Time, out *flow.Out[T]) error {
			top, _ := highest.Get()
			all, _ := leaders.Get()
			for i := range all {
				if !by.final || by.score(&all[i]) == top {
					out.Emit(all[i])
				}
			}
			highest.Clear()
			leaders.Clear()
			return nil
		})
		var hand T   // the record in hand: a pointer to a parameter would have each allocated
		var kept []T // scratch
		return flow.Handler[K, T, T]{Record: func(c *flow.Ctx[K], v T, _ *flow.Out[T]) error {
			hand = v
			score := by.score(&hand)
			top, known := highest.Get()
			if known && score < top {
				return nil // most are: nothing more is touched for them
			}
			if !known {
				end.Set(c, by.until(&hand))
			}
			spectator := by.spectator != nil && by.spectator(&hand)
			if all, _ := leaders.Get(); score > top && !spectator {
				highest.Set(score)
				kept = kept[:0]
				for i := range all {
					if by.score(&all[i]) >= score {
						kept = append(kept, all[i])
					}
				}
				kept = append(kept, hand)
				leaders.Set(kept)
			} else {
				highest.Set(top)
				leaders.Set(append(all, hand))
			}
			return nil
		}}
	})
}

// Arrival is a person, or the sale of one, who is only an id.
type Arrival struct {
	ID, DateTime int64
	Name         string
}

// Settled is a person who sold something in the window that he came in.
type Settled struct {
	Person int64
	Name   string
	Start  int64 // of the window, in milliseconds since 1970
}

func (s Settled) line() text { return text(nil).ints(s.Person).strings(s.Name).ints(s.Start) }

// presence is what there was of a person in a window.
type presence struct {
	Person, Seller bool
	Name           string
}

// Q8 finds the people who sold something in the ten seconds that they came in.
func Q8(j *flow.Job, in Input) flow.Stream[Settled] {
	arrivals := events(j, in, "people and sellers", kindsOf(gen.PersonKind, gen.AuctionKind), func(e *gen.Event, a *Arrival) bool {
		if e.Kind == gen.PersonKind {
			*a = Arrival{e.Person.ID, e.Person.DateTime, e.Person.Name}
		} else {
			*a = Arrival{e.Auction.Seller, e.Auction.DateTime, ""}
		}
		return true
	}).EventTime(func(a Arrival) time.Time { return at(a.DateTime) }, flow.OutOfOrder(lateness))
	present := flow.Aggregator[Arrival, presence, presence]{
		Add: func(p *presence, a Arrival) {
			if a.Name == "" {
				p.Seller = true
				return
			}
			p.Person, p.Name = true, a.Name
		},
		Merge: func(p, q *presence) {
			p.Seller = p.Seller || q.Seller
			if q.Person {
				p.Person, p.Name = true, q.Name
			}
		},
		Result: func(p *presence) presence { return *p },
	}
	byID := flow.KeyBy(arrivals, func(a Arrival) int64 { return a.ID })
	return flow.AggregateThen(byID.Window(flow.Tumbling(windowSize)), "join", present, func(p flow.Pane[int64, presence], out *flow.Out[Settled]) error {
		if p.Value.Person && p.Value.Seller {
			out.Emit(Settled{p.Key, p.Value.Name, p.Start.UnixMilli()})
		}
		return nil
	})
}

// Session is a bidder's bids that follow each other closely.
type Session struct {
	Bidder, Bids int64
	Start, End   int64 // in milliseconds since 1970
}

func (s Session) line() text { return text(nil).ints(s.Bidder, s.Bids, s.Start, s.End) }

// Q11 counts the bids of each bidder's sessions.
func Q11(j *flow.Job, in Input) flow.Stream[Session] {
	seen := bids(j, in, func(b *gen.Bid, s *Seen) { *s = Seen{b.Bidder, b.DateTime} }).EventTime(Seen.when, flow.OutOfOrder(lateness))
	byBidder := flow.KeyBy(seen, func(s Seen) int64 { return s.ID })
	return flow.AggregateThen(byBidder.Window(flow.Session(windowSize)), "count", flow.Count[Seen](),
		func(p flow.Pane[int64, int64], out *flow.Out[Session]) error {
			out.Emit(Session{p.Key, p.Value, p.Start.UnixMilli(), p.End.UnixMilli()})
			return nil
		})
}

// Activity is how many bids a bidder made in ten seconds of the clock.
type Activity struct{ Bidder, Bids int64 }

func (a Activity) line() text           { return text(nil).ints(a.Bidder, a.Bids) }
func (a Activity) part() (key, n int64) { return a.Bidder, a.Bids }

// Q12 counts each bidder's bids of every ten seconds by the clock.
func Q12(j *flow.Job, in Input) flow.Stream[Activity] {
	byBidder := flow.KeyBy(bids(j, in, func(b *gen.Bid, id *int64) { *id = b.Bidder }), func(id int64) int64 { return id })
	return flow.AggregateThen(byBidder.Window(flow.Tumbling(windowSize).ProcessingTime()), "count", flow.Count[int64](),
		func(p flow.Pane[int64, int64], out *flow.Out[Activity]) error {
			out.Emit(Activity{p.Key, p.Value})
			return nil
		})
}
