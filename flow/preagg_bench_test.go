package flow_test

import (
	"fmt"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/bench/hosts"
	"github.com/thalweg-io/thalweg/flow"
)

// BenchmarkWindowOverExchange is the processor time of a record from a source to the tumbling windows of a second, a million records each, on another
// host, over one TCP connection, both ends counted: with pre-aggregation, and beside it without, in alternating rounds.
func BenchmarkWindowOverExchange(b *testing.B) {
	for _, keys := range []int64{1000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("record=16B/keys=%d", keys), func(b *testing.B) {
			benchExchange(b, keys, func(v *pressed, key int64) { *v = pressed{key, 1} }, func(v pressed) int64 { return v.Key })
		})
		b.Run(fmt.Sprintf("record=string/keys=%d", keys), func(b *testing.B) {
			benchExchange(b, keys, func(v *named, key int64) { *v = named{"the quick brown fox", key, key} }, func(v named) int64 { return v.Key })
		})
	}
}

type pressed struct{ Key, Value int64 }

type named struct {
	Name       string
	Key, Value int64
}

// granted is a source of records at random keys, a microsecond each, as many as it has been granted.
type granted[T any] struct {
	keys        uint64
	fill        func(v *T, key int64)
	grant, read *atomic.Int64
	task        *atomic.Pointer[flow.Task]
}

func (s granted[T]) Enumerator(flow.Task, [][]byte) (flow.Enumerator, error) {
	return flow.InOrder([][]byte{{0}}), nil
}
func (s granted[T]) Reader(t flow.Task, _ []byte) (flow.Reader[T], error) {
	s.task.Store(&t)
	return &grantedReader[T]{granted: s, random: 88172645463325252}, nil
}

type grantedReader[T any] struct {
	granted[T]
	random uint64
	n      int64
}

func (r *grantedReader[T]) Read(dst []T) (int, flow.Next, error) {
	n := int(min(int64(len(dst)), r.grant.Load()-r.n))
	if n == 0 {
		return 0, flow.WaitWake, nil
	}
	x := r.random
	for i := range dst[:n] {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		r.fill(&dst[i], int64(x>>32*r.keys>>32))
	}
	r.random = x
	r.n += int64(n)
	r.read.Store(r.n)
	return n, flow.Again, nil
}
func (r *grantedReader[T]) Position() []byte { return nil }
func (r *grantedReader[T]) Close() error     { return nil }

// benchedJob is a job whose source is granted records.
type benchedJob struct {
	bed         *hosts.Bed
	grant, read atomic.Int64
	given       atomic.Int64 // records in the windows that have been given
	task        atomic.Pointer[flow.Task]
}

// million is the records of one window.
const million = 1_000_000

func startBench[T any](b *testing.B, keys int64, fill func(*T, int64), key func(T) int64, o ...flow.Option) *benchedJob {
	x := &benchedJob{}
	g, err := flow.Build("bench", 1, func(j *flow.Job) error {
		n := int64(0)
		s := flow.From(j, "source", flow.Source[T](granted[T]{uint64(keys), fill, &x.grant, &x.read, &x.task})).
			EventTime(func(T) time.Time { n++; return time.Unix(0, (n-1)*1000) })
		counts := flow.AggregateThen(flow.KeyBy(s, key).Window(flow.Tumbling(time.Second)), "count", flow.Count[T](),
			func(p flow.Pane[int64, int64], out *flow.Out[int64]) error { out.Emit(p.Value); return nil }, append(o, flow.StartChain())...)
		flow.To(flow.Map(counts, "chain", func(n int64) int64 { return n }), "sink", flow.Sink[int64](countsOf{&x.given}))
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	if len(g.Job.Vertices) != 3 {
		b.Fatal("want splits, source, windows")
	}
	if x.bed, err = hosts.Start(g, b.TempDir(), true); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(x.bed.Close)
	for x.task.Load() == nil {
		time.Sleep(time.Millisecond)
	}
	return x
}

type countsOf struct{ given *atomic.Int64 }

func (s countsOf) Writer(flow.Task) (flow.Writer[int64], error) { return s, nil }
func (s countsOf) Close() error                                 { return nil }
func (s countsOf) Write(values []int64) error {
	sum := int64(0)
	for _, v := range values {
		sum += v
	}
	s.given.Add(sum)
	return nil
}

// round has the records of one window counted, and gives the processor time of one.
func (x *benchedJob) round(b *testing.B) float64 {
	began := processorTime()
	want := x.given.Load() + million
	x.grant.Add(million)
	(*x.task.Load()).Wake()
	for x.given.Load() < want {
		select {
		case err := <-x.bed.Failed():
			b.Fatal(err)
		case <-time.After(time.Millisecond):
		}
	}
	return float64(processorTime()-began) / million
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func benchExchange[T any](b *testing.B, keys int64, fill func(*T, int64), key func(T) int64) {
	with, without := startBench(b, keys, fill, key), startBench(b, keys, fill, key, flow.NoPreAggregation())
	for _, x := range []*benchedJob{with, without} { // a window is given behind the watermark, which comes after the first records of the next
		x.grant.Add(1000)
		for range 3 {
			x.round(b)
		}
	}
	var on, off []float64
	b.ResetTimer()
	for n := 0; n < b.N; n += million {
		on, off = append(on, with.round(b)), append(off, without.round(b))
	}
	slices.Sort(on)
	slices.Sort(off)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(on[len(on)/2], "ns/record")
	b.ReportMetric(off[len(off)/2], "ns/record-without")
	b.ReportMetric(on[len(on)/2]/off[len(off)/2], "x-without")
}
