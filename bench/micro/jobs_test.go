package micro

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/internal/state/bareloop"
	"github.com/thalweg-io/thalweg/internal/worker/local"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// event is a record: a million of them are a second.
type event struct{ Key, Micros int64 }

func (e event) time() time.Time { return time.UnixMicro(e.Micros) }

// span is the time from the first record to the last: starting and ending a job takes as long as millions of records.
type span struct{ first, last atomic.Int64 }

func (s *span) touch() {
	now := time.Now().UnixNano()
	s.first.CompareAndSwap(0, now)
	s.last.Store(now)
}

// source gives so many events with random keys, from the bare loop's generator.
type source struct {
	keys   uint64
	events int64
	span   *span
}

func (s source) Enumerator(_ flow.Task, restored [][]byte) (flow.Enumerator, error) {
	if restored != nil {
		return flow.InOrder(restored), nil
	}
	return flow.InOrder([][]byte{make([]byte, 16)}), nil
}

func (s source) Reader(_ flow.Task, split []byte) (flow.Reader[event], error) {
	r := &reader{source: s, g: bareloop.NewGenerator(s.keys), at: int64(binary.LittleEndian.Uint64(split))}
	if r.at > 0 {
		r.g.X = binary.LittleEndian.Uint64(split[8:])
	}
	return r, nil
}

type reader struct {
	source
	g  bareloop.Generator
	at int64
}

func (r *reader) Read(dst []event) (int, flow.Next, error) {
	if r.at == 0 {
		r.span.touch()
	}
	n := min(int64(len(dst)), r.events-r.at)
	for i := range dst[:n] {
		dst[i] = event{int64(r.g.Next()), r.at + int64(i)}
	}
	if r.at += n; r.at == r.events {
		r.span.touch()
		return int(n), flow.EndOfSplit, nil
	}
	return int(n), flow.Again, nil
}

func (r *reader) Position() []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(r.at)), r.g.X)
}

func (r *reader) Close() error { return nil }

// counter is a sink that counts.
type counter[T any] struct {
	n    *atomic.Int64
	span *span
}

func (c counter[T]) Writer(flow.Task) (flow.Writer[T], error) { return c, nil }
func (c counter[T]) Close() error                             { return nil }

func (c counter[T]) Write(values []T) error {
	c.n.Add(int64(len(values)))
	c.span.touch()
	return nil
}

// run runs a job over so many events, and gives how many records came out.
func run[T any](b testing.TB, keys uint64, events int64, build func(flow.Stream[event]) flow.Stream[T]) int64 {
	b.Helper()
	var n atomic.Int64
	var whole span
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	g, err := flow.Build("micro", 1, func(j *flow.Job) error {
		flow.To(build(flow.From(j, "generate", flow.Source[event](source{keys, events, &whole}))), "count", flow.Sink[T](counter[T]{&n, &whole}))
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := local.Run(b.Context(), g, local.Options{}); err != nil {
		b.Fatal(err)
	}
	if b, measuring := b.(*testing.B); measuring {
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(whole.last.Load()-whole.first.Load())/float64(events), "ns/op")
		b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(events), "B/op")
		b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(events), "allocs/op")
	}
	return n.Load()
}

// enough is how many records a benchmark has at least: with fewer, the first memory of tables is most of what is measured. Figures are by record,
// however many of them the benchmark was asked for.
const enough = 1 << 20

// maps is a chain of so many maps.
func maps(s flow.Stream[event], n int) flow.Stream[event] {
	for i := range n {
		s = flow.Map(s, fmt.Sprint("map ", i), func(e event) event { e.Key++; return e })
	}
	return s
}

// BenchmarkMap is a chain of maps; none is the source and the sink alone.
func BenchmarkMap(b *testing.B) {
	for _, n := range []int{0, 1, 4, 16} {
		b.Run(fmt.Sprint("chained=", n), func(b *testing.B) {
			events := max(enough, int64(b.N))
			if got := run(b, 1<<20, events, func(s flow.Stream[event]) flow.Stream[event] { return maps(s, n) }); got != events {
				b.Fatalf("%d of %d records", got, events)
			}
		})
	}
}

// joins has events with even times on the one side, with odd ones on the other.
var joins = map[string]func(left, right flow.Keyed[int64, event]) flow.Stream[event]{
	"window=1s": func(left, right flow.Keyed[int64, event]) flow.Stream[event] {
		return flow.Join(left, right, flow.Tumbling(time.Second), "join", pair)
	},
	"interval=500ms": func(left, right flow.Keyed[int64, event]) flow.Stream[event] {
		return flow.IntervalJoin(left, right, -250*time.Millisecond, 250*time.Millisecond, "join", pair)
	},
}

func pair(a, _ event, out *flow.Out[event]) error { out.Emit(a); return nil }

func joined(kind string) func(flow.Stream[event]) flow.Stream[event] {
	return func(s flow.Stream[event]) flow.Stream[event] {
		s = s.EventTime(event.time, flow.OutOfOrder(0))
		side := func(name string, odd int64) flow.Keyed[int64, event] {
			return flow.KeyBy(s.Filter(name, func(e event) bool { return e.Micros&1 == odd }), func(e event) int64 { return e.Key })
		}
		return joins[kind](side("left", 0), side("right", 1))
	}
}

// BenchmarkJoin joins two inputs. An operation is a record of either.
func BenchmarkJoin(b *testing.B) {
	for _, kind := range []string{"window=1s", "interval=500ms"} {
		for _, keys := range []uint64{128 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("%s/keys=%d", kind, keys), func(b *testing.B) {
				events := max(enough, int64(b.N))
				pairs := run(b, keys, events, joined(kind))
				b.ReportMetric(float64(pairs)/float64(events), "pairs/record")
			})
		}
	}
}

// BenchmarkAggregate counts the same records in windows of a second: what joins are beside.
func BenchmarkAggregate(b *testing.B) {
	for _, keys := range []uint64{128 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("window=1s/keys=%d", keys), func(b *testing.B) {
			events := max(enough, int64(b.N))
			panes := run(b, keys, events, func(s flow.Stream[event]) flow.Stream[flow.Pane[int64, int64]] {
				s = s.EventTime(event.time, flow.OutOfOrder(0))
				return flow.Aggregate(flow.KeyBy(s, func(e event) int64 { return e.Key }).Window(flow.Tumbling(time.Second)), "aggregate", flow.Count[event]())
			})
			b.ReportMetric(float64(panes)/float64(events), "panes/record")
		})
	}
}

// What is measured does what it is said to.
func TestJobsAreRight(t *testing.T) {
	const keys, events = 50, 20_000
	if n := run(t, keys, events, func(s flow.Stream[event]) flow.Stream[event] { return maps(s, 3) }); n != events {
		t.Errorf("%d of %d records came through the maps", n, events)
	}
	// All events are within 20 ms, so both joins pair all records of a key.
	var sides [2][keys + 1]int64
	g := bareloop.NewGenerator(keys)
	for i := range events {
		sides[i&1][g.Next()]++
	}
	var want int64
	for key := range sides[0] {
		want += sides[0][key] * sides[1][key]
	}
	for kind := range joins {
		if got := run(t, keys, events, joined(kind)); got != want {
			t.Errorf("%s: %d pairs, want %d", kind, got, want)
		}
	}
}
