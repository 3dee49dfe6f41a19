package flow

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/state"
	"github.com/thalweg-io/thalweg/internal/stream"
)

type benchEvent struct{ Key, Value int64 }

// benchWindow drives one subtask with a million records a second of event time, over uniformly random keys.
type benchWindow struct {
	b      *testing.B
	op     *windowing[int64, benchEvent, Pane[int64, int64]]
	values []benchEvent // four million, over and over
	batch  stream.Batch[benchEvent]
	now    int64 // in microseconds: one record each
	given  *int
}

func newBenchWindow(b *testing.B, w Window, events []benchEvent) *benchWindow {
	from, to := job.Groups(0, 128, 1)
	k, err := state.NewKeyed[int64](state.Config{Name: "op", MaxParallelism: 128, From: from, To: to})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(k.Close)
	given := 0
	out := newOut[Pane[int64, int64]](&countingSink{given: &given})
	a := Sum(func(e benchEvent) int64 { return e.Value })
	g := &giving[int64, benchEvent, int64, int64]{a: a, count: func(int) {},
		emit: func(p Pane[int64, int64], at int64) error { out.emit(p, at); return out.err }}
	op, err := newWindowing(&node{name: "op"}, Windowed[int64, benchEvent]{keyed: Keyed[int64, benchEvent]{key: func(e benchEvent) int64 { return e.Key }}, window: w},
		k, g, out.next, out.flush)
	if err != nil {
		b.Fatal(err)
	}
	x := &benchWindow{b: b, op: op, values: events, given: &given}
	x.batch.Times, x.batch.Hashes, x.batch.Split = make([]int64, stream.BatchSize), make([]uint64, stream.BatchSize), -1
	return x
}

func (x *benchWindow) run(records int) {
	for range records / stream.BatchSize {
		at := int(x.now) % len(x.values)
		x.batch.Values = x.values[at : at+stream.BatchSize]
		for i := range x.batch.Times {
			x.batch.Times[i] = (x.now + int64(i)) * 1000
		}
		for i, e := range x.batch.Values {
			x.op.by.keys = room(x.op.by.keys, stream.BatchSize)
			x.op.by.keys[i] = e.Key
		}
		x.op.by.hash(x.batch.Hashes, x.op.by.keys) // as the exchange does
		if err := x.op.Push(&x.batch); err != nil {
			x.b.Fatal(err)
		}
		if x.now += stream.BatchSize; x.now/(20*stream.BatchSize) != (x.now-stream.BatchSize)/(20*stream.BatchSize) {
			if err := x.op.Watermark(x.now*1000 - 1); err != nil {
				x.b.Fatal(err)
			}
		}
	}
}

// benchRound is a second of event time: each has the windows that end in it.
const benchRound = 1 << 20

// round is the cost of a record over one round, in ns.
func (x *benchWindow) round() float64 {
	began := time.Now()
	x.run(benchRound)
	return float64(time.Since(began).Nanoseconds()) / benchRound
}

func median(s []float64) float64 {
	slices.Sort(s)
	return s[len(s)/2]
}

type countingSink struct {
	stream.Input[Pane[int64, int64]]
	given *int
}

func (s *countingSink) Push(b *stream.Batch[Pane[int64, int64]]) error {
	*s.given += b.Len()
	return nil
}
func (s *countingSink) Watermark(int64) error { return nil }

// BenchmarkWindow is the cost of a record in windows of each kind, hashing its key included, beside tumbling windows of a second over the same
// records: in alternating rounds, the medians of which are compared, as other work on the machine is as likely in those as in these. In sessions 100 records of a key follow each other, and then a gap of ten times
// that, for which other keys have theirs.
func BenchmarkWindow(b *testing.B) {
	for _, keys := range []int{1000, 100_000} {
		events := make([]benchEvent, 4<<20)
		random := rand.New(rand.NewPCG(1, 2))
		for i := range events {
			events[i] = benchEvent{Key: random.Int64N(int64(keys)), Value: int64(i)}
		}
		for _, c := range []struct {
			name   string
			window Window
			events []benchEvent
		}{
			{"tumbling", Tumbling(time.Second), events},
			{"sliding60x1", Sliding(60*time.Second, time.Second), events},
			{"session", Session(sessionGap(keys)), sessionEvents(keys, random)},
		} {
			b.Run(fmt.Sprintf("%s/keys=%d", c.name, keys), func(b *testing.B) {
				x := newBenchWindow(b, c.window, c.events)
				x.run(4 << 20) // as many records as keys have sessions of, and more
				if c.name == "sliding60x1" {
					x.run(64 << 20) // past the first whole windows
				}
				tumbling := newBenchWindow(b, Tumbling(time.Second), c.events)
				tumbling.run(4 << 20)
				*x.given = 0
				var own, others []float64
				b.ReportAllocs()
				b.ResetTimer()
				n := 0
				for ; n < b.N; n += benchRound {
					own = append(own, x.round())
					b.StopTimer()
					others = append(others, tumbling.round())
					b.StartTimer()
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(median(own), "ns/record")
				b.ReportMetric(median(own)/median(others), "x-tumbling")
				b.ReportMetric(float64(*x.given)/float64(n)*1e6, "panes/Mrecord")
			})
		}
	}
}

// sessionGap separates the sessions of sessionEvents: while a key has its 100 records, nine others have theirs of each ten, one a microsecond.
func sessionGap(keys int) time.Duration { return time.Duration(keys) * 3 * time.Microsecond }

// sessionEvents has keys/10 keys at a time in random turns, so that each has about 100 records before it rests for nine times as long.
func sessionEvents(keys int, random *rand.Rand) []benchEvent {
	events := make([]benchEvent, 4<<20)
	active := keys / 10
	for i := range events {
		group := i / (100 * active) % 10
		events[i] = benchEvent{Key: int64(group*active) + random.Int64N(int64(active)), Value: int64(i)}
	}
	return events
}
