package main

import (
	"maps"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/internal/state/bareloop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// keeping is the sink of the test: the last count of each key. The task writes it and the test reads it, in turn.
type keeping struct {
	discard
	mu     *sync.Mutex
	counts map[uint64]int64
}

func (k keeping) Writer(flow.Task) (flow.Writer[Counted], error) { return k, nil }

func (k keeping) Write(values []Counted) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, v := range values {
		k.counts[v.Key] = v.Value
	}
	return k.discard.Write(values)
}

func TestJobCountsEveryRecord(t *testing.T) {
	for _, exchange := range []bool{false, true} {
		for _, process := range []bool{false, true} {
			s := shape{keys: 1 << 10, exchange: exchange, process: process}
			t.Run(s.name(), func(t *testing.T) { testCounts(t, s) })
		}
	}
}

func testCounts(t *testing.T, s shape) {
	var mu sync.Mutex
	got := map[uint64]int64{}
	e, err := start(s, func(d discard) flow.Sink[Counted] { return keeping{d, &mu, got} })
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	if want := 2 + b2i(s.exchange); countVertices(t, s) != want {
		t.Fatalf("%d vertices, want %d: the enumerator's, and one or two of records", countVertices(t, s), want)
	}
	g, want := bareloop.NewGenerator(s.keys), map[uint64]int64{}
	// Portions of a single record, of a whole batch and more: each ends with a mark.
	for portions, n := range []int{1, 1023, 1024, 1025, 50_000} {
		if err := e.run(n); err != nil {
			t.Fatal(err)
		}
		for range n {
			want[g.Next()]++
		}
		want[mark] = int64(portions) + 1
		mu.Lock()
		same := maps.Equal(got, want)
		mu.Unlock()
		if !same {
			t.Fatalf("after a portion of %d: %d keys counted %v marks, want %d keys and %v marks, or their counts differ", n, len(got), got[mark], len(want), want[mark])
		}
	}
}

func countVertices(t *testing.T, s shape) int {
	g, err := s.graph(newSource(s.keys), discard{})
	if err != nil {
		t.Fatal(err)
	}
	return len(g.Job.Vertices)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
