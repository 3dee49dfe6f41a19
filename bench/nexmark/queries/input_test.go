package queries

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/thalweg-io/thalweg/bench/nexmark/gen"
)

// Whatever kinds are read, and whether the others are skipped, a source gives the generator's events of these kinds in their order; also when each
// portion is read by a new reader, from the position of the last.
func TestSourceGivesTheEventsOfItsKinds(t *testing.T) {
	c := gen.Config{Seed: 7, Rate: 1000, Splits: 3, Events: 1234} // splits that begin and end inside of a round
	all := []gen.Kind{gen.PersonKind, gen.AuctionKind, gen.BidKind}
	for set := range 1 << len(all) {
		var of []gen.Kind
		for i, k := range all {
			if set>>i&1 > 0 {
				of = append(of, k)
			}
		}
		if len(of) == 0 {
			continue
		}
		for _, skip := range []bool{false, true} {
			s := source[gen.Event]{Input{Config: c, Skip: skip}, kindsOf(of...), func(e, row *gen.Event) bool { *row = *e; return true }}
			for split := range c.Splits {
				var want []gen.Event
				g, err := gen.New(c, split, 0)
				if err != nil {
					t.Fatal(err)
				}
				for e := (gen.Event{}); g.Next(&e); {
					if slices.Contains(of, e.Kind) {
						want = append(want, e)
					}
				}
				if got := readAll(t, s, split); !slices.Equal(got, want) {
					t.Errorf("kinds %v, skip %v, split %d: %d events, want %d, or others", of, skip, split, len(got), len(want))
				}
			}
		}
	}
}

func readAll(t *testing.T, s source[gen.Event], split int) (got []gen.Event) {
	t.Helper()
	at := place{Split: split}.encode()
	for ended := false; !ended; {
		r, err := s.Reader(nil, at)
		if err != nil {
			t.Fatal(err)
		}
		dst := make([]gen.Event, 37)
		n, next, err := r.Read(dst)
		if err != nil {
			t.Fatal(err)
		}
		got, at, ended = append(got, dst[:n]...), r.Position(), next.Ended()
	}
	return got
}

func TestWhatIsWrongWithASourceIsSaid(t *testing.T) {
	s := source[gen.Event]{in: Input{Config: gen.Config{Rate: 1, Splits: 3, Events: 1236}}}
	for split, want := range map[string]string{
		`{"split":3,"position":0}`:   "split 3 of 3",
		`{"split":0,"position":413}`: "position 413 in split 0",
		`x`:                          "decode a position",
	} {
		if _, err := s.Reader(nil, []byte(split)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v", split, err)
		}
	}
	s.in.Config.Rate = 0
	if _, err := s.Enumerator(nil, nil); err == nil || !strings.Contains(err.Error(), "rate of 0") {
		t.Errorf("no rate: error %v", err)
	}
}

// The sales of a seller arrive in any order.
func TestLastSalesAreKept(t *testing.T) {
	for shift := range int64(25) {
		var s sales
		for i := range int64(25) {
			n := (i*7 + shift) % 25
			s.add(sale{Auction: n, Price: 1 << n, At: n / 2}) // two at each time
		}
		want := Mean{Sum: 1<<25 - 1<<15, Count: 10} // of 15 to 24
		if got := s.mean(); got != want {
			t.Errorf("shift %d: %v, want %v; %s", shift, got, want, fmt.Sprint(s))
		}
	}
}
