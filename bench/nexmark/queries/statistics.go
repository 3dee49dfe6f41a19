package queries

import (
	"fmt"

	"github.com/thalweg-io/thalweg/bench/nexmark/gen"
	"github.com/thalweg-io/thalweg/flow"
)

// The queries that count bids in bands of their price, by day.

// band is that of a price: low, middle or high.
func band(price int64) uint8 {
	switch {
	case price < 10_000:
		return 0
	case price < 1_000_000:
		return 1
	default:
		return 2
	}
}

// Banded is a number over all bids, and over those of each band.
type Banded struct {
	All   int64
	Bands [3]int64
}

func (b Banded) append(t text) text { return t.ints(b.All).ints(b.Bands[:]...) }

// sets is a set of Banded numbers, a bit each: that of all is the lowest.
type sets uint8

func inBand(band uint8) sets { return 1 | 2<<band }

// add counts one in each number of the set.
func (b *Banded) add(in sets) {
	b.All += int64(in & 1)
	for i := range b.Bands {
		b.Bands[i] += int64(in >> (i + 1) & 1)
	}
}

func (b *Banded) merge(o *Banded) {
	b.All += o.All
	for i, n := range o.Bands {
		b.Bands[i] += n
	}
}

// Statistics is what there was in a group: bids, and different bidders and auctions among them.
type Statistics struct {
	Bids, Bidders, Auctions Banded
	Latest                  int64 // minute of the day that had a bid
}

func (s *Statistics) append(t text) text {
	return s.Auctions.append(s.Bidders.append(s.Bids.append(t)))
}

// tally is a bid on its way to the statistics of its group.
type tally[G comparable] struct {
	Group           G
	Bidder, Auction int64
	Marks
}

// Marks are the small fields of a tally. They are together so that a tally of a number has no more than four fields: see flow.MapInto.
type Marks struct {
	Minute            int16
	Band              uint8
	Bidders, Auctions sets // that the bid is the first of its bidder, or auction, in
}

// statistics counts each group. Which bidders and auctions a group has had is kept beside the group, by each of them, so that a group of a whole
// day's bids is divided among all subtasks.
func statistics[G comparable](s flow.Stream[tally[G]]) flow.Stream[flow.Entry[G, Statistics]] {
	s = first(s, "bidders", func(t tally[G]) member[G] { return member[G]{t.Group, t.Bidder} }, func(t *tally[G], in sets) { t.Bidders = in })
	s = first(s, "auctions", func(t tally[G]) member[G] { return member[G]{t.Group, t.Auction} }, func(t *tally[G], in sets) { t.Auctions = in })
	return flow.Rolling(flow.KeyBy(s, func(t tally[G]) G { return t.Group }), "statistics", flow.Aggregator[tally[G], Statistics, Statistics]{
		Add: func(a *Statistics, t tally[G]) {
			a.Bids.add(inBand(t.Band))
			a.Bidders.add(t.Bidders)
			a.Auctions.add(t.Auctions)
			a.Latest = max(a.Latest, int64(t.Minute))
		},
		Merge: func(a, b *Statistics) {
			a.Bids.merge(&b.Bids)
			a.Bidders.merge(&b.Bidders)
			a.Auctions.merge(&b.Auctions)
			a.Latest = max(a.Latest, b.Latest)
		},
		Result: func(a *Statistics) Statistics { return *a },
	})
}

// member is a bidder or an auction of a group.
type member[G comparable] struct {
	Group G
	ID    int64
}

// first has each bid say which numbers of its group it is the first of its kind for.
func first[G comparable](s flow.Stream[tally[G]], name string, key func(tally[G]) member[G], say func(*tally[G], sets)) flow.Stream[tally[G]] {
	return flow.Process(flow.KeyBy(s, key), name, func(op *flow.Op[member[G]]) flow.Handler[member[G], tally[G], tally[G]] {
		seen := flow.NewValue[sets](op, "seen")
		var hand tally[G]
		look := func(before *sets) {
			in := inBand(hand.Band)
			say(&hand, in&^*before)
			*before |= in
		}
		return flow.Handler[member[G], tally[G], tally[G]]{Record: func(_ *flow.Ctx[member[G]], t tally[G], out *flow.Out[tally[G]]) error {
			hand = t
			seen.Update(look)
			out.Emit(hand)
			return nil
		}}
	})
}

