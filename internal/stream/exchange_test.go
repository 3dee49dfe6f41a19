package stream

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"reflect"
	"strings"
	"testing"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/worker/wire"
)

// A router whose outputs end in the test: remote ones on a connection that nobody writes, local ones in channels that nobody reads.
type bench[T any] struct {
	t      testing.TB
	task   *task
	conn   *conn
	router *router[T]
	codec  codec.Codec[T]
	cancel context.CancelFunc
}

// groups is how many key groups the receiving vertex has.
const groups = 128

func newBench[T any](t testing.TB, c codec.Codec[T], outputs int, local bool, p Partitioner[T]) *bench[T] {
	t.Helper()
	return newMixedBench(t, c, outputs, func(int) bool { return local }, p)
}

func newMixedBench[T any](t testing.TB, c codec.Codec[T], outputs int, local func(output int) bool, p Partitioner[T]) *bench[T] {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	g := &Graph{Job: &thalwegv1.JobGraph{Vertices: []*thalwegv1.Vertex{{Id: "to", MaxParallelism: groups}}, Edges: []*thalwegv1.Edge{{From: "from", To: "to"}}}}
	tk := &task{host: &Host{graph: g}, ctx: ctx, cancel: cancel, wake: make(chan struct{}, 1), credit: make(chan struct{}, 1), severed: make(chan struct{})}
	b := &bench[T]{t: t, task: tk, conn: newConn(nil, "nobody"), codec: c, cancel: cancel}
	var outs []*outChannel
	for i := range outputs {
		o := newOutChannel(tk, i)
		if local(i) {
			o.local = newInChannel(&task{wake: make(chan struct{}, 1)}, 0)
		} else {
			o.remote = &sendChannel{number: uint32(i), out: o, conn: b.conn}
		}
		outs = append(outs, o)
	}
	tk.edges = map[int][]*outChannel{0: outs}
	b.router = NewRouter(&TaskContext{tk}, 0, c, p).(*router[T])
	return b
}

// sent is the batches of a channel that have been sent since the last call.
type sent[T any] struct {
	channel int
	size    int // what its sender took credit for
	packed  bool
	batch   Batch[T]
}

// take empties the connection's queue and gives what it held, and what is not of records as its type.
func (b *bench[T]) take() (out []sent[T], others []frameType) {
	b.t.Helper()
	b.conn.mu.Lock()
	queue := b.conn.mu.queue
	b.conn.mu.queue, b.conn.mu.bytes = nil, 0
	b.conn.mu.Unlock()
	var all bytes.Buffer
	for _, q := range queue {
		all.Write(q.b)
		q.free()
	}
	for r := bufio.NewReader(&all); ; {
		f, buf, err := readFrame(r)
		if err != nil {
			if all.Len() > 0 || r.Buffered() > 0 {
				b.t.Fatalf("what is queued is no row of frames: %v", err)
			}
			return out, others
		}
		e, err := elementOf(f, buf)
		if err != nil {
			b.t.Fatal(err)
		}
		if e.kind != records {
			others = append(others, f.kind)
			continue
		}
		s := sent[T]{channel: int(f.channel), size: e.weight, packed: e.packed}
		body, buf, err := e.unpack()
		if err != nil {
			b.t.Fatal(err)
		}
		if err := decodeBatch(body, b.codec, &s.batch); err != nil {
			b.t.Fatal(err)
		}
		buf.free()
		out = append(out, s)
	}
}

// receive takes what is sent until done is closed, giving credit for it. Its result is there when the channel it returns is.
func (b *bench[T]) receive(done <-chan struct{}) <-chan []sent[T] {
	result := make(chan []sent[T], 1)
	go func() {
		var all []sent[T]
		collect := func() {
			got, _ := b.take()
			for _, s := range got {
				b.router.outs[s.channel].credit(1, int64(s.size))
			}
			all = append(all, got...)
		}
		for {
			select {
			case <-b.conn.ready:
				collect()
			case <-done:
				collect()
				result <- all
				return
			}
		}
	}()
	return result
}

// letter is a record of any size, and marshalled one whose size its codec cannot know before.
type letter struct {
	N    int64
	Text string
}

type sealed struct{ letter }

func (s sealed) MarshalBinary() ([]byte, error) {
	return append(binary.LittleEndian.AppendUint64(nil, uint64(s.N)), s.Text...), nil
}

func (s *sealed) UnmarshalBinary(b []byte) error {
	if len(b) < 8 {
		return errors.New("short")
	}
	s.N, s.Text = int64(binary.LittleEndian.Uint64(b)), string(b[8:])
	return nil
}

