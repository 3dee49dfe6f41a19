package naive

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/thalweg-io/thalweg/bench/nexmark/gen"
)

// The queries that look at one bid at a time.

// perBid makes a row of each bid, or none if it is empty.
func perBid(in *input, row func(gen.Bid) string) (rows []string) {
	for _, b := range in.bids {
		if r := row(b); r != "" {
			rows = append(rows, r)
		}
	}
	return rows
}

func passThrough(in *input) []string {
	return perBid(in, func(b gen.Bid) string { return line(b.Auction, b.Bidder, b.Price, b.DateTime, b.Extra) })
}

func currency(in *input) []string {
	return perBid(in, func(b gen.Bid) string { return line(b.Auction, b.Bidder, euros(b.Price), b.DateTime, b.Extra) })
}

func selection(in *input) []string {
	return perBid(in, func(b gen.Bid) string {
		if b.Auction%123 != 0 {
			return ""
		}
		return line(b.Auction, b.Price)
	})
}

func partitioned(in *input) []string {
	return perBid(in, func(b gen.Bid) string {
		return line(b.Auction, b.Bidder, b.Price, b.DateTime, b.Extra, day(b.DateTime), minute(b.DateTime))
	})
}

// sideInput looks up a table that has the text of each number below 10,000.
func sideInput(in *input) []string {
	return perBid(in, func(b gen.Bid) string {
		return line(b.Auction, b.Bidder, b.Price, b.DateTime, fmt.Sprint(b.Auction%10_000))
	})
}

func calculation(in *input) []string {
	return perBid(in, func(b gen.Bid) string {
		if thousandths := b.Price * 908; thousandths <= 1_000_000_000 || thousandths >= 50_000_000_000 {
			return ""
		}
		return line(b.Auction, b.Bidder, euros(b.Price), timeOfDay(b.DateTime), b.DateTime, b.Extra, strings.Count(b.Extra, "c"))
	})
}

func timeOfDay(ms int64) string {
	switch hour := time.UnixMilli(ms).UTC().Hour(); {
	case hour >= 8 && hour <= 18:
		return "dayTime"
	case hour <= 6 || hour >= 20:
		return "nightTime"
	default:
		return "otherTime"
	}
}

var channelID = regexp.MustCompile(`(&|^)channel_id=([^&]*)`)

func channelIDs(in *input) []string {
	known := map[string]string{"apple": "0", "google": "1", "facebook": "2", "baidu": "3"}
	return perBid(in, func(b gen.Bid) string {
		id, ok := known[strings.ToLower(b.Channel)]
		if !ok {
			found := channelID.FindStringSubmatch(b.URL)
			if found == nil {
				return ""
			}
			id = found[2]
		}
		return line(b.Auction, b.Bidder, b.Price, b.Channel, id)
	})
}

func directories(in *input) []string {
	return perBid(in, func(b gen.Bid) string {
		parts := strings.Split(b.URL, "/")
		return line(b.Auction, b.Bidder, b.Price, b.Channel, parts[3], parts[4], parts[5])
	})
}

func euros(price int64) string {
	return fmt.Sprintf("%d.%03d", price*908/1000, price*908%1000)
}

func day(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02") }

func minute(ms int64) string { return time.UnixMilli(ms).UTC().Format("15:04") }
