package queries

import (
	"context"
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/bench/nexmark/gen"
	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/internal/worker/local"
)

// readByFlink is the kinds that the sources of the Flink side make for a query: they are to be those of ours, as both are compared.
func readByFlink(t *testing.T, query string) (set kinds) {
	t.Helper()
	java, err := os.ReadFile("../../flink/harness/java/src/thalweg/NexmarkConfig.java")
	if err != nil {
		t.Fatal(err)
	}
	kind := map[string]gen.Kind{"PERSON": gen.PersonKind, "AUCTION": gen.AuctionKind, "BID": gen.BidKind}
	for _, c := range regexp.MustCompile(`(?m)^\s+(case (.*)|default) -> ([A-Z +]+);$`).FindAllStringSubmatch(string(java), -1) {
		names := strings.Split(c[2], ", ")
		if c[1] != "default" && !slices.Contains(names, `"`+query+`"`) {
			continue
		}
		for name := range strings.SplitSeq(c[3], " + ") {
			if k, known := kind[name]; known {
				set |= kindsOf(k)
			}
		}
		return set
	}
	t.Fatal("NexmarkConfig.java has no kinds of " + query)
	return 0
}

func TestBothSidesReadTheSameKinds(t *testing.T) {
	for _, q := range All {
		if q.Name == "q6" {
			continue // of auctions and bids, and not on Flink
		}
		var asked kinds
		in := Input{Config: gen.Config{Rate: 1, Splits: 1}, asked: &asked}
		if _, err := flow.Build(q.Name, 1, func(j *flow.Job) error { q.Discard(j, in); return nil }); err != nil {
			t.Fatal(err)
		}
		if want := readByFlink(t, q.Name); asked != want {
			t.Errorf("%s reads kinds %b, on Flink %b", q.Name, asked, want)
		}
	}
}

func TestSourceAloneIsThroughAllEvents(t *testing.T) {
	q, err := Find("q3")
	if err != nil {
		t.Fatal(err)
	}
	alone, err := q.SourceOnly()
	if err != nil {
		t.Fatal(err)
	}
	for _, skip := range []bool{false, true} {
		var events atomic.Int64
		in := Input{Config: gen.Config{Rate: 1000, Splits: 2, Events: 4321}, Skip: skip, Events: &events}
		g, err := flow.Build(alone.Name, 2, func(j *flow.Job) error { alone.Discard(j, in); return nil })
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("the source does not end"))
		if err := local.Run(ctx, g, local.Options{}); err != nil {
			t.Fatal(err)
		}
		cancel()
		if n := events.Load(); n != 4321 {
			t.Errorf("skip %v: %d events of 4321", skip, n)
		}
	}
}
