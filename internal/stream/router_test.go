package stream

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/job"
)

// TestScatter: each record comes out where it belongs, in its order, with time and, where they are wanted, hash.
func TestScatter(t *testing.T) {
	custom := func(v letter, n int) int { return int(v.N%7) - 3 }
	for name, p := range map[string]Partitioner[letter]{
		"hash":         {Kind: thalwegv1.Partitioning_PARTITIONING_HASH},
		"hash shipped": {Kind: thalwegv1.Partitioning_PARTITIONING_HASH, ShipHashes: true},
		"custom":       {Kind: thalwegv1.Partitioning_PARTITIONING_CUSTOM, Custom: custom},
		"broadcast":    {Kind: thalwegv1.Partitioning_PARTITIONING_BROADCAST},
	} {
		for _, outputs := range []int{1, 2, 5} {
			for where, local := range map[string]func(int) bool{
				"remote": func(int) bool { return false },
				"local":  func(int) bool { return true },
				"mixed":  func(output int) bool { return output%2 == 1 },
			} {
				for _, packs := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s to %d %s, compressed %v", name, outputs, where, packs), func(t *testing.T) { testScatter(t, p, outputs, local, packs) })
				}
			}
		}
	}
}

func testScatter(t *testing.T, p Partitioner[letter], outputs int, local func(output int) bool, packs bool) {
	r := rand.New(rand.NewPCG(uint64(outputs), 4))
	b := newMixedBench(t, codecFor[letter](t), outputs, local, p)
	b.router.packs = packs
	hashed := p.Kind == thalwegv1.Partitioning_PARTITIONING_HASH && b.router.NeedsHashes()
	want, got := make([]Batch[letter], outputs), make([]Batch[letter], outputs)
	collect := func() {
		for i, o := range b.router.outs {
			for o.local != nil {
				e, ok, _ := o.local.take()
				if !ok {
					break
				}
				o.credit(1, int64(e.weight))
				batch := e.batch.(*Batch[letter])
				add(&got[i], batch)
				batch.Reset()
				e.home.Put(batch)
			}
		}
		frames, _ := b.take()
		for _, s := range frames {
			b.router.outs[s.channel].credit(1, int64(s.size))
			add(&got[s.channel], &s.batch)
		}
	}
	number := int64(0)
	for range 20 {
		in := &Batch[letter]{Split: -1}
		for range 1 + r.IntN(2*BatchSize) {
			v := letter{number, strings.Repeat("y", r.IntN(9))}
			in.Values, in.Times = append(in.Values, v), append(in.Times, number*3)
			number++
			h := r.Uint64()
			if hashed {
				in.Hashes = append(in.Hashes, h)
			}
			to := 0
			switch {
			case p.Custom != nil:
				to = ((p.Custom(v, outputs) % outputs) + outputs) % outputs
			case hashed:
				to = job.Owner(job.KeyGroup(h, groups), groups, outputs)
			}
			for i := range want {
				if i == to || p.Kind == thalwegv1.Partitioning_PARTITIONING_BROADCAST {
					want[i].Values, want[i].Times = append(want[i].Values, v), append(want[i].Times, number*3-3)
					if hashed && (local(i) || p.ShipHashes) {
						want[i].Hashes = append(want[i].Hashes, h)
					}
				}
			}
		}
		if err := b.router.Push(in); err != nil {
			t.Fatal(err)
		}
		if r.IntN(3) == 0 { // so that any outlet may get any batch of the pool next
			if err := b.router.flush(true); err != nil {
				t.Fatal(err)
			}
		}
		collect()
	}
	if err := b.router.flush(true); err != nil {
		t.Fatal(err)
	}
	collect()
	for i := range want {
		if !slices.Equal(got[i].Values, want[i].Values) || !slices.Equal(got[i].Times, want[i].Times) || !slices.Equal(got[i].Hashes, want[i].Hashes) {
			t.Fatalf("output %d: %d records, %d times, %d hashes; want %d, %d, %d, or others", i, len(got[i].Values), len(got[i].Times), len(got[i].Hashes),
				len(want[i].Values), len(want[i].Times), len(want[i].Hashes))
		}
	}
}

func add[T any](to, b *Batch[T]) {
	to.Values, to.Times, to.Hashes = append(to.Values, b.Values...), append(to.Times, b.Times...), append(to.Hashes, b.Hashes...)
}

// BenchmarkScatter is a batch to several outputs, encoded.
func BenchmarkScatter(b *testing.B) {
	for _, outputs := range []int{1, 2, 8} {
		b.Run(fmt.Sprint("to=", outputs), func(b *testing.B) {
			x := newBench(b, codecFor[uint64](b), outputs, false, Partitioner[uint64]{Kind: thalwegv1.Partitioning_PARTITIONING_HASH})
			in := &Batch[uint64]{Values: make([]uint64, BatchSize), Times: make([]int64, BatchSize), Hashes: make([]uint64, BatchSize), Split: -1}
			for i := range in.Hashes {
				in.Values[i], in.Hashes[i] = uint64(i), codec.Mix(uint64(i))
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := x.router.Push(in); err != nil {
					b.Fatal(err)
				}
				for i, q := range x.conn.mu.queue {
					o := x.router.outs[binary.LittleEndian.Uint32(q.b[8:])]
					o.credit(1, int64(len(q.b)-frameHeader))
					q.free()
					x.conn.mu.queue[i] = nil
				}
				x.conn.mu.queue, x.conn.mu.bytes = x.conn.mu.queue[:0], 0
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/BatchSize, "ns/record")
		})
	}
}