func codecFor[T any](t testing.TB) codec.Codec[T] {
	t.Helper()
	c, err := codec.For[T]()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestFramesAreBounded: whatever the records, no frame is over its bound unless it holds a single one, and all arrive in order.
func TestFramesAreBounded(t *testing.T) {
	for _, packs := range []bool{false, true} {
		t.Run(fmt.Sprintf("known, compressed %v", packs), func(t *testing.T) {
			testFrameBounds(t, packs, func(l letter) letter { return l }, func(l letter) letter { return l })
		})
		t.Run(fmt.Sprintf("opaque, compressed %v", packs), func(t *testing.T) {
			testFrameBounds(t, packs, func(l letter) sealed { return sealed{l} }, func(s sealed) letter { return s.letter })
		})
	}
}

func testFrameBounds[T any](t *testing.T, packs bool, seal func(letter) T, open func(T) letter) {
	c := codecFor[T](t)
	paper := strings.Repeat("x", 400<<10)
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 2))
		b := newBench(t, c, 1, false, Partitioner[T]{Kind: thalwegv1.Partitioning_PARTITIONING_GLOBAL})
		b.router.packs = packs
		done := make(chan struct{})
		result := b.receive(done)
		var want []int
		for range 12 {
			in := &Batch[T]{Split: -1}
			longest := []int{0, 40, 3000, 70 << 10, 400 << 10}[r.IntN(5)]
			for range 1 + r.IntN([]int{3000, 3000, 1500, 60, 12}[r.IntN(5)]) {
				l := letter{int64(len(want)), paper[:r.IntN(longest+1)]}
				if longest > 50<<10 && r.IntN(4) > 0 { // few are that long
					l.Text = l.Text[:len(l.Text)%100]
				}
				in.Values, in.Times = append(in.Values, seal(l)), append(in.Times, l.N)
				want = append(want, len(l.Text))
			}
			if err := b.router.Push(in); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.router.flush(true); err != nil {
			t.Fatal(err)
		}
		close(done)
		n, packed := 0, 0
		for i, s := range <-result {
			if s.packed {
				packed++
			}
			if len(s.batch.Values) > BatchSize {
				t.Fatalf("seed %d: frame %d has %d records", seed, i, len(s.batch.Values))
			}
			if s.size > fullFrame && len(s.batch.Values) > 1 {
				t.Fatalf("seed %d: frame %d has %d bytes and %d records", seed, i, s.size, len(s.batch.Values))
			}
			for j, v := range s.batch.Values {
				if l := open(v); l.N != int64(n) || len(l.Text) != want[n] || s.batch.Times[j] != l.N {
					t.Fatalf("seed %d: record %d is number %d with %d bytes, at %d; want %d bytes", seed, n, l.N, len(l.Text), s.batch.Times[j], want[n])
				}
				n++
			}
		}
		if (packed > 0) != packs {
			t.Fatalf("seed %d: %d frames are compressed", seed, packed)
		}
		if n != len(want) {
			t.Fatalf("seed %d: %d of %d records came", seed, n, len(want))
		}
		if is, was := unconsumedOf(b.router.outs[0]), unconsumedOf(newOutChannel(nil, 0)); is != was {
			t.Fatalf("seed %d: after all was consumed, %+v is not, %+v at the beginning", seed, is, was)
		}
	}
}

// TestWatermarkFollowsItsRecords, those that were encoded where they lay as well as those that were gathered, and wakes nobody by itself.
func TestWatermarkFollowsItsRecords(t *testing.T) {
	for _, n := range []int{1, BatchSize} {
		b := newBench(t, codecFor[uint64](t), 1, false, Partitioner[uint64]{Kind: thalwegv1.Partitioning_PARTITIONING_GLOBAL})
		in := &Batch[uint64]{Values: make([]uint64, n), Times: make([]int64, n), Split: -1}
		if err := errors.Join(b.router.Watermark(9), b.router.Push(in)); err != nil {
			t.Fatal(err)
		}
		select {
		case <-b.conn.ready:
			t.Errorf("%d records: the writer was woken for less than %d bytes", n, gathered)
		default:
		}
		if err := b.router.flush(false); err != nil {
			t.Fatal(err)
		}
		<-b.conn.ready
		batches, others := b.take()
		if len(batches) != 1 || len(batches[0].batch.Values) != n || !reflect.DeepEqual(others, []frameType{frameWatermark}) {
			t.Errorf("%d records: sent %d batches and %v", n, len(batches), others)
		}
	}
}

// TestWritesAreGathered: frames stay in order, control frames share buffers, and the writer is woken by enough bytes or by what must not wait.
func TestWritesAreGathered(t *testing.T) {
	c := newConn(nil, "nobody")
	woken := func() bool {
		select {
		case <-c.ready:
			return true
		default:
			return false
		}
	}
	const small = gathered / 4
	for i := range 4 {
		b := newBuffer(small)
		b.b = b.b[:small]
		c.send(b)
		if got := woken(); got != (i == 3) {
			t.Fatalf("woken after %d bytes: %v", (i+1)*small, got)
		}
	}
	c.mu.queue, c.mu.bytes = nil, 0
	for i := range 1000 {
		c.control(i%100 == 99, func(dst []byte) []byte { return appendElement(dst, uint32(i), element{kind: watermark, at: int64(i)}) })
		if got := woken(); got != (i%100 == 99) {
			t.Fatalf("frame %d: woken %v", i, got)
		}
	}
	if n := len(c.mu.queue); n > 25 {
		t.Errorf("1000 control frames of %d bytes lie in %d buffers", frameHeader+8, n)
	}
	var all bytes.Buffer
	for _, b := range c.mu.queue {
		all.Write(b.b)
	}
	r := bufio.NewReader(&all)
	for i := range 1000 {
		f, b, err := readFrame(r)
		if err != nil || f.channel != uint32(i) {
			t.Fatalf("frame %d: channel %d, %v", i, f.channel, err)
		}
		b.free()
	}
	c.flush()
	if !woken() {
		t.Error("a flush has not woken the writer")
	}
}

