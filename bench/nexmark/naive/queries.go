package naive

import (
	"fmt"
	"iter"
	"slices"

	"github.com/thalweg-io/thalweg/bench/nexmark/gen"
)

// Query is one of the benchmark's questions.
type Query struct {
	Name    string
	Columns string // of a row of the result, with "|" between them
	answer  func(*input) []string
}

// Queries is all of them. The columns are those of the queries in SQL (github.com/nexmark/nexmark, nexmark-flink/src/main/resources/queries).
var Queries = []Query{
	{"q0", "auction|bidder|price|dateTime|extra", passThrough},
	{"q1", "auction|bidder|euros|dateTime|extra", currency},
	{"q2", "auction|price", selection},
	{"q3", "name|city|state|auction", localItems},
	{"q4", "category|average", averagePerCategory},
	{"q5", "auction|bids", hotItems},
	{"q6", "seller|average", averagePerSeller},
	{"q7", "auction|price|bidder|dateTime|extra", highestBids},
	{"q8", "person|name|windowStart", newUsers},
	{"q9", "id|itemName|description|initialBid|reserve|dateTime|expires|seller|category|extra|auction|bidder|price|bidTime|bidExtra", winningBids},
	{"q10", "auction|bidder|price|dateTime|extra|day|minute", partitioned},
	{"q11", "bidder|bids|start|end", sessions},
	{"q12", "bidder|bids", bidsPerBidder},
	{"q13", "auction|bidder|price|dateTime|value", sideInput},
	{"q14", "auction|bidder|euros|timeOfDay|dateTime|extra|cs", calculation},
	{"q15", "day|" + statisticsColumns, dailyStatistics},
	{"q16", "channel|day|latestMinute|" + statisticsColumns, channelStatistics},
	{"q17", "auction|day|bids|bidsLow|bidsMiddle|bidsHigh|least|highest|average|sum", auctionStatistics},
	{"q18", "auction|bidder|price|channel|url|dateTime|extra", lastBids},
	{"q19", "auction|bidder|price|channel|url|dateTime|extra|rank", topBids},
	{"q20", "auction|bidder|price|channel|url|bidTime|bidExtra|itemName|description|initialBid|reserve|auctionTime|expires|seller|category|auctionExtra", expandedBids},
	{"q21", "auction|bidder|price|channel|channelID", channelIDs},
	{"q22", "auction|bidder|price|channel|directory1|directory2|directory3", directories},
}

// The bands of prices are low (below 10,000 cents), middle (below 1,000,000) and high.
const statisticsColumns = "bids|bidsLow|bidsMiddle|bidsHigh|bidders|biddersLow|biddersMiddle|biddersHigh|auctions|auctionsLow|auctionsMiddle|auctionsHigh"

// Answer gives the lines of a query's result on the events, in the order of their arrival.
func Answer(query string, events iter.Seq[gen.Event]) ([]string, error) {
	i := slices.IndexFunc(Queries, func(q Query) bool { return q.Name == query })
	if i < 0 {
		return nil, fmt.Errorf("nexmark: there is no query %q: they are q0 to q22", query)
	}
	rows := Queries[i].answer(newInput(events))
	slices.Sort(rows)
	return rows, nil
}

// line writes a row. The fields are integers and strings.
func line(fields ...any) string {
	var b []byte
	for i, field := range fields {
		if i > 0 {
			b = append(b, '|')
		}
		b = fmt.Append(b, field)
	}
	return string(b)
}

// input is the events by kind, each in their order.
type input struct {
	people   []gen.Person
	auctions []gen.Auction
	bids     []gen.Bid
}

func newInput(events iter.Seq[gen.Event]) *input {
	in := new(input)
	for e := range events {
		switch e.Kind {
		case gen.PersonKind:
			in.people = append(in.people, e.Person)
		case gen.AuctionKind:
			in.auctions = append(in.auctions, e.Auction)
		case gen.BidKind:
			in.bids = append(in.bids, e.Bid)
		}
	}
	return in
}
