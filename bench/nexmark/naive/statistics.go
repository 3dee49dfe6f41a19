package naive

import (
	"slices"

	"github.com/thalweg-io/thalweg/bench/nexmark/gen"
)

// The queries that count bids in bands of their price.

const (
	middleFrom = 10_000
	highFrom   = 1_000_000
)

// groups is the bids by what the function gives, each group in the order of the input.
func groups[K comparable](in *input, by func(gen.Bid) K) map[K][]gen.Bid {
	all := map[K][]gen.Bid{}
	for _, b := range in.bids {
		all[by(b)] = append(all[by(b)], b)
	}
	return all
}

// inBands is a number over all bids, and over those of a low, a middle and a high price.
func inBands(bids []gen.Bid, number func([]gen.Bid) int) []any {
	var low, middle, high []gen.Bid
	for _, b := range bids {
		switch {
		case b.Price < middleFrom:
			low = append(low, b)
		case b.Price < highFrom:
			middle = append(middle, b)
		default:
			high = append(high, b)
		}
	}
	return []any{number(bids), number(low), number(middle), number(high)}
}

func howMany(bids []gen.Bid) int { return len(bids) }

func bidders(bids []gen.Bid) int { return distinct(bids, func(b gen.Bid) int64 { return b.Bidder }) }

func auctions(bids []gen.Bid) int { return distinct(bids, func(b gen.Bid) int64 { return b.Auction }) }

func distinct(bids []gen.Bid, of func(gen.Bid) int64) int {
	seen := map[int64]bool{}
	for _, b := range bids {
		seen[of(b)] = true
	}
	return len(seen)
}

func statistics(bids []gen.Bid) []any {
	return slices.Concat(inBands(bids, howMany), inBands(bids, bidders), inBands(bids, auctions))
}

func dailyStatistics(in *input) (rows []string) {
	for day, bids := range groups(in, func(b gen.Bid) string { return day(b.DateTime) }) {
		rows = append(rows, line(slices.Concat([]any{day}, statistics(bids))...))
	}
	return rows
}

func channelStatistics(in *input) (rows []string) {
	type group struct{ channel, day string }
	for g, bids := range groups(in, func(b gen.Bid) group { return group{b.Channel, day(b.DateTime)} }) {
		latest := ""
		for _, b := range bids {
			latest = max(latest, minute(b.DateTime))
		}
		rows = append(rows, line(slices.Concat([]any{g.channel, g.day, latest}, statistics(bids))...))
	}
	return rows
}

func auctionStatistics(in *input) (rows []string) {
	type group struct {
		auction int64
		day     string
	}
	for g, bids := range groups(in, func(b gen.Bid) group { return group{b.Auction, day(b.DateTime)} }) {
		var prices []int64
		sum := int64(0)
		for _, b := range bids {
			prices = append(prices, b.Price)
			sum += b.Price
		}
		prefix, amounts := []any{g.auction, g.day}, []any{slices.Min(prices), slices.Max(prices), average(prices), sum}
		rows = append(rows, line(slices.Concat(prefix, inBands(bids, howMany), amounts)...))
	}
	return rows
}