// TestBuffersHaveTheirClass: a buffer is at most twice as large as asked for, so that what waits in it cannot keep much more.
func TestBuffersHaveTheirClass(t *testing.T) {
	for _, n := range []int{0, 1, 1 << leastBuffer, 1<<leastBuffer + 1, 5000, 8192, 8193, 1 << largestBuffer, 1<<largestBuffer + 1} {
		for range 3 {
			b := newBuffer(n)
			if c := cap(b.b); c < n || c > max(2*n, 1<<leastBuffer) || len(b.b) != 0 {
				t.Fatalf("for %d bytes: %d of %d", n, len(b.b), c)
			}
			b.b = append(b.b, make([]byte, n+n/2)...) // may grow into another class
			b.free()
		}
	}
	huge := &buffer{make([]byte, 8<<20)}
	huge.free()
	if cap(newBuffer(1<<largestBuffer).b) >= 8<<20 {
		t.Error("a buffer of 8 MiB has stayed")
	}
}

// TestExchangeAllocatesNothing in the steady state: from a batch that is pushed to the same batch behind the gate.
func TestExchangeAllocatesNothing(t *testing.T) {
	c := codecFor[uint64](t)
	for _, kind := range []struct {
		outputs int
		packs   bool
	}{{1, false}, {3, false}, {1, true}, {3, true}} {
		outputs, packed := kind.outputs, 0
		b := newBench(t, c, outputs, false, Partitioner[uint64]{Kind: thalwegv1.Partitioning_PARTITIONING_HASH})
		b.router.packs = kind.packs
		out := &counting{}
		g := NewGate[uint64](nil, 0, c, out)
		in := &Batch[uint64]{Values: make([]uint64, BatchSize), Times: make([]int64, BatchSize), Hashes: make([]uint64, BatchSize), Split: -1}
		for i := range in.Hashes {
			in.Hashes[i] = codec.Mix(uint64(i))
		}
		once := func() {
			if err := errors.Join(b.router.Push(in), b.router.flush(false)); err != nil {
				t.Fatal(err)
			}
			for i, q := range b.conn.mu.queue { // as the connection's writer and the other end's reader do
				f := frame{binary.LittleEndian.Uint32(q.b[8:]), frameType(q.b[12]), q.b[frameHeader:]}
				e, err := elementOf(f, q)
				if err != nil {
					t.Fatal(err)
				}
				if e.packed {
					packed++
				}
				o := b.router.outs[f.channel]
				if _, err := g.push(e); err != nil {
					t.Fatal(err)
				}
				o.credit(1, int64(e.weight))
				b.conn.mu.queue[i] = nil
			}
			b.conn.mu.queue, b.conn.mu.bytes = b.conn.mu.queue[:0], 0
		}
		const runs = 200
		allocations := testing.AllocsPerRun(runs, once)
		if want := (runs + 1) * BatchSize; out.n != want {
			t.Fatalf("%d records came, of %d", out.n, want)
		}
		if allocations > 0 && !raceEnabled {
			t.Errorf("%d outputs, compressed %v: %v allocations a batch", outputs, kind.packs, allocations)
		}
		if (packed > 0) != kind.packs {
			t.Errorf("%d outputs: %d frames are compressed", outputs, packed)
		}
	}
}

// counting counts records.
type counting struct {
	heard
	n int
}

func (c *counting) Push(b *Batch[uint64]) error { c.n += len(b.Values); return nil }

// TestOtherVersionIsRefused: two releases whose frames differ do not talk past each other.
func TestOtherVersionIsRefused(t *testing.T) {
	r := newRec()
	o := &options{}
	o.hold[0].Store(true)
	o.hold[1].Store(true)
	hs := start(t, o, r, map[string]int{"s": 1}, 2, nil)
	for version, refused := range map[uint32]bool{exchangeVersion - 1: true, exchangeVersion: false, exchangeVersion + 1: true} {
		near, far := net.Pipe()
		hs[1].Accept(far, &thalwegv1.DataHello{ProtocolVersion: version, Job: "j", Generation: gen.Proto(), ToIncarnation: "inc1"})
		w := new(thalwegv1.DataWelcome)
		if err := wire.ReadFrame(near, w, 1<<20); err != nil {
			t.Fatal(err)
		}
		if got := w.Error != ""; got != refused || refused && !strings.Contains(w.Error, "version") {
			t.Errorf("version %d: %q", version, w.Error)
		}
		near.Close()
	}
}
