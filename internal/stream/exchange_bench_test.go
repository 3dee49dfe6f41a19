package stream

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/codec"
)

// What is sent: a number; 40 bytes of memory with a string of 16; and a row of an auction.
type (
	plain struct{ N uint64 }
	forty struct { // 16 + 8 + 8 + 8
		Name    string
		A, B, C uint64
	}
	auction struct {
		ID, Seller, Reserve, Expires int64
		Item, Description, Extra     string
	}
)

// BenchmarkExchange is one sender and several receivers over one TCP connection on loopback, by kind of record and fan-out: routing, encoding, both
// ends of the connection, decoding, credit. Processor time is of all of it.
func BenchmarkExchange(b *testing.B) {
	const text = "the quick brown fox jumps over the lazy dog, and the dog does not mind it at all: it is much too hot a day"
	for _, to := range []int{1, 4, 32} {
		b.Run(fmt.Sprintf("record=8B/to=%d", to), func(b *testing.B) { benchExchange(b, to, byHash, func(i uint64) plain { return plain{i} }) })
		b.Run(fmt.Sprintf("record=40B/to=%d", to), func(b *testing.B) {
			benchExchange(b, to, byHash, func(i uint64) forty { return forty{text[i%64 : i%64+16], i, i, i} })
		})
		b.Run(fmt.Sprintf("record=auction/to=%d", to), func(b *testing.B) {
			benchExchange(b, to, byHash, func(i uint64) auction { return auction{1, 2, 3, 4, text[:20], text[i%4:], text[:i%90]} })
		})
	}
}

const (
	byHash = thalwegv1.Partitioning_PARTITIONING_HASH
	toAll  = thalwegv1.Partitioning_PARTITIONING_BROADCAST
)

// BenchmarkBroadcast is the same with every receiver getting every record; processor time is of a record that was sent, whatever becomes of it.
func BenchmarkBroadcast(b *testing.B) {
	const text = "the quick brown fox jumps over the lazy dog, and the dog does not mind it at all: it is much too hot a day"
	b.Run("record=8B/to=8", func(b *testing.B) { benchExchange(b, 8, toAll, func(i uint64) plain { return plain{i} }) })
	b.Run("record=40B/to=8", func(b *testing.B) {
		benchExchange(b, 8, toAll, func(i uint64) forty { return forty{text[i%64 : i%64+16], i, i, i} })
	})
	b.Run("record=auction/to=8", func(b *testing.B) {
		benchExchange(b, 8, toAll, func(i uint64) auction { return auction{1, 2, 3, 4, text[:20], text[i%4:], text[:i%90]} })
	})
}

// BenchmarkCompressedExchange is BenchmarkExchange with compressed frames, beside plain ones of the same records, which are others in each batch of a
// frame. Noise is what compression gains nothing with.
func BenchmarkCompressedExchange(b *testing.B) {
	const text = "the quick brown fox jumps over the lazy dog, and the dog does not mind it at all: it is much too hot a day"
	for _, packs := range []bool{false, true} {
		name := map[bool]string{false: "none", true: "s2"}[packs]
		x := exchange{outputs: 4, kind: byHash, packs: packs, batches: 16}
		b.Run("record=8B/codec="+name, func(b *testing.B) { benchExchangeOf(b, x, func(i uint64) plain { return plain{i} }) })
		b.Run("record=noise/codec="+name, func(b *testing.B) {
			benchExchangeOf(b, x, func(i uint64) [4]uint64 {
				return [4]uint64{codec.Mix(i), codec.Mix(^i), codec.Mix(i << 20), codec.Mix(i << 40)}
			})
		})
		b.Run("record=40B/codec="+name, func(b *testing.B) {
			benchExchangeOf(b, x, func(i uint64) forty { return forty{text[i%64 : i%64+16], i, i, i} })
		})
		b.Run("record=auction/codec="+name, func(b *testing.B) {
			benchExchangeOf(b, x, func(i uint64) auction { return auction{1, 2, 3, 4, text[:20], text[i%4:], text[:i%90]} })
		})
	}
}

