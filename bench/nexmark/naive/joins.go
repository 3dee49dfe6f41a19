package naive

import (
	"cmp"
	"slices"

	"github.com/thalweg-io/thalweg/bench/nexmark/gen"
)

// The queries that join over all time.

// sold is an auction with the bids that were made while it ran, its start and its end included, in the order of the input.
type sold struct {
	gen.Auction
	bids []gen.Bid
}

// winner is the highest bid; of equals, the earliest, and of those the one that came first.
func (s sold) winner() gen.Bid {
	return slices.MinFunc(s.bids, func(a, b gen.Bid) int {
		return cmp.Or(cmp.Compare(b.Price, a.Price), cmp.Compare(a.DateTime, b.DateTime))
	})
}

// inLife gives the auctions that had a bid while they ran.
func inLife(in *input) (all []sold) {
	bids := map[int64][]gen.Bid{}
	for _, b := range in.bids {
		bids[b.Auction] = append(bids[b.Auction], b)
	}
	for _, a := range in.auctions {
		s := sold{Auction: a}
		for _, b := range bids[a.ID] {
			if a.DateTime <= b.DateTime && b.DateTime <= a.Expires {
				s.bids = append(s.bids, b)
			}
		}
		if len(s.bids) > 0 {
			all = append(all, s)
		}
	}
	return all
}

func localItems(in *input) (rows []string) {
	auctions := map[int64][]gen.Auction{}
	for _, a := range in.auctions {
		if a.Category == 10 {
			auctions[a.Seller] = append(auctions[a.Seller], a)
		}
	}
	for _, p := range in.people {
		if p.State == "OR" || p.State == "ID" || p.State == "CA" {
			for _, a := range auctions[p.ID] {
				rows = append(rows, line(p.Name, p.City, p.State, a.ID))
			}
		}
	}
	return rows
}

func averagePerCategory(in *input) (rows []string) {
	highest := map[int64][]int64{}
	for _, s := range inLife(in) {
		highest[s.Category] = append(highest[s.Category], s.winner().Price)
	}
	for category, prices := range highest {
		rows = append(rows, line(category, average(prices)))
	}
	return rows
}

func averagePerSeller(in *input) (rows []string) {
	bySeller := map[int64][]sold{}
	for _, s := range inLife(in) {
		bySeller[s.Seller] = append(bySeller[s.Seller], s)
	}
	for seller, all := range bySeller {
		slices.SortFunc(all, func(a, b sold) int {
			return cmp.Or(cmp.Compare(a.winner().DateTime, b.winner().DateTime), cmp.Compare(a.ID, b.ID))
		})
		var prices []int64
		for _, s := range all[max(len(all)-10, 0):] {
			prices = append(prices, s.winner().Price)
		}
		rows = append(rows, line(seller, average(prices)))
	}
	return rows
}

func winningBids(in *input) (rows []string) {
	for _, s := range inLife(in) {
		a, b := s.Auction, s.winner()
		rows = append(rows, line(
			a.ID, a.ItemName, a.Description, a.InitialBid, a.Reserve, a.DateTime, a.Expires, a.Seller, a.Category, a.Extra,
			b.Auction, b.Bidder, b.Price, b.DateTime, b.Extra,
		))
	}
	return rows
}

func expandedBids(in *input) (rows []string) {
	auctions := map[int64][]gen.Auction{}
	for _, a := range in.auctions {
		if a.Category == 10 {
			auctions[a.ID] = append(auctions[a.ID], a)
		}
	}
	for _, b := range in.bids {
		for _, a := range auctions[b.Auction] {
			rows = append(rows, line(
				b.Auction, b.Bidder, b.Price, b.Channel, b.URL, b.DateTime, b.Extra,
				a.ItemName, a.Description, a.InitialBid, a.Reserve, a.DateTime, a.Expires, a.Seller, a.Category, a.Extra,
			))
		}
	}
	return rows
}

// average is rounded towards zero, as SQL does with integers.
func average(prices []int64) int64 {
	sum := int64(0)
	for _, p := range prices {
		sum += p
	}
	return sum / int64(len(prices))
}
