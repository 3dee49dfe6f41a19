package naive

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/thalweg-io/thalweg/bench/nexmark/gen"
)

const second = 1000

func person(id int64, name, state string, at int64) gen.Event {
	return gen.Event{Kind: gen.PersonKind, Person: gen.Person{ID: id, Name: name, City: "Bend", State: state, DateTime: at}}
}

func auction(id, seller, category, from, to int64) gen.Event {
	return gen.Event{Kind: gen.AuctionKind, Auction: gen.Auction{
		ID: id, ItemName: "item", Description: "of use", InitialBid: 5, Reserve: 7, DateTime: from, Expires: to, Seller: seller, Category: category, Extra: "a",
	}}
}

func bid(auction, bidder, price, at int64) gen.Event {
	return gen.Event{Kind: gen.BidKind, Bid: gen.Bid{
		Auction: auction, Bidder: bidder, Price: price, Channel: "Apple", URL: "https://h/x/y/z/item.htm?query=1", DateTime: at, Extra: "cab",
	}}
}

// with changes a bid.
func with(e gen.Event, change func(*gen.Bid)) gen.Event {
	change(&e.Bid)
	return e
}

// The answers are worked out by hand.
func TestAnswers(t *testing.T) {
	const (
		noon    = 12 * 3600 * second
		evening = 19 * 3600 * second
		night   = 20 * 3600 * second
		nextDay = 24 * 3600 * second
	)
	for _, tc := range []struct {
		name   string
		query  string
		events []gen.Event
		want   []string
	}{
		{"every bid, sorted, twice if it is there twice", "q0", []gen.Event{bid(2, 3, 4, 5), bid(1, 3, 4, 5), bid(2, 3, 4, 5), person(1, "", "", 0)},
			[]string{"1|3|4|5|cab", "2|3|4|5|cab", "2|3|4|5|cab"}},
		{"three places", "q1", []gen.Event{bid(1, 3, 1, 5), bid(1, 3, 1000, 5), bid(1, 3, 10_050, 5)},
			[]string{"1|3|0.908|5|cab", "1|3|908.000|5|cab", "1|3|9125.400|5|cab"}},
		{"multiples of 123", "q2", []gen.Event{bid(123, 3, 1, 5), bid(124, 3, 2, 5), bid(246, 3, 3, 5)},
			[]string{"123|1", "246|3"}},
		{"category, state and seller", "q3", []gen.Event{
			auction(1, 100, 10, 0, 9), auction(2, 100, 11, 0, 9), auction(3, 101, 10, 0, 9), auction(4, 102, 10, 0, 9),
			person(100, "Ann", "OR", 50), person(101, "Bob", "WA", 50), person(103, "Cid", "CA", 50), auction(5, 100, 10, 60, 70),
		}, []string{"Ann|Bend|OR|1", "Ann|Bend|OR|5"}},
		{"highest bid while the auction runs, both ends included, average rounded down", "q4", []gen.Event{
			auction(1, 100, 10, 10, 20), bid(1, 3, 900, 9), bid(1, 3, 4, 10), bid(1, 3, 7, 20), bid(1, 3, 900, 21),
			auction(2, 100, 10, 10, 20), bid(2, 3, 8, 15), bid(2, 3, 2, 16),
			auction(3, 100, 11, 10, 20), bid(3, 3, 6, 15),
			auction(4, 100, 12, 10, 20), bid(4, 3, 6, 25), bid(5, 3, 6, 15),
		}, []string{"10|7", "11|6"}},
		// Windows that begin at -8, -6, -4, -2, 0 have the bids at 0 s and 1 s; that of 2 s to 10 s have the bid at 10 s, and that of 2 s no other.
		{"windows of 10 s every 2 s", "q5", []gen.Event{bid(1, 3, 1, 0), bid(1, 4, 1, second), bid(2, 3, 1, 1999), bid(2, 3, 1, 10*second)},
			[]string{"1|2", "1|2", "1|2", "1|2", "1|2", "2|1", "2|1", "2|1", "2|1", "2|1"}},
		{"all of equal count", "q5", []gen.Event{bid(1, 3, 1, 0), bid(2, 3, 1, 0)},
			[]string{"1|1", "1|1", "1|1", "1|1", "1|1", "2|1", "2|1", "2|1", "2|1", "2|1"}},
		{"the last ten winners of a seller", "q6", sales(100, 12), []string{"100|7"}}, // prices 1 to 12: 3 to 12 are 75 / 10
		{"winners by the time of the bid, then by auction", "q6", slices.Concat(
			sales(100, 9), // the bids are at 101 to 109
			[]gen.Event{auction(51, 100, 10, 0, 999), auction(50, 100, 10, 0, 999), bid(51, 3, 100, 50), bid(50, 3, 200, 50)},
		), []string{"100|14"}}, // 1 to 9 and 51, which is later than 50: 145 / 10
		{"highest of each window", "q7", []gen.Event{bid(1, 3, 5, 0), bid(2, 3, 9, 9999), bid(3, 4, 9, 5), bid(4, 3, 2, 10*second), bid(5, 3, 1, 11*second)},
			[]string{"2|9|3|9999|cab", "3|9|4|5|cab", "4|2|3|10000|cab"}},
		{"the end of a window is compared with that window too", "q7", []gen.Event{bid(1, 3, 5, 0), bid(2, 3, 5, 10*second), bid(3, 3, 5, 10*second+1)},
			[]string{"1|5|3|0|cab", "2|5|3|10000|cab", "2|5|3|10000|cab", "3|5|3|10001|cab"}},
		{"people who sell in the window they came in", "q8", []gen.Event{
			person(1, "Ann", "OR", second), auction(9, 1, 10, 9*second, 0), auction(8, 1, 10, 9*second, 0),
			person(2, "Bob", "OR", second), auction(9, 2, 10, 10*second, 0),
			auction(9, 3, 10, 20*second, 0), person(3, "Cid", "OR", 29_999),
			person(3, "Cid", "OR", 29_999), person(4, "Dan", "OR", 5),
		}, []string{"1|Ann|0", "3|Cid|20000"}},
		{"winner by price, then time, then order", "q9", []gen.Event{
			auction(1, 100, 10, 10, 20), bid(1, 3, 7, 15), bid(1, 4, 8, 14), bid(1, 5, 8, 13), bid(1, 6, 8, 13), bid(1, 7, 99, 21), auction(2, 100, 10, 10, 20),
		}, []string{"1|item|of use|5|7|10|20|100|10|a|1|5|8|13|cab"}},
		{"day and minute", "q10", []gen.Event{bid(1, 3, 1, nextDay+noon+61*second)}, []string{"1|3|1|129661000|cab|1970-01-02|12:01"}},
		{"a gap of 10 s does not end a session", "q11", []gen.Event{
			bid(1, 3, 1, 2*second), bid(1, 3, 1, 12*second), bid(1, 3, 1, 22*second+1), bid(1, 4, 1, 0), bid(2, 3, 1, second),
		}, []string{"3|1|22001|32001", "3|3|1000|22000", "4|1|0|10000"}},
		{"sum per bidder", "q12", []gen.Event{bid(1, 3, 1, 0), bid(2, 3, 1, nextDay), bid(1, 4, 1, 0)}, []string{"3|2", "4|1"}},
		{"the text of auction mod 10,000", "q13", []gen.Event{bid(20_003, 3, 1, 5)}, []string{"20003|3|1|5|3"}},
		// 1,101,322 cents are 1,000,000.376 and 1,101,321 are 999,999.468; 55,066,079 are 49,999,999.732 and 55,066,080 are 50,000,000.640.
		{"between prices", "q14", []gen.Event{bid(1, 3, 1_101_321, noon), bid(1, 3, 1_101_322, noon), bid(1, 3, 55_066_079, evening), bid(1, 3, 55_066_080, noon)},
			[]string{"1|3|1000000.376|dayTime|43200000|cab|1", "1|3|49999999.732|otherTime|68400000|cab|1"}},
		{"times of day", "q14", []gen.Event{
			with(bid(1, 3, 2_000_000, night), func(b *gen.Bid) { b.Extra = "cocc" }), bid(2, 3, 2_000_000, night-1), bid(3, 3, 2_000_000, 7*3600*second-1),
			bid(4, 3, 2_000_000, 7*3600*second), bid(5, 3, 2_000_000, 8*3600*second), bid(6, 3, 2_000_000, evening-1),
		}, []string{
			"1|3|1816000.000|nightTime|72000000|cocc|3", "2|3|1816000.000|otherTime|71999999|cab|1", "3|3|1816000.000|nightTime|25199999|cab|1",
			"4|3|1816000.000|otherTime|25200000|cab|1", "5|3|1816000.000|dayTime|28800000|cab|1", "6|3|1816000.000|dayTime|68399999|cab|1",
		}},
		{"days and bands", "q15", []gen.Event{
			bid(1, 3, 9_999, 0), bid(1, 3, 10_000, 0), bid(2, 3, 999_999, 0), bid(2, 4, 1_000_000, nextDay-1), bid(1, 4, 5, nextDay),
		}, []string{"1970-01-01|4|1|2|1|2|1|1|1|2|1|2|1", "1970-01-02|1|1|0|0|1|1|0|0|1|1|0|0"}},
		{"channels and days", "q16", []gen.Event{
			bid(1, 3, 5, noon), bid(1, 4, 5, 0), with(bid(1, 3, 2_000_000, 60*second), func(b *gen.Bid) { b.Channel = "channel-5" }), bid(7, 3, 5, nextDay),
		}, []string{
			"Apple|1970-01-01|12:00|2|2|0|0|2|2|0|0|1|1|0|0", "Apple|1970-01-02|00:00|1|1|0|0|1|1|0|0|1|1|0|0",
			"channel-5|1970-01-01|00:01|1|0|0|1|1|0|0|1|1|0|0|1",
		}},
		{"prices of auctions", "q17", []gen.Event{bid(1, 3, 5, 0), bid(1, 4, 10_000, 1), bid(1, 4, 1_000_000, 2), bid(2, 4, 7, 2), bid(2, 4, 9, nextDay)},
			[]string{"1|1970-01-01|3|1|1|1|5|1000000|336668|1010005", "2|1970-01-01|1|1|0|0|7|7|7|7", "2|1970-01-02|1|1|0|0|9|9|9|9"}},
		{"last bid, of equal times the later one", "q18", []gen.Event{bid(1, 3, 5, 9), bid(1, 3, 6, 8), bid(1, 3, 7, 9), bid(1, 4, 1, 0), bid(2, 3, 2, 0)},
			[]string{whole("1|3|7", 9), whole("1|4|1", 0), whole("2|3|2", 0)}},
		{"ten highest, of equal prices the earlier one", "q19", append(descending(1, 20, 9), bid(1, 50, 1, 100), bid(1, 51, 1, 99), bid(2, 3, 1, 1)),
			append(ranked(1, 20, 9), whole("1|50|1", 100)+"|10", whole("2|3|1", 1)+"|1")},
		{"bids of a category, whenever they come", "q20", []gen.Event{bid(1, 3, 5, 9), auction(1, 100, 10, 20, 30), bid(1, 3, 6, 99), auction(2, 100, 11, 0, 9), bid(2, 3, 7, 5)},
			[]string{whole("1|3|5", 9) + "|item|of use|5|7|20|30|100|10|a", whole("1|3|6", 99) + "|item|of use|5|7|20|30|100|10|a"}},
		{"known channels and those in URLs", "q21", []gen.Event{
			bid(1, 3, 5, 0), came("Google", "u"), came("Facebook", "u"), came("Baidu", "u?q=1&channel_id=77"), came("channel-9", "u?q=1&channel_id=-8&x=2"),
			came("channel-8", "u?q=1&achannel_id=5"), came("channel-7", "u?channel_id=5"), came("channel-6", "channel_id=6"),
		}, []string{"1|3|5|Apple|0", "1|3|5|Baidu|3", "1|3|5|Facebook|2", "1|3|5|Google|1", "1|3|5|channel-6|6", "1|3|5|channel-9|-8"}},
		{"parts of the URL", "q22", []gen.Event{bid(1, 3, 5, 0)}, []string{"1|3|5|Apple|x|y|z"}},
	} {
		got, err := Answer(tc.query, slices.Values(tc.events))
		slices.Sort(tc.want)
		if err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("%s, %s: error %v, got\n%s\nwant\n%s", tc.query, tc.name, err, strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
		}
	}
}

