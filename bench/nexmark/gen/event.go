package gen

import "strconv"

// Kind says what an event is.
type Kind uint8

// The kinds of events. The zero Kind is none of them.
const (
	PersonKind Kind = iota + 1
	AuctionKind
	BidKind
)

// Person is somebody who has come to the site. Like those of all events, its DateTime is in milliseconds since 1970, and its strings are
// shared with other events: they cost nothing to keep.
type Person struct {
	ID           int64
	Name         string
	EmailAddress string
	CreditCard   string
	City         string
	State        string
	DateTime     int64
	Extra        string
}

// Auction is something put up for sale. Amounts are in cents.
type Auction struct {
	ID          int64
	ItemName    string
	Description string
	InitialBid  int64
	Reserve     int64
	DateTime    int64
	Expires     int64
	Seller      int64
	Category    int64
	Extra       string
}

// Bid is an offer for an auction. The price is in cents.
type Bid struct {
	Auction  int64
	Bidder   int64
	Price    int64
	Channel  string
	URL      string
	DateTime int64
	Extra    string
}

// Event is one of the three: the other two are zero. It is for looking at events in their order; it is large (about 300 bytes), so what is to be
// fast reads one kind.
type Event struct {
	Kind    Kind
	Person  Person
	Auction Auction
	Bid     Bid
}

// AppendLine appends the event as the package comment writes it for the checksum, without the end of the line.
func (e *Event) AppendLine(b []byte) []byte {
	switch e.Kind {
	case PersonKind:
		p := &e.Person
		b = appendInts(append(b, 'P'), p.ID)
		b = appendStrings(b, p.Name, p.EmailAddress, p.CreditCard, p.City, p.State)
		return appendStrings(appendInts(b, p.DateTime), p.Extra)
	case AuctionKind:
		a := &e.Auction
		b = appendInts(append(b, 'A'), a.ID)
		b = appendStrings(b, a.ItemName, a.Description)
		return appendStrings(appendInts(b, a.InitialBid, a.Reserve, a.DateTime, a.Expires, a.Seller, a.Category), a.Extra)
	case BidKind:
		bid := &e.Bid
		b = appendInts(append(b, 'B'), bid.Auction, bid.Bidder, bid.Price)
		b = appendStrings(b, bid.Channel, bid.URL)
		return appendStrings(appendInts(b, bid.DateTime), bid.Extra)
	}
	return b
}

func appendInts(b []byte, fields ...int64) []byte {
	for _, f := range fields {
		b = strconv.AppendInt(append(b, '|'), f, 10)
	}
	return b
}

func appendStrings(b []byte, fields ...string) []byte {
	for _, f := range fields {
		b = append(append(b, '|'), f...)
	}
	return b
}
