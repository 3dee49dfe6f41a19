package gen

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"
)

var million = Config{Seed: 42, Rate: 10_000, Splits: 1, Events: 1_000_000}

// If one of these changes, no number measured before can be compared with one measured after, and the twins in other languages break.
func TestTheEventsStayTheSame(t *testing.T) {
	for _, tc := range []struct {
		c    Config
		want string
	}{
		{million, "61ca2a0b06dd48fa"},
		{Config{Seed: 42, Rate: 10_000_000, Splits: 4, Events: 100_003}, "fe6d9b6d290a908e"},
		{Config{Seed: 1 << 63, Rate: 7, Splits: 1, Events: 10_000}, "0773950f6c62c2d9"},
	} {
		sum, err := Checksum(tc.c)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%016x", sum); got != tc.want {
			t.Errorf("%+v: checksum %s, want %s", tc.c, got, tc.want)
		}
	}
}

// all gives the events of the split from a position on, one by one.
func all(t *testing.T, c Config, split int, position int64) (events []Event) {
	t.Helper()
	g, err := New(c, split, position)
	if err != nil {
		t.Fatal(err)
	}
	var e Event
	for g.Next(&e) {
		events = append(events, e)
	}
	return events
}

func TestEventsCanBeMadeFromAnyPosition(t *testing.T) {
	c := Config{Seed: 3, Rate: 333, Splits: 3, Events: 1000}
	for split := range c.Splits {
		whole := all(t, c, split, 0)
		if got, want := int64(len(whole)), c.Count(split); got != want {
			t.Fatalf("split %d has %d events, want %d", split, got, want)
		}
		for position := range len(whole) + 1 {
			if got := all(t, c, split, int64(position)); !slices.Equal(got, whole[position:]) {
				t.Fatalf("split %d from position %d is not what follows there from the beginning", split, position)
			}
		}
	}
}

// Each kind is read alone, in portions of all sizes, and begins again from the position after each.
func TestKindsCanBeReadAlone(t *testing.T) {
	c := Config{Seed: 4, Rate: 50_000, Splits: 2, Events: 2345}
	for split := range c.Splits {
		var people []Person
		var auctions []Auction
		var bids []Bid
		for _, e := range all(t, c, split, 0) {
			switch e.Kind {
			case PersonKind:
				people = append(people, e.Person)
			case AuctionKind:
				auctions = append(auctions, e.Auction)
			case BidKind:
				bids = append(bids, e.Bid)
			}
		}
		same(t, c, split, people, (*Generator).People)
		same(t, c, split, auctions, (*Generator).Auctions)
		same(t, c, split, bids, (*Generator).Bids)
	}
}

func same[T comparable](t *testing.T, c Config, split int, want []T, read func(*Generator, []T) int) {
	t.Helper()
	for _, portion := range []int{1, 2, 3, 45, 46, 47, 100, len(want), len(want) + 1} {
		var got []T
		position := int64(0)
		for {
			g, err := New(c, split, position)
			if err != nil {
				t.Fatal(err)
			}
			dst := make([]T, portion)
			n := read(g, dst)
			got = append(got, dst[:n]...)
			position = g.Position()
			if n < portion {
				break
			}
		}
		if !slices.Equal(got, want) || position != c.Count(split) {
			t.Errorf("%T read alone in portions of %d: %d up to position %d, want %d up to %d", *new(T), portion, len(got), position, len(want), c.Count(split))
		}
	}
}

func TestSplitsShareNoIDs(t *testing.T) {
	c := Config{Seed: 1, Rate: 1000, Splits: 3, Events: 10_000}
	seen := map[int64]int{}
	for split := range c.Splits {
		for _, e := range all(t, c, split, 0) {
			if e.Kind == AuctionKind {
				if other, found := seen[e.Auction.ID]; found {
					t.Fatalf("auction %d is in the splits %d and %d", e.Auction.ID, other, split)
				}
				seen[e.Auction.ID] = split
			}
		}
	}
}

// The price stays within a millionth of the formula that it stands for, and one cent for rounding.
func TestPriceIsTheFormula(t *testing.T) {
	check := func(v uint64) {
		want := 100 * math.Pow(10, 6*float64(v)/(1<<32))
		if got := float64(price(v)); math.Abs(got-want) > want/1e6+1 {
			t.Errorf("price(%d) = %v, want %v", v, got, want)
		}
	}
	for v := uint64(0); v < 1<<32; v += 65_521 {
		check(v)
	}
	check(1<<32 - 1)
}

func TestConfigSaysWhatIsWrong(t *testing.T) {
	good := Config{Rate: 1, Splits: 1}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		c        Config
		split    int
		position int64
		want     string
	}{
		{Config{Splits: 1}, 0, 0, "nexmark: a rate of 0 events per second: it has to be between 1 and 1099511627776"},
		{Config{Rate: 1}, 0, 0, "nexmark: 0 splits: there have to be between 1 and 1024"},
		{Config{Rate: 1, Splits: 1, Events: -1}, 0, 0, "nexmark: -1 events: there have to be between 0 (endless) and 17592186044416"},
		{good, 1, 0, "nexmark: split 1 of 1: the first is 0"},
		{Config{Rate: 1, Splits: 1, Events: 5}, 0, 6, "nexmark: position 6 in split 0: it has 5 events"},
	} {
		if _, err := New(tc.c, tc.split, tc.position); err == nil || err.Error() != tc.want {
			t.Errorf("%+v: error %v, want %s", tc.c, err, tc.want)
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	g, err := New(Config{Seed: 1, Rate: 1000, Splits: 1}, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	var e Event
	if got := testing.AllocsPerRun(1000, func() { g.Next(&e) }); got != 0 {
		t.Errorf("an event allocates %v times, want 0", got)
	}
}

func TestSplitsMergeByTime(t *testing.T) {
	c := Config{Seed: 1, Rate: 700, Splits: 3, Events: 1001}
	var want []Event
	for split := range c.Splits {
		want = append(want, all(t, c, split, 0)...)
	}
	slices.SortStableFunc(want, func(a, b Event) int { return cmp.Compare(timeOf(a), timeOf(b)) })
	merged, err := InTime(c)
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Collect(merged); !slices.Equal(got, want) {
		t.Errorf("merged, they are not the events of all splits sorted by time")
	}
	for range merged {
		break // which must not go on
	}
	if _, err := InTime(Config{}); err == nil {
		t.Error("no error for a configuration without a rate")
	}
}

func timeOf(e Event) int64 { return e.Person.DateTime + e.Auction.DateTime + e.Bid.DateTime } // two are zero
