package queries

import (
	"slices"

	"github.com/thalweg-io/thalweg/bench/nexmark/gen"
	"github.com/thalweg-io/thalweg/flow"
)

// The queries that rank bids.

// Bid is a bid as a row of a result.
type Bid gen.Bid

func wholeBid(b *gen.Bid, row *Bid) { *row = Bid(*b) }

func (b Bid) line() text {
	return text(nil).ints(b.Auction, b.Bidder, b.Price).strings(b.Channel, b.URL).ints(b.DateTime).strings(b.Extra)
}

// LastBid is a bid that replaces an earlier one of its bidder for its auction.
type LastBid struct{ Bid }

func (b LastBid) key() text { return text(nil).ints(b.Bidder, b.Auction) }

// Q18 keeps the last bid of each bidder for each auction. What is kept is only when that was, as a later row replaces it as a whole.
func Q18(j *flow.Job, in Input) flow.Stream[LastBid] {
	type pair struct{ Bidder, Auction int64 }
	all := bids(j, in, func(b *gen.Bid, row *LastBid) { row.Bid = Bid(*b) })
	return flow.Process(flow.KeyBy(all, func(b LastBid) pair { return pair{b.Bidder, b.Auction} }), "last", func(op *flow.Op[pair]) flow.Handler[pair, LastBid, LastBid] {
		last := flow.NewValue[int64](op, "last")
		var time int64 // of the bid in hand
		var newer bool
		look := func(before *int64) {
			if newer = time >= *before; newer {
				*before = time
			}
		}
		return flow.Handler[pair, LastBid, LastBid]{Record: func(_ *flow.Ctx[pair], b LastBid, out *flow.Out[LastBid]) error {
			time = b.DateTime
			if last.Update(look); newer {
				out.Emit(b)
			}
			return nil
		}}
	})
}

// RankedBid is the bid that is at a rank of its auction's, now.
type RankedBid struct {
	Bid
	Rank int64
}

func (r RankedBid) key() text  { return text(nil).ints(r.Auction, r.Rank) }
func (r RankedBid) line() text { return r.Bid.line().ints(r.Rank) }

// ranks is how many there are of each auction.
const ranks = 10

// threshold is what a bid has to beat.
type threshold struct{ Bids, Price, DateTime int64 }

// beats reports whether a bid is among the highest. Of equal prices the earlier bid is the higher one, and of those the one that came first.
func (t threshold) beats(b *Bid) bool {
	return t.Bids < ranks || b.Price > t.Price || b.Price == t.Price && b.DateTime < t.DateTime
}

// insert puts a bid to its rank among the highest, from which on all have another one now, and leaves out what is behind the last rank.
func insert(all *[]Bid, b *Bid) (rank int) {
	s := *all
	for rank = len(s); rank > 0 && (threshold{ranks, s[rank-1].Price, s[rank-1].DateTime}).beats(b); rank-- {
	}
	*all = slices.Insert(s[:min(len(s), ranks-1)], rank, *b)
	return rank
}

// Q19 ranks the ten highest bids of each auction. A bid that takes a rank moves the ones below it, so each of them is given again.
func Q19(j *flow.Job, in Input) flow.Stream[RankedBid] {
	return flow.Process(flow.KeyBy(bids(j, in, wholeBid), func(b Bid) int64 { return b.Auction }), "rank", func(op *flow.Op[int64]) flow.Handler[int64, Bid, RankedBid] {
		lowest := flow.NewValue[threshold](op, "lowest")
		highest := flow.NewValue[[]Bid](op, "highest") // by rank
		var hand Bid
		var to *flow.Out[RankedBid]
		place := func(all *[]Bid) {
			for i := insert(all, &hand); i < len(*all); i++ {
				to.Emit(RankedBid{(*all)[i], int64(i) + 1})
			}
			last := &(*all)[len(*all)-1]
			lowest.Set(threshold{int64(len(*all)), last.Price, last.DateTime})
		}
		return flow.Handler[int64, Bid, RankedBid]{Record: func(_ *flow.Ctx[int64], b Bid, out *flow.Out[RankedBid]) error {
			hand, to = b, out
			if t, _ := lowest.Get(); t.beats(&hand) { // most bids for the hot auctions do not
				highest.Update(place)
			}
			return nil
		}}
	})
}
