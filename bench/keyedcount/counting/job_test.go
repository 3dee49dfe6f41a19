package counting_test

import (
	"maps"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/thalweg-io/thalweg/bench/hosts"
	. "github.com/thalweg-io/thalweg/bench/keyedcount/counting"
	"github.com/thalweg-io/thalweg/internal/state/bareloop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestJobCountsEveryRecord(t *testing.T) {
	for _, s := range []Shape{
		{}, {Exchange: true}, {Operator: Process}, {Operator: Process, Exchange: true}, {Operator: Pair, Exchange: true},
		{Record: Wide}, {Record: Wide, Exchange: true}, {Record: String}, {Record: String, Operator: Process, Exchange: true}, {Zipf: true},
	} {
		s.Keys = 1 << 10
		t.Run(s.Name(), func(t *testing.T) { testCounts(t, s) })
	}
}

func testCounts(t *testing.T, s Shape) {
	var mu sync.Mutex // the task writes and the test reads, in turn
	got := map[uint64]int64{}
	g, c, err := New(s, func(key uint64, count int64) {
		mu.Lock()
		defer mu.Unlock()
		got[key] = count
	})
	if err != nil {
		t.Fatal(err)
	}
	vertices := 2 // the enumerator's, and one or two of records
	if s.Exchange {
		vertices++
	}
	if n := len(g.Job.Vertices); n != vertices {
		t.Fatalf("%d vertices, want %d", n, vertices)
	}
	bed, err := hosts.Start(g, t.TempDir(), s.Exchange)
	if err != nil {
		t.Fatal(err)
	}
	defer bed.Close()
	await(t, bed, c.Ready())
	next, want, all := sequence(s), map[uint64]int64{}, int64(0)
	// Portions of a single record, of a whole batch and more: each ends with a mark.
	for portions, n := range []int64{1, 1023, 1024, 1025, 50_000} {
		c.Grant(n)
		await(t, bed, c.Counted())
		for range n {
			want[next()]++
		}
		want[0] = int64(portions) + 1
		all += n
		mu.Lock()
		same := maps.Equal(got, want)
		mu.Unlock()
		if !same || c.Given() != all {
			t.Fatalf("after a portion of %d: %d records given, %d keys counted, %d marks; want %d keys and %d marks, or their counts differ",
				n, c.Given(), len(got), got[0], len(want), want[0])
		}
	}
}

func await(t *testing.T, bed *hosts.Bed, event <-chan struct{}) {
	t.Helper()
	select {
	case <-event:
	case err := <-bed.Failed():
		t.Fatal(err)
	}
}

// sequence is the keys that a job of the shape counts.
func sequence(s Shape) func() uint64 {
	if !s.Zipf {
		g := bareloop.NewGenerator(s.Keys)
		return g.Next
	}
	drawn, i := Zipf(s.Keys), -1
	return func() uint64 { i++; return drawn[i%len(drawn)] }
}

func TestZipf(t *testing.T) {
	const keys = 1000
	counts := make([]int, keys+1)
	for _, key := range Zipf(keys) {
		counts[key]++ // panics if it is none of 1 to 1000
	}
	var most, second, seen int
	for _, n := range counts {
		if n > most {
			most, second = n, most
		} else {
			second = max(second, n)
		}
		if n > 0 {
			seen++
		}
	}
	// The harmonic number of 1000 is 7.485.
	if share := float64(most) / Samples; share < 0.130 || share > 0.137 {
		t.Errorf("the most frequent key has a share of %.4f, want 1/7.485", share)
	}
	if ratio := float64(most) / float64(second); ratio < 1.95 || ratio > 2.05 || seen != keys {
		t.Errorf("the first is %.3f times as frequent as the second, want 2; %d keys, want %d", ratio, seen, keys)
	}
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	for want, s := range map[string]Shape{"no keys": {}, `"9B"`: {Keys: 1, Record: "9B"}, `"sum"`: {Keys: 1, Operator: "sum"}} {
		if _, _, err := New(s, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want one with %s", s, err, want)
		}
	}
}
