package queries

import (
	"cmp"
	"slices"
	"time"

	"github.com/thalweg-io/thalweg/bench/nexmark/gen"
	"github.com/thalweg-io/thalweg/flow"
)

// The queries that need the highest bid of each auction while it runs, in prices alone. Q9, which gives the winners as a whole, is apart.

// lot is an auction, or a bid for one.
type lot struct {
	Auction int64
	Amount  int64 // price of a bid; of an auction, what it is to be reported under: its category or its seller
	From    int64 // when an auction begins, or a bid is made
	Until   int64 // when an auction ends; 0: a bid
}

// lots is the stream of both, with what an auction is to be reported under.
func lots(j *flow.Job, in Input, under func(*gen.Auction) int64) flow.Stream[lot] {
	return events(j, in, "auctions and bids", kindsOf(gen.AuctionKind, gen.BidKind), func(e *gen.Event, l *lot) bool {
		if e.Kind == gen.AuctionKind {
			*l = lot{e.Auction.ID, under(&e.Auction), e.Auction.DateTime, e.Auction.Expires}
		} else {
			*l = lot{e.Bid.Auction, e.Bid.Price, e.Bid.DateTime, 0}
		}
		return true
	})
}

// running is what is known of an auction.
type running struct {
	Under, From, Until int64
	Price, At          int64 // of its highest bid and, of equals, the earliest; a price of 0: there is none
}

// takes makes a bid the highest, if it is.
func (r *running) takes(price, at int64) bool {
	if at < r.From || at > r.Until || price < r.Price || price == r.Price && at >= r.At {
		return false
	}
	r.Price, r.At = price, at
	return true
}

// waiting is a bid whose auction has not come yet.
type waiting struct{ Price, At int64 }

// highestBids keeps the highest bid of each auction. A bid whose auction has come is never kept unless it is the highest.
type highestBids struct {
	auctions *flow.Value[running]
	early    *flow.List[waiting]
}

func newHighestBids(op *flow.Op[int64]) highestBids {
	return highestBids{flow.NewValue[running](op, "auction"), flow.NewList[waiting](op, "early bids")}
}

// bid gives the auction if the bid is its highest, and the price of the one before.
func (h highestBids) bid(l *lot) (now running, before int64, changed bool) {
	now, known := h.auctions.Get()
	if !known {
		h.early.Append(waiting{l.Amount, l.From})
		return now, 0, false
	}
	before = now.Price
	if changed = now.takes(l.Amount, l.From); changed {
		h.auctions.Set(now)
	}
	return now, before, changed
}

// open gives the auction, which may have had its first bids before.
func (h highestBids) open(l *lot) running {
	r := running{Under: l.Amount, From: l.From, Until: l.Until}
	for b := range h.early.All() {
		r.takes(b.Price, b.At)
	}
	h.early.Clear()
	h.auctions.Set(r)
	return r
}

// change is what a new highest bid changes in a sum over auctions.
type change struct{ Under, Sum, Count int64 }

// Mean is the parts of an average.
type Mean struct{ Sum, Count int64 }

// Q4 averages the highest bids of each category's auctions.
func Q4(j *flow.Job, in Input) flow.Stream[flow.Entry[int64, Mean]] {
	all := lots(j, in, func(a *gen.Auction) int64 { return a.Category })
	changes := flow.Process(flow.KeyBy(all, func(l lot) int64 { return l.Auction }), "highest bids", func(op *flow.Op[int64]) flow.Handler[int64, lot, change] {
		highest := newHighestBids(op)
		var hand lot
		return flow.Handler[int64, lot, change]{Record: func(_ *flow.Ctx[int64], l lot, out *flow.Out[change]) error {
			hand = l
			if hand.Until != 0 {
				if r := highest.open(&hand); r.Price > 0 {
					out.Emit(change{r.Under, r.Price, 1})
				}
				return nil
			}
			switch now, before, changed := highest.bid(&hand); {
			case !changed || now.Price == before:
			case before == 0:
				out.Emit(change{now.Under, now.Price, 1})
			default:
				out.Emit(change{now.Under, now.Price - before, 0})
			}
			return nil
		}}
	})
	return flow.Rolling(flow.KeyBy(changes, func(c change) int64 { return c.Under }), "average", flow.Aggregator[change, Mean, Mean]{
		Add:    func(m *Mean, c change) { m.Sum += c.Sum; m.Count += c.Count },
		Merge:  func(a, b *Mean) { a.Sum += b.Sum; a.Count += b.Count },
		Result: func(m *Mean) Mean { return *m },
	})
}

// average is the result for a category or a seller.
type average flow.Entry[int64, Mean]

func (a average) key() text  { return text(nil).ints(a.Key) }
func (a average) line() text { return text(nil).ints(a.Key, a.Value.Sum/a.Value.Count) }

// sale is an auction that has ended with a bid.
type sale struct{ Seller, Auction, Price, At int64 }

// lastSales is how many of a seller's are averaged.
const lastSales = 10

// sales is a seller's last ones, by the time of the winning bid and then by auction.
type sales struct {
	Count int64
	Last  [lastSales]sale
}

// add puts a sale to its place, if it is among the last.
func (s *sales) add(v sale) {
	have := s.Last[:s.Count]
	i, _ := slices.BinarySearchFunc(have, v, func(a, b sale) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Auction, b.Auction)) })
	if s.Count < lastSales {
		s.Count++
		copy(s.Last[i+1:s.Count], s.Last[i:])
		s.Last[i] = v
		return
	}
	if i == 0 {
		return // earlier than all of them
	}
	copy(s.Last[:i-1], s.Last[1:i])
	s.Last[i-1] = v
}

func (s *sales) mean() Mean {
	m := Mean{Count: s.Count}
	for _, v := range s.Last[:s.Count] {
		m.Sum += v.Price
	}
	return m
}

// Q6 averages the last ten sales of each seller. A sale is one when its auction has ended: so none is taken back.
func Q6(j *flow.Job, in Input) flow.Stream[flow.Entry[int64, Mean]] {
	all := lots(j, in, func(a *gen.Auction) int64 { return a.Seller }).EventTime(func(l lot) time.Time { return at(l.From) }, flow.OutOfOrder(lateness))
	ended := flow.Process(flow.KeyBy(all, func(l lot) int64 { return l.Auction }), "sales", func(op *flow.Op[int64]) flow.Handler[int64, lot, sale] {
		highest := newHighestBids(op)
		end := flow.NewTimer(op, "end", func(c *flow.Ctx[int64], _ time.Time, out *flow.Out[sale]) error {
			if r, _ := highest.auctions.Get(); r.Price > 0 {
				out.Emit(sale{r.Under, c.Key(), r.Price, r.At})
			}
			return nil
		})
		var hand lot
		return flow.Handler[int64, lot, sale]{Record: func(c *flow.Ctx[int64], l lot, _ *flow.Out[sale]) error {
			if hand = l; hand.Until != 0 {
				highest.open(&hand)
				end.Set(c, at(hand.Until))
			} else {
				highest.bid(&hand)
			}
			return nil
		}}
	})
	return flow.Rolling(flow.KeyBy(ended, func(s sale) int64 { return s.Seller }), "average", flow.Aggregator[sale, sales, Mean]{
		Add: func(s *sales, v sale) { s.add(v) },
		Merge: func(a, b *sales) {
			for _, v := range b.Last[:b.Count] {
				a.add(v)
			}
		},
		Result: func(s *sales) Mean { return s.mean() },
	})
}