// exchange is what is measured.
type exchange struct {
	outputs int
	kind    thalwegv1.Partitioning
	packs   bool
	batches int // how many different ones are sent in turn
}

func benchExchange[T any](b *testing.B, outputs int, kind thalwegv1.Partitioning, record func(uint64) T) {
	benchExchangeOf(b, exchange{outputs: outputs, kind: kind, batches: 1}, record)
}

func benchExchangeOf[T any](b *testing.B, e exchange, record func(uint64) T) {
	outputs, kind := e.outputs, e.kind
	c := codecFor[T](b)
	x := newBench(b, c, outputs, false, Partitioner[T]{Kind: kind})
	x.router.packs = e.packs
	near, far := connected(b)
	receiving := newConn(far, "sender")
	x.conn.nc = near
	var ins []*inChannel
	over := make(chan int, outputs)
	records := b.N * BatchSize
	for i, o := range x.router.outs {
		t := &task{wake: make(chan struct{}, 1)}
		in := newInChannel(t, 0)
		in.connect(&receiveChannel{uint32(i), receiving})
		ins = append(ins, in)
		go consume(in, NewGate[T](nil, 0, c, &swallowing[T]{}), over)
		o.remote.out = o
	}
	receiving.failed = func(err error) {
		for _, in := range ins {
			in.fail(err)
		}
	}
	receiving.start(func(f frame, buf *buffer) (keep bool, err error) {
		e, err := elementOf(f, buf)
		if keep = err == nil && e.buffer != nil; err == nil {
			ins[f.channel].put(e)
		}
		return keep, err
	})
	x.conn.start(func(f frame, _ *buffer) (bool, error) {
		x.router.outs[f.channel].credit(creditOf(f.body))
		return false, nil
	})
	in := make([]*Batch[T], e.batches)
	for n := range in {
		in[n] = &Batch[T]{Split: -1}
		for i := uint64(n * BatchSize); i < uint64((n+1)*BatchSize); i++ {
			in[n].Values, in[n].Times, in[n].Hashes = append(in[n].Values, record(i)), append(in[n].Times, int64(i)*1000), append(in[n].Hashes, codec.Mix(i))
		}
	}
	began := cpuTime()
	b.ReportAllocs()
	b.ResetTimer()
	for n := range b.N {
		if err := x.router.Push(in[n%len(in)]); err != nil {
			b.Fatal(err)
		}
	}
	if err := x.router.End(); err != nil {
		b.Fatal(err)
	}
	got := 0
	for range outputs {
		got += <-over
	}
	b.StopTimer()
	b.ReportMetric(float64(cpuTime()-began)/float64(records), "cpu-ns/record")
	b.ReportMetric(float64(x.task.counters.bytesOut.Load())/float64(records), "wire-B/record")
	want := records
	if kind == toAll {
		want *= outputs
	}
	if got != want {
		b.Fatalf("%d of %d records came", got, want)
	}
	for _, c := range []*conn{x.conn, receiving} {
		c.close(errors.New("over"))
		c.wg.Wait()
	}
}

// consume is the loop of a task that does nothing with what it gets, until its end.
func consume(in *inChannel, g Gate, over chan<- int) {
	total := 0
	for {
		e, ok, err := in.take()
		switch {
		case err != nil:
			return
		case !ok:
			<-in.task.wake
		case e.kind == records:
			n, err := g.push(e)
			if err != nil {
				panic(err)
			}
			total += n
			in.consumed()
		case e.kind == end:
			over <- total
			return
		}
	}
}

type swallowing[T any] struct{ heard }

func (s *swallowing[T]) Push(*Batch[T]) error { return nil }

func connected(b *testing.B) (near, far net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	if near, err = net.Dial("tcp", l.Addr().String()); err != nil {
		b.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		b.Fatal(err)
	}
	return near, far
}

// cpuTime is what the process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
