package queries

import (
	"github.com/thalweg-io/thalweg/bench/nexmark/gen"
	"github.com/thalweg-io/thalweg/flow"
)

// The queries that join over all time, with the rows of one side or both as a whole. Each has one stream of both sides, keyed by what they share:
// that is one pass of the source, and one table of keys.

// party is a person, or an auction of one.
type party struct {
	Person  int64
	Auction int64 // 0: the person
	Resident
}

// Resident is who lives where.
type Resident struct{ Name, City, State string }

// LocalItem is an auction of a person who lives where the query asks for.
type LocalItem struct {
	Resident
	Auction int64
}

func (i LocalItem) line() text { return text(nil).strings(i.Name, i.City, i.State).ints(i.Auction) }

// Q3 finds the auctions of a category whose sellers live in some states.
func Q3(j *flow.Job, in Input) flow.Stream[LocalItem] {
	all := events(j, in, "people and auctions", kindsOf(gen.PersonKind, gen.AuctionKind), func(e *gen.Event, p *party) bool {
		if e.Kind == gen.AuctionKind {
			*p = party{Person: e.Auction.Seller, Auction: e.Auction.ID}
			return e.Auction.Category == 10
		}
		s := e.Person.State
		*p = party{Person: e.Person.ID, Resident: Resident{e.Person.Name, e.Person.City, s}}
		return s == "OR" || s == "ID" || s == "CA"
	})
	return flow.Process(flow.KeyBy(all, func(p party) int64 { return p.Person }), "join", func(op *flow.Op[int64]) flow.Handler[int64, party, LocalItem] {
		residents := flow.NewValue[Resident](op, "resident")
		early := flow.NewList[int64](op, "early auctions") // whose sellers have not come, and may live elsewhere
		return flow.Handler[int64, party, LocalItem]{Record: func(_ *flow.Ctx[int64], p party, out *flow.Out[LocalItem]) error {
			if p.Auction == 0 {
				residents.Set(p.Resident)
				for id := range early.All() {
					out.Emit(LocalItem{p.Resident, id})
				}
				early.Clear()
				return nil
			}
			if r, known := residents.Get(); known {
				out.Emit(LocalItem{r, p.Auction})
			} else {
				early.Append(p.Auction)
			}
			return nil
		}}
	})
}

// item is an auction, or a bid for one, in all their fields: those of both have their meaning by which it is.
type item struct {
	ID       int64 // of the auction
	Party    int64 // bidder; seller
	Amount   int64 // price; initial bid
	DateTime int64
	First    string // channel; item name
	Second   string // URL; description
	Extra    string
	Expires  int64 // 0: a bid
	Reserve  int64
	Category int64
}

func (i *item) isBid() bool { return i.Expires == 0 }

func (i *item) bid() Bid { return Bid{i.ID, i.Party, i.Amount, i.First, i.Second, i.DateTime, i.Extra} }

func (i *item) auction() Auction {
	return Auction{i.ID, i.First, i.Second, i.Amount, i.Reserve, i.DateTime, i.Expires, i.Party, i.Category, i.Extra}
}

func items(j *flow.Job, in Input) flow.Stream[item] {
	return events(j, in, "auctions and bids", kindsOf(gen.AuctionKind, gen.BidKind), func(e *gen.Event, i *item) bool {
		if e.Kind == gen.AuctionKind {
			a := &e.Auction
			*i = item{a.ID, a.Seller, a.InitialBid, a.DateTime, a.ItemName, a.Description, a.Extra, a.Expires, a.Reserve, a.Category}
		} else {
			b := &e.Bid
			*i = item{ID: b.Auction, Party: b.Bidder, Amount: b.Price, DateTime: b.DateTime, First: b.Channel, Second: b.URL, Extra: b.Extra}
		}
		return true
	})
}

// Auction is an auction as part of a row.
type Auction gen.Auction

// BidOn is a bid together with its auction.
type BidOn struct {
	Bid     Bid
	Auction Auction
}

// WonAuction is a BidOn as q9 writes it. A later one replaces it: the bid is the highest so far.
type WonAuction struct{ BidOn }

func (w WonAuction) key() text { return text(nil).ints(w.Auction.ID) }

func (w WonAuction) line() text {
	a, b := &w.Auction, &w.Bid
	t := text(nil).ints(a.ID).strings(a.ItemName, a.Description)
	t = t.ints(a.InitialBid, a.Reserve, a.DateTime, a.Expires, a.Seller, a.Category).strings(a.Extra)
	return t.ints(b.Auction, b.Bidder, b.Price, b.DateTime).strings(b.Extra)
}

// Q9 finds the highest bid of each auction while it runs.
func Q9(j *flow.Job, in Input) flow.Stream[WonAuction] {
	return flow.Process(flow.KeyBy(items(j, in), func(i item) int64 { return i.ID }), "winner", func(op *flow.Op[int64]) flow.Handler[int64, item, WonAuction] {
		highest := flow.NewValue[running](op, "highest") // what every bid is compared with
		auctions := flow.NewValue[Auction](op, "auction")
		early := flow.NewList[Bid](op, "early bids")
		var hand item
		return flow.Handler[int64, item, WonAuction]{Record: func(_ *flow.Ctx[int64], i item, out *flow.Out[WonAuction]) error {
			hand = i
			if !hand.isBid() {
				a, r := hand.auction(), running{From: hand.DateTime, Until: hand.Expires}
				for b := range early.All() {
					if r.takes(b.Price, b.DateTime) {
						out.Emit(WonAuction{BidOn{b, a}})
					}
				}
				early.Clear()
				highest.Set(r)
				auctions.Set(a)
				return nil
			}
			r, known := highest.Get()
			if !known {
				early.Append(hand.bid())
				return nil
			}
			if r.takes(hand.Amount, hand.DateTime) {
				highest.Set(r)
				a, _ := auctions.Get()
				out.Emit(WonAuction{BidOn{hand.bid(), a}})
			}
			return nil
		}}
	})
}

// ExpandedBid is a BidOn as q20 writes it.
type ExpandedBid struct{ BidOn }

func (e ExpandedBid) line() text {
	a := &e.Auction
	t := e.Bid.line().strings(a.ItemName, a.Description)
	return t.ints(a.InitialBid, a.Reserve, a.DateTime, a.Expires, a.Seller, a.Category).strings(a.Extra)
}

// Q20 adds its auction to each bid for an auction of a category.
func Q20(j *flow.Job, in Input) flow.Stream[ExpandedBid] {
	return flow.Process(flow.KeyBy(items(j, in), func(i item) int64 { return i.ID }), "join", func(op *flow.Op[int64]) flow.Handler[int64, item, ExpandedBid] {
		known := flow.NewValue[bool](op, "known") // an auction that has come: is wanted
		auctions := flow.NewValue[Auction](op, "auction")
		early := flow.NewList[Bid](op, "early bids")
		var hand item
		return flow.Handler[int64, item, ExpandedBid]{Record: func(_ *flow.Ctx[int64], i item, out *flow.Out[ExpandedBid]) error {
			hand = i
			wanted, some := known.Get()
			switch {
			case !hand.isBid():
				wanted = hand.Category == 10
				known.Set(wanted)
				if wanted {
					auctions.Set(hand.auction())
					for b := range early.All() {
						out.Emit(ExpandedBid{BidOn{b, hand.auction()}})
					}
				}
				early.Clear()
			case !some:
				early.Append(hand.bid())
			case wanted:
				a, _ := auctions.Get()
				out.Emit(ExpandedBid{BidOn{hand.bid(), a}})
			}
			return nil
		}}
	})
}
