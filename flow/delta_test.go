package flow_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/internal/worker/local"
)

// numbered is the seq-th record of a key.
type numbered struct{ Key, Seq uint64 }

// sequences gives each of keys its records 1, 2, 3, ..., a batch in each millisecond.
type sequences struct {
	keys, each uint64
	given      *atomic.Int64
}

func (s sequences) Enumerator(_ flow.Task, restored [][]byte) (flow.Enumerator, error) {
	if restored != nil {
		return flow.InOrder(restored), nil
	}
	return flow.InOrder([][]byte{[]byte("0")}), nil
}

func (s sequences) Reader(_ flow.Task, split []byte) (flow.Reader[numbered], error) {
	r := &sequencesReader{sequences: s}
	_, err := fmt.Sscan(string(split), &r.at)
	return r, err
}

type sequencesReader struct {
	sequences
	at uint64
}

func (r *sequencesReader) Read(dst []numbered) (int, flow.Next, error) {
	n := min(uint64(len(dst)), r.keys*r.each-r.at)
	for i := range dst[:n] {
		at := r.at + uint64(i)
		dst[i] = numbered{at % r.keys, at/r.keys + 1}
	}
	r.at += n
	r.given.Add(int64(n))
	if r.at == r.keys*r.each {
		return int(n), flow.EndOfSplit, nil
	}
	return int(n), flow.WaitUntil(time.Now().Add(time.Millisecond)), nil
}

func (r *sequencesReader) Position() []byte { return fmt.Append(nil, r.at) }
func (r *sequencesReader) Close() error     { return nil }

// TestDeltasAreRestored: a state that is large enough for deltas goes through failures, each some checkpoints after the one before, and at each
// restore every key has to be where its records go on. A third of the keys is removed and set again on the way, and each has a timer.
func TestDeltasAreRestored(t *testing.T) {
	const keys, each = 20_000, 40
	var given, failures, fired atomic.Int64
	end := &collected[uint64]{}
	g, err := flow.Build("deltas", 1, func(j *flow.Job) error {
		j.Checkpoints(20 * time.Millisecond)
		in := flow.From(j, "sequences", sequences{keys, each, &given}).EventTime(func(r numbered) time.Time { return time.UnixMilli(int64(r.Seq)) })
		flow.To(flow.Process(flow.KeyBy(in, func(r numbered) uint64 { return r.Key }), "check", func(op *flow.Op[uint64]) flow.Handler[uint64, numbered, uint64] {
			last := flow.NewValue[uint64](op, "last")
			removed := flow.NewValue[[3]uint64](op, "removed")
			timer := flow.NewTimer(op, "next", func(c *flow.Ctx[uint64], at time.Time, out *flow.Out[uint64]) error {
				fired.Add(1)
				return nil
			})
			return flow.Handler[uint64, numbered, uint64]{Record: func(c *flow.Ctx[uint64], r numbered, out *flow.Out[uint64]) error {
				if seq, _ := last.Get(); r.Seq != seq+1 {
					return fmt.Errorf("key %d: record %d after %d", r.Key, r.Seq, seq)
				}
				last.Set(r.Seq)
				if x, ok := removed.Get(); ok != (r.Seq > 1 && (r.Seq-1+r.Key)%3 != 0) || ok && x[2] != r.Seq-1 {
					return fmt.Errorf("key %d, record %d: removed is %v, %v", r.Key, r.Seq, x, ok)
				}
				if removed.Set([3]uint64{2: r.Seq}); (r.Seq+r.Key)%3 == 0 {
					removed.Clear()
				}
				timer.Set(c, c.Time().Add(2*time.Millisecond))
				if n := failures.Load(); n < 3 && given.Load() > (n+1)*keys*each/4 && failures.CompareAndSwap(n, n+1) {
					return fmt.Errorf("planned failure %d", n+1)
				}
				if r.Seq == each {
					out.Emit(r.Key)
				}
				return nil
			}}
		}, flow.Parallelism(2)), "sink", flow.Sink[uint64](end))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := local.Run(ctx, g, local.Options{Restart: &thalwegv1.RestartOptions{Strategy: "fixed-delay", Attempts: 3, InitialMs: 1}}); err != nil {
		t.Fatal(err)
	}
	got := map[uint64]bool{}
	for _, k := range end.values {
		got[k] = true
	}
	if failures.Load() != 3 || len(got) != keys || fired.Load() < keys*each {
		t.Errorf("%d failures; %d of %d keys came to their end; %d timers fired", failures.Load(), len(got), keys, fired.Load())
	}
}
