package queries

import (
	"strconv"
	"strings"

	"github.com/thalweg-io/thalweg/bench/nexmark/gen"
	"github.com/thalweg-io/thalweg/flow"
)

// The queries that look at one bid at a time.

// Offer is a bid without where it came from.
type Offer struct {
	Auction, Bidder int64
	Price           int64 // in cents; q1 gives thousandths of them
	DateTime        int64
	Extra           string
}

func offer(b *gen.Bid, o *Offer) {
	*o = Offer{b.Auction, b.Bidder, b.Price, b.DateTime, b.Extra}
}

func (o Offer) line() text {
	return text(nil).ints(o.Auction, o.Bidder, o.Price, o.DateTime).strings(o.Extra)
}

// Q0 passes bids through.
func Q0(j *flow.Job, in Input) flow.Stream[Offer] { return bids(j, in, offer) }

// Exchanged is an Offer in another currency.
type Exchanged Offer

func (e Exchanged) line() text {
	return text(nil).ints(e.Auction, e.Bidder).euros(e.Price).ints(e.DateTime).strings(e.Extra)
}

// rate is what a thousandth of the other currency's unit costs.
const rate = 908

// Q1 exchanges dollars for euros.
func Q1(j *flow.Job, in Input) flow.Stream[Exchanged] {
	return flow.MapBatch(bids(j, in, offer), "exchange", func(in []Offer, out []Exchanged) []Exchanged {
		for i := range in {
			out = append(out, Exchanged(in[i]))
			out[i].Price *= rate
		}
		return out
	})
}

// Price is what a bid offers for an auction.
type Price struct{ Auction, Price int64 }

func (p Price) line() text { return text(nil).ints(p.Auction, p.Price) }

// Q2 selects the bids on some auctions.
func Q2(j *flow.Job, in Input) flow.Stream[Price] {
	all := bids(j, in, func(b *gen.Bid, p *Price) { *p = Price{b.Auction, b.Price} })
	return all.Filter("select", func(p Price) bool { return p.Auction%123 == 0 })
}

// Enriched is a bid with a value from a table.
type Enriched struct {
	Auction, Bidder, Price, DateTime int64
	Value                            string
}

func (e Enriched) line() text {
	return text(nil).ints(e.Auction, e.Bidder, e.Price, e.DateTime).strings(e.Value)
}

// Q13 adds to each bid what a table says of its auction. The table does not change, so each process has it.
func Q13(j *flow.Job, in Input) flow.Stream[Enriched] {
	table := sideTable()
	all := bids(j, in, func(b *gen.Bid, e *Enriched) { *e = Enriched{b.Auction, b.Bidder, b.Price, b.DateTime, ""} })
	return flow.MapBatch(all, "look up", func(in, out []Enriched) []Enriched {
		for i := range in {
			out = append(out, in[i])
			out[i].Value = table[in[i].Auction%int64(len(table))]
		}
		return out
	})
}

// sideTable is the benchmark's table of 10,000 values by their number.
func sideTable() []string {
	table := make([]string, 10_000)
	for i := range table {
		table[i] = strconv.Itoa(i)
	}
	return table
}

// Calculated is a bid with what q14 works out.
type Calculated struct {
	Exchanged
	TimeOfDay string
	Cs        int64
}

func (c Calculated) line() text {
	return text(nil).ints(c.Auction, c.Bidder).euros(c.Price).strings(c.TimeOfDay).ints(c.DateTime).strings(c.Extra).ints(c.Cs)
}

// Q14 exchanges the price, keeps the bids whose price is then in a range, and calculates on what is left.
func Q14(j *flow.Job, in Input) flow.Stream[Calculated] {
	some := Q1(j, in).Filter("in range", func(e Exchanged) bool { return e.Price > 1_000_000_000 && e.Price < 50_000_000_000 })
	return flow.MapBatch(some, "calculate", func(in []Exchanged, out []Calculated) []Calculated {
		for i := range in {
			out = append(out, Calculated{in[i], timeOfDay(in[i].DateTime), int64(strings.Count(in[i].Extra, "c"))})
		}
		return out
	})
}

func timeOfDay(millis int64) string {
	switch hour := millis / 3_600_000 % 24; {
	case hour >= 8 && hour <= 18:
		return "dayTime"
	case hour <= 6 || hour >= 20:
		return "nightTime"
	default:
		return "otherTime"
	}
}

// Visit is where a bid came from.
type Visit struct {
	Auction, Bidder, Price int64
	Channel, URL           string
}

func visit(b *gen.Bid, v *Visit) { *v = Visit{b.Auction, b.Bidder, b.Price, b.Channel, b.URL} }

// Identified is a bid with the id of its channel.
type Identified struct {
	Auction, Bidder, Price int64
	Channel, ChannelID     string
}

func (i Identified) line() text {
	return text(nil).ints(i.Auction, i.Bidder, i.Price).strings(i.Channel, i.ChannelID)
}

// Q21 finds the id of the channel, of channels that have one.
func Q21(j *flow.Job, in Input) flow.Stream[Identified] {
	return flow.FlatMap(bids(j, in, visit), "identify", func(v Visit, out *flow.Out[Identified]) error {
		if id := channelID(v.Channel, v.URL); id != "" {
			out.Emit(Identified{v.Auction, v.Bidder, v.Price, v.Channel, id})
		}
		return nil
	})
}

func channelID(channel, url string) string {
	switch {
	case strings.EqualFold(channel, "apple"):
		return "0"
	case strings.EqualFold(channel, "google"):
		return "1"
	case strings.EqualFold(channel, "facebook"):
		return "2"
	case strings.EqualFold(channel, "baidu"):
		return "3"
	}
	const parameter = "channel_id="
	for from := 0; ; {
		i := strings.Index(url[from:], parameter)
		if i < 0 {
			return ""
		}
		from += i + len(parameter)
		if begin := from - len(parameter); begin == 0 || url[begin-1] == '&' {
			id, _, _ := strings.Cut(url[from:], "&")
			return id
		}
	}
}

// Directories is a bid with parts of its URL.
type Directories struct {
	Auction, Bidder, Price int64
	Channel                string
	Parts                  [3]string
}

func (d Directories) line() text {
	return text(nil).ints(d.Auction, d.Bidder, d.Price).strings(d.Channel).strings(d.Parts[:]...)
}

// Q22 takes the directories out of the URL.
func Q22(j *flow.Job, in Input) flow.Stream[Directories] {
	return flow.MapBatch(bids(j, in, visit), "split", func(in []Visit, out []Directories) []Directories {
		for i := range in {
			v := &in[i]
			out = append(out, Directories{v.Auction, v.Bidder, v.Price, v.Channel, directories(v.URL)})
		}
		return out
	})
}

// directories is the parts behind the third "/", as far as there are any.
func directories(url string) (parts [3]string) {
	for range 3 {
		_, url, _ = strings.Cut(url, "/")
	}
	for i := range parts {
		parts[i], url, _ = strings.Cut(url, "/")
	}
	return parts
}