// Q15 counts the bids, bidders and auctions of each day, in days since 1970.
func Q15(j *flow.Job, in Input) flow.Stream[flow.Entry[int64, Statistics]] {
	return statistics(bids(j, in, func(b *gen.Bid, t *tally[int64]) {
		*t = tally[int64]{Group: b.DateTime / millisPerDay, Bidder: b.Bidder, Auction: b.Auction, Marks: Marks{Band: band(b.Price)}}
	}))
}

type day flow.Entry[int64, Statistics]

func (d day) key() text  { return text(nil).ints(d.Key) }
func (d day) line() text { return d.Value.append(text(nil).day(d.Key)) }

// ChannelDay is a day of a channel, in days since 1970.
type ChannelDay struct {
	Channel string
	Day     int64
}

// Q16 counts the bids, bidders and auctions of each channel by day.
func Q16(j *flow.Job, in Input) flow.Stream[flow.Entry[ChannelDay, Statistics]] {
	return statistics(bids(j, in, func(b *gen.Bid, t *tally[ChannelDay]) {
		*t = tally[ChannelDay]{Group: ChannelDay{b.Channel, b.DateTime / millisPerDay}, Bidder: b.Bidder, Auction: b.Auction,
			Marks: Marks{Minute: int16(b.DateTime / 60_000 % (24 * 60)), Band: band(b.Price)}}
	}))
}

type channelDay flow.Entry[ChannelDay, Statistics]

func (d channelDay) key() text { return text(nil).strings(d.Key.Channel).ints(d.Key.Day) }

func (d channelDay) line() text {
	minute := fmt.Sprintf("%02d:%02d", d.Value.Latest/60, d.Value.Latest%60)
	return d.Value.append(text(nil).strings(d.Key.Channel).day(d.Key.Day).strings(minute))
}

// AuctionDay is a day of an auction, in days since 1970.
type AuctionDay struct{ Auction, Day int64 }

// Prices is what the bids of a group offered.
type Prices struct {
	Bids             Banded
	Least, Most, Sum int64
}

// Average is rounded towards zero.
func (p *Prices) Average() int64 { return p.Sum / p.Bids.All }

// priced is a bid for q17.
type priced struct {
	AuctionDay
	Price int64
}

// Q17 gives the prices of each auction by day.
func Q17(j *flow.Job, in Input) flow.Stream[flow.Entry[AuctionDay, Prices]] {
	all := bids(j, in, func(b *gen.Bid, p *priced) { *p = priced{AuctionDay{b.Auction, b.DateTime / millisPerDay}, b.Price} })
	return flow.Rolling(flow.KeyBy(all, func(p priced) AuctionDay { return p.AuctionDay }), "prices", flow.Aggregator[priced, Prices, Prices]{
		Add: func(a *Prices, p priced) {
			if a.Bids.All == 0 {
				a.Least = p.Price
			}
			a.Bids.All++
			a.Bids.Bands[band(p.Price)]++
			a.Least, a.Most, a.Sum = min(a.Least, p.Price), max(a.Most, p.Price), a.Sum+p.Price
		},
		Merge: func(a, b *Prices) {
			switch {
			case b.Bids.All == 0:
				return
			case a.Bids.All == 0:
				*a = *b
				return
			}
			a.Bids.merge(&b.Bids)
			a.Least, a.Most, a.Sum = min(a.Least, b.Least), max(a.Most, b.Most), a.Sum+b.Sum
		},
		Result: func(a *Prices) Prices { return *a },
	})
}

type auctionDay flow.Entry[AuctionDay, Prices]

func (d auctionDay) key() text { return text(nil).ints(d.Key.Auction, d.Key.Day) }

func (d auctionDay) line() text {
	p := &d.Value
	return p.Bids.append(text(nil).ints(d.Key.Auction).day(d.Key.Day)).ints(p.Least, p.Most, p.Average(), p.Sum)
}
