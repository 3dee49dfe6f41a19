package naive

import (
	"cmp"
	"slices"

	"github.com/thalweg-io/thalweg/bench/nexmark/gen"
)

// The queries that rank bids.

func lastBids(in *input) (rows []string) {
	type pair struct{ bidder, auction int64 }
	last := map[pair]gen.Bid{}
	for _, b := range in.bids {
		by := pair{b.Bidder, b.Auction}
		if before, found := last[by]; !found || b.DateTime >= before.DateTime {
			last[by] = b
		}
	}
	for _, b := range last {
		rows = append(rows, line(wholeBid(b)...))
	}
	return rows
}

func topBids(in *input) (rows []string) {
	bids := map[int64][]gen.Bid{} // by auction
	for _, b := range in.bids {
		bids[b.Auction] = append(bids[b.Auction], b)
	}
	for _, all := range bids {
		slices.SortStableFunc(all, func(a, b gen.Bid) int { return cmp.Compare(b.Price, a.Price) })
		for i, b := range all[:min(len(all), 10)] {
			rows = append(rows, line(append(wholeBid(b), i+1)...))
		}
	}
	return rows
}

func wholeBid(b gen.Bid) []any {
	return []any{b.Auction, b.Bidder, b.Price, b.Channel, b.URL, b.DateTime, b.Extra}
}