// sales is n auctions of a seller, the i-th with a winning bid of i at the time 100 + i.
func sales(seller, n int64) (events []gen.Event) {
	for i := int64(1); i <= n; i++ {
		events = append(events, auction(i, seller, 10, 0, 999), bid(i, 3, i, 100+i))
	}
	return events
}

// descending is n bids of falling prices, and ranked their lines.
func descending(auction, highest, n int64) (events []gen.Event) {
	for i := range n {
		events = append(events, bid(auction, 3, highest-i, i))
	}
	return events
}

func ranked(auction, highest, n int64) (rows []string) {
	for i := range n {
		rows = append(rows, fmt.Sprintf("%s|%d", whole(fmt.Sprintf("%d|3|%d", auction, highest-i), i), i+1))
	}
	return rows
}

func whole(prefix string, at int64) string {
	return fmt.Sprintf("%s|Apple|https://h/x/y/z/item.htm?query=1|%d|cab", prefix, at)
}

func came(channel, url string) gen.Event {
	return with(bid(1, 3, 5, 0), func(b *gen.Bid) { b.Channel, b.URL = channel, url })
}

// Every query has rows, of its columns, on the events it is for, and none without any.
func TestQueriesAnswerGeneratedEvents(t *testing.T) {
	events, err := gen.InTime(gen.Config{Seed: 42, Rate: 100, Splits: 2, Events: 20_000})
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range Queries {
		t.Run(q.Name, func(t *testing.T) {
			rows, err := Answer(q.Name, events)
			if err != nil || len(rows) == 0 {
				t.Fatalf("%d rows, error %v", len(rows), err)
			}
			for _, row := range rows {
				if got, want := strings.Count(row, "|"), strings.Count(q.Columns, "|"); got != want {
					t.Fatalf("row %s has %d columns, want %s", row, got+1, q.Columns)
				}
			}
			if again, _ := Answer(q.Name, events); !slices.Equal(again, rows) {
				t.Error("the answer is another one when asked again")
			}
			if none, err := Answer(q.Name, slices.Values([]gen.Event(nil))); err != nil || len(none) > 0 {
				t.Errorf("no events: rows %q, error %v", none, err)
			}
		})
	}
}

func TestUnknownQuery(t *testing.T) {
	if _, err := Answer("q23", nil); err == nil || err.Error() != `nexmark: there is no query "q23": they are q0 to q22` {
		t.Errorf("error %v", err)
	}
}
