package gen

import (
	"iter"
	"math"
	"strings"
	"testing"
)

// The shares are those of the original generator; some follow from its constants, some were taken from a simulation of it.
func TestTheEventsAreDistributedAsTheOriginals(t *testing.T) {
	var people, auctions, bids float64
	var hotSellers, someCategory, someState float64
	var hotAuctions, hotBidders, low, middle, high, q2, q14, q21, hotPlaces, extra float64
	hotAuction, coldAuction, hotBidder, coldBidder := map[int64]float64{}, map[int64]float64{}, map[int64]float64{}, map[int64]float64{}
	for e := range inTime(t, million) {
		switch e.Kind {
		case PersonKind:
			people++
			someState += one(e.Person.State == "OR" || e.Person.State == "ID" || e.Person.State == "CA")
		case AuctionKind:
			auctions++
			hotSellers += one((e.Auction.Seller-1000)%100 == 0)
			someCategory += one(e.Auction.Category == 10)
		case BidKind:
			b := e.Bid
			bids++
			count(hotAuction, coldAuction, &hotAuctions, b.Auction, (b.Auction-1000)%100 == 0)
			count(hotBidder, coldBidder, &hotBidders, b.Bidder, (b.Bidder-2000)%100 == 1)
			low += one(b.Price < 10_000)
			middle += one(b.Price >= 10_000 && b.Price < 1_000_000)
			high += one(b.Price >= 1_000_000)
			q2 += one(b.Auction%123 == 0)
			q14 += one(b.Price*908 > 1_000_000_000 && b.Price*908 < 50_000_000_000)
			q21 += one(!strings.HasPrefix(b.Channel, "channel-") || strings.Contains(b.URL, "&channel_id="))
			hotPlaces += one(!strings.HasPrefix(b.Channel, "channel-"))
			extra += float64(len(b.Extra))
		}
	}
	for _, tc := range []struct {
		what              string
		got, want, within float64
	}{
		{"people", people / 1e6, 0.02, 1e-5},
		{"auctions", auctions / 1e6, 0.06, 1e-5},
		{"bids", bids / 1e6, 0.92, 1e-5},
		{"bids on hot auctions", hotAuctions / bids, 0.505, 0.003},
		{"bids per hot auction", mean(hotAuction), 774, 5},
		{"bids per cold auction", mean(coldAuction), 7.7, 0.1},
		{"bids by hot bidders", hotBidders / bids, 0.752, 0.003},
		{"bids per hot bidder", mean(hotBidder), 3460, 30},
		{"bids per cold bidder", mean(coldBidder), 11.6, 0.2},
		{"auctions of hot sellers", hotSellers / auctions, 0.752, 0.006},
		{"auctions of category 10", someCategory / auctions, 0.2, 0.006},
		{"people of three states", someState / people, 0.5, 0.012},
		{"prices below 100", low / bids, 1. / 3, 0.003},
		{"prices below 10,000", middle / bids, 1. / 3, 0.003},
		{"prices above", high / bids, 1. / 3, 0.003},
		{"q2", q2 / bids, 0.00775, 0.00045},
		{"q14", q14 / bids, 0.283, 0.003},
		{"q21", q21 / bids, 0.95, 0.003},
		{"bids by a hot channel", hotPlaces / bids, 0.5, 0.003},
		{"length of a bid's extra", extra / bids, 67.5, 0.1},
	} {
		if math.Abs(tc.got-tc.want) > tc.within {
			t.Errorf("%s: %v, want %v within %v", tc.what, tc.got, tc.want, tc.within)
		}
	}
}

func inTime(t *testing.T, c Config) iter.Seq[Event] {
	t.Helper()
	events, err := InTime(c)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func count(hot, cold map[int64]float64, hots *float64, id int64, isHot bool) {
	if isHot {
		hot[id]++
		*hots++
	} else {
		cold[id]++
	}
}

func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func mean(counts map[int64]float64) float64 {
	sum := 0.
	for _, n := range counts {
		sum += n
	}
	return sum / float64(len(counts))
}

// Lengths are what sizes are made of: each must reach both of its ends, and never pass them.
func TestStringsHaveTheirLengths(t *testing.T) {
	type span struct{ least, most int }
	spans := map[string]span{}
	note := func(what, s string) {
		n, ok := spans[what]
		if !ok {
			n = span{len(s), len(s)}
		}
		spans[what] = span{min(n.least, len(s)), max(n.most, len(s))}
	}
	for e := range inTime(t, million) {
		switch e.Kind {
		case PersonKind:
			note("card", e.Person.CreditCard)
		case AuctionKind:
			note("item", e.Auction.ItemName)
			note("description", e.Auction.Description)
			if s := e.Auction.ItemName + "|" + e.Auction.Description; strings.Trim(s, " ") != s || strings.Contains(s, " |") || strings.Contains(s, "| ") {
				t.Fatalf("blanks at an end of %q", s)
			}
		case BidKind:
			note("extra", e.Bid.Extra)
		}
	}
	for what, want := range map[string]span{"card": {19, 19}, "item": {0, 19}, "description": {1, 99}, "extra": {54, 81}} {
		got := spans[what]
		if got.most != want.most || got.least < want.least || got.least > want.least+2 {
			t.Errorf("%s: lengths %+v, want %+v", what, got, want)
		}
	}
}

func BenchmarkEvents(b *testing.B) {
	b.Run("all", func(b *testing.B) {
		g, e := endless(b), Event{}
		for b.Loop() {
			g.Next(&e)
		}
	})
	b.Run("bids", func(b *testing.B) { portions(b, (*Generator).Bids) })
	b.Run("auctions", func(b *testing.B) { portions(b, (*Generator).Auctions) })
	b.Run("people", func(b *testing.B) { portions(b, (*Generator).People) })
}

func endless(b *testing.B) *Generator {
	b.ReportAllocs()
	g, err := New(Config{Seed: 1, Rate: 100_000, Splits: 1}, 0, 0)
	if err != nil {
		b.Fatal(err)
	}
	return g
}

// portions reports the time per record that is given, and per event that is passed over or given.
func portions[T any](b *testing.B, read func(*Generator, []T) int) {
	g, dst := endless(b), make([]T, 256)
	before := g.Position()
	for b.Loop() {
		read(g, dst)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(dst)), "ns/record")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(g.Position()-before), "ns/event")
}
