package state

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/state/bareloop"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
	"github.com/thalweg-io/thalweg/internal/storage/storagetest"

	"golang.org/x/sys/unix"
)

// BenchmarkUpdateBatch counts uint64 keys in batches of 1024, and reports the same work in the bare loop beside it: rounds alternate, so that
// what neighbours on the machine do hits both.
func BenchmarkUpdateBatch(b *testing.B) {
	for _, keys := range []uint64{16 << 10, 1 << 20} {
		b.Run(fmt.Sprint("keys=", keys), func(b *testing.B) {
			loop, err := bareloop.New(keys)
			if err != nil {
				b.Fatal(err)
			}
			defer loop.Close()
			c := newCounter(b, keys)
			defer c.k.Close()
			b.ReportAllocs()
			b.ResetTimer()
			var bare, engine time.Duration
			const round = 1 << 20
			for left := b.N; left > 0; left -= round {
				n := min(left, round)
				begin := time.Now()
				c.run(b, n)
				middle := time.Now()
				loop.Run(n)
				engine, bare = engine+middle.Sub(begin), bare+time.Since(middle)
			}
			b.ReportMetric(float64(engine.Nanoseconds())/float64(b.N), "table-ns/rec")
			b.ReportMetric(float64(bare.Nanoseconds())/float64(b.N), "bare-ns/rec")
			b.ReportMetric(100*float64(bare)/float64(engine), "%-of-bare")
		})
	}
}

// counter is the keyed count without the engine around it.
type counter struct {
	k      *Keyed[uint64]
	v      *Value[uint64, int64]
	g      bareloop.Generator
	keys   [1024]uint64
	hashes [1024]uint64
	hash   func([]uint64, []uint64)
}

func newCounter(t testing.TB, keys uint64) *counter {
	k, err := NewKeyed[uint64](Config{Name: "count", MaxParallelism: 128, From: 0, To: 128})
	if err != nil {
		t.Fatal(err)
	}
	c := &counter{k: k, g: bareloop.NewGenerator(keys)}
	if c.v, err = NewValue[uint64, int64](k, "count"); err != nil {
		t.Fatal(err)
	}
	if c.hash, err = codec.BatchHasher[uint64](); err != nil {
		t.Fatal(err)
	}
	for key := range keys {
		k.Seek(key+1, codec.Mix(key+1))
		c.v.Set(0)
	}
	return c
}

func (c *counter) run(t testing.TB, n int) {
	for n > 0 {
		m := min(n, len(c.keys))
		for i := range m {
			c.keys[i] = c.g.Next()
		}
		c.hash(c.hashes[:m], c.keys[:m])
		if err := c.v.UpdateBatch(c.keys[:m], c.hashes[:m], func(_ int, v *int64, _ bool) { *v++ }); err != nil {
			t.Fatal(err)
		}
		n -= m
	}
}

func TestUpdateBatchAllocatesNothing(t *testing.T) {
	c := newCounter(t, 1000)
	defer c.k.Close()
	if n := testing.AllocsPerRun(100, func() { c.run(t, 2000) }); n > 0 {
		t.Errorf("%v allocations in 2000 records", n)
	}
}

func BenchmarkUpdateBatchOfStrings(b *testing.B) {
	k, _ := NewKeyed[string](Config{Name: "count", MaxParallelism: 128, From: 0, To: 128})
	defer k.Close()
	v, _ := NewValue[string, int64](k, "count")
	hash, _ := codec.BatchHasher[string]()
	words := make([]string, 16<<10)
	for i := range words {
		words[i] = fmt.Sprint("word number ", i)
	}
	keys, hashes := make([]string, 1024), make([]uint64, 1024)
	g := bareloop.NewGenerator(uint64(len(words)))
	b.ReportAllocs()
	for left := b.N; left > 0; left -= len(keys) {
		for i := range keys {
			keys[i] = words[g.Next()-1]
		}
		hash(hashes, keys)
		if err := v.UpdateBatch(keys, hashes, func(_ int, v *int64, _ bool) { *v++ }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGrowth(b *testing.B) {
	k, _ := NewKeyed[uint64](Config{Name: "count", MaxParallelism: 128, From: 0, To: 128})
	defer k.Close()
	v, _ := NewValue[uint64, int64](k, "count")
	keys, hashes := make([]uint64, 512), make([]uint64, 512)
	var longest time.Duration
	for next := 0; next < b.N; next += len(keys) {
		for i := range keys {
			keys[i] = uint64(next + i)
			hashes[i] = codec.Mix(keys[i])
		}
		begin := time.Now()
		if err := v.UpdateBatch(keys, hashes, func(_ int, v *int64, _ bool) { *v++ }); err != nil {
			b.Fatal(err)
		}
		longest = max(longest, time.Since(begin))
	}
	b.ReportMetric(float64(longest.Microseconds()), "longest-batch-us")
	b.ReportMetric(float64(k.Bytes())/float64(v.Len()), "B/entry")
}

// BenchmarkFirstChange changes each entry of a large table once, while a snapshot of it is taken and while none is, in turn, and reports the
// processor time of this thread for both: what being saved costs an entry.
func BenchmarkFirstChange(b *testing.B) {
	const keys = 4 << 20
	k, _ := NewKeyed[uint64](Config{Name: "count", MaxParallelism: 128, From: 0, To: 128})
	defer k.Close()
	v, _ := NewValue[uint64, [2]int64](k, "count")
	for key := range uint64(keys) {
		k.Seek(key, codec.Mix(key))
		v.Set([2]int64{})
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var batch, hashes [1024]uint64
	round := func() (d time.Duration) {
		for first := 0; first < keys; first += len(batch) {
			for i := range batch {
				batch[i] = uint64(first+i) * 0x9e3779b97f4a7c15 >> 7 & (keys - 1)
				hashes[i] = codec.Mix(batch[i])
			}
			began := threadTime(b)
			if err := v.UpdateBatch(batch[:], hashes[:], func(_ int, v *[2]int64, _ bool) { v[0]++ }); err != nil {
				b.Fatal(err)
			}
			d += threadTime(b) - began
		}
		return d
	}
	var without, with time.Duration
	id := int64(0)
	for b.Loop() {
		id++
		w := checkpoint.NewFileWriter(b.Context(), checkpoint.FileConfig{FS: storagetest.NewMem(), Dir: "mem:///c", Checkpoint: id, Task: job.TaskID{Vertex: "v"}})
		if err := k.Begin(Plan{Checkpoint: id, Out: w, Operator: "op"}); err != nil {
			b.Fatal(err)
		}
		with += round()
		for !k.Sweep(1 << 20) {
		}
		w.Abort()
		without += round()
	}
	n := float64(b.N) * keys
	b.ReportMetric(float64(without)/n, "ns/change")
	b.ReportMetric(float64(with)/n, "ns/saved-change")
}

func threadTime(b *testing.B) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}
