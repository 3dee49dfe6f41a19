package naive

import "slices"

// The queries over windows. Times and lengths are in milliseconds.

const (
	size  = 10_000 // of all windows, and the gap of sessions
	slide = 2_000
)

// windowStart is where the tumbling window begins that has the time.
func windowStart(ms int64) int64 { return ms / size * size }

func hotItems(in *input) (rows []string) {
	counts := map[int64]map[int64]int{} // by start of window and auction
	for _, b := range in.bids {
		for start := b.DateTime / slide * slide; start > b.DateTime-size; start -= slide {
			if counts[start] == nil {
				counts[start] = map[int64]int{}
			}
			counts[start][b.Auction]++
		}
	}
	for _, auctions := range counts {
		most := 0
		for _, n := range auctions {
			most = max(most, n)
		}
		for auction, n := range auctions {
			if n == most {
				rows = append(rows, line(auction, n))
			}
		}
	}
	return rows
}

func highestBids(in *input) (rows []string) {
	highest := map[int64]int64{} // by start of window
	for _, b := range in.bids {
		highest[windowStart(b.DateTime)] = max(highest[windowStart(b.DateTime)], b.Price)
	}
	for _, b := range in.bids {
		row := line(b.Auction, b.Price, b.Bidder, b.DateTime, b.Extra)
		start := windowStart(b.DateTime)
		if b.Price == highest[start] {
			rows = append(rows, row)
		}
		// The interval of the join is closed: at the end of a window, a bid is also compared with that window's highest.
		if before, found := highest[start-size]; found && b.DateTime == start && b.Price == before {
			rows = append(rows, row)
		}
	}
	return rows
}

func newUsers(in *input) (rows []string) {
	type inWindow struct{ id, start int64 }
	sellers := map[inWindow]bool{}
	for _, a := range in.auctions {
		sellers[inWindow{a.Seller, windowStart(a.DateTime)}] = true
	}
	type user struct {
		inWindow
		name string
	}
	given := map[user]bool{}
	for _, p := range in.people {
		u := user{inWindow{p.ID, windowStart(p.DateTime)}, p.Name}
		if sellers[u.inWindow] && !given[u] {
			given[u] = true
			rows = append(rows, line(u.id, u.name, u.start))
		}
	}
	return rows
}

func sessions(in *input) (rows []string) {
	times := map[int64][]int64{} // by bidder
	for _, b := range in.bids {
		times[b.Bidder] = append(times[b.Bidder], b.DateTime)
	}
	for bidder, all := range times {
		slices.Sort(all)
		first := 0
		for i := range all {
			if i+1 == len(all) || all[i+1]-all[i] > size {
				rows = append(rows, line(bidder, i+1-first, all[first], all[i]+size))
				first = i + 1
			}
		}
	}
	return rows
}

func bidsPerBidder(in *input) (rows []string) {
	counts := map[int64]int{}
	for _, b := range in.bids {
		counts[b.Bidder]++
	}
	for bidder, n := range counts {
		rows = append(rows, line(bidder, n))
	}
	return rows
}
