package source

import (
	"slices"
	"strings"
	"testing"

	"github.com/thalweg-io/thalweg/bench/nexmark/gen"
	"github.com/thalweg-io/thalweg/flow"
)

var config = gen.Config{Seed: 7, Rate: 1000, Splits: 3, Events: 1234}

// Each source gives what the generator gives of its kind, also when each read is by a new reader from the position of the last.
func TestSourcesGiveTheEvents(t *testing.T) {
	var people []gen.Person
	var auctions []gen.Auction
	var bids []gen.Bid
	for split := range config.Splits {
		g, err := gen.New(config, split, 0)
		if err != nil {
			t.Fatal(err)
		}
		for e := (gen.Event{}); g.Next(&e); {
			switch e.Kind {
			case gen.PersonKind:
				people = append(people, e.Person)
			case gen.AuctionKind:
				auctions = append(auctions, e.Auction)
			case gen.BidKind:
				bids = append(bids, e.Bid)
			}
		}
	}
	compare(t, People(config), people)
	compare(t, Auctions(config), auctions)
	compare(t, Bids(config), bids)
}

func compare[T comparable](t *testing.T, s flow.Source[T], want []T) {
	t.Helper()
	e, err := s.Enumerator(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if e, err = s.Enumerator(nil, e.Left()); err != nil { // as after a restore
		t.Fatal(err)
	}
	splits, err := e.Next(0, 1)
	if err != nil || len(splits) != config.Splits {
		t.Fatalf("%d splits, error %v", len(splits), err)
	}
	var got []T
	for _, at := range splits {
		for next := flow.Again; !next.Ended(); {
			r, err := s.Reader(nil, at)
			if err != nil {
				t.Fatal(err)
			}
			dst, n := make([]T, 37), 0
			if n, next, err = r.Read(dst); err != nil {
				t.Fatal(err)
			}
			got, at = append(got, dst[:n]...), r.Position()
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%T: %d records, want %d", *new(T), len(got), len(want))
	}
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	if _, err := Bids(gen.Config{}).Enumerator(nil, nil); err == nil || !strings.Contains(err.Error(), "rate of 0") {
		t.Errorf("no rate: error %v", err)
	}
	for split, want := range map[string]string{
		`{"split":3,"position":0}`:   "split 3 of 3",
		`{"split":0,"position":412}`: "position 412 in split 0",
		`x`:                          "decode a position",
	} {
		if _, err := Bids(config).Reader(nil, []byte(split)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v", split, err)
		}
	}
}
