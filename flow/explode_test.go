package flow_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/internal/stream"
	"github.com/thalweg-io/thalweg/internal/worker/local"
)

// counting is a sink that counts, calls seen before each batch, and keeps nothing.
type counting struct {
	taken atomic.Int64
	seen  func(values []int) error
}

func (c *counting) Writer(flow.Task) (flow.Writer[int], error) { return c, nil }
func (c *counting) Write(values []int) error {
	if c.seen != nil {
		if err := c.seen(values); err != nil {
			return err
		}
	}
	c.taken.Add(int64(len(values)))
	return nil
}
func (c *counting) Close() error { return nil }

// said is a log, and calls heard with each line.
type said struct {
	mu    sync.Mutex
	lines bytes.Buffer
	heard func(line string)
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines.Write(b)
	if s.heard != nil {
		s.heard(string(b))
	}
	return len(b), nil
}

// endless is a job of one record, which explodes.
func endless(t *testing.T, ctx context.Context, log *said, every time.Duration, build func(*flow.Job, flow.Stream[int])) error {
	t.Helper()
	g, err := flow.Build("test", 1, func(j *flow.Job) error {
		if every > 0 {
			j.Checkpoints(every)
		}
		build(j, flow.From(j, "one", of([]int{1})))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return local.Run(ctx, g, local.Options{Log: slog.New(slog.NewTextHandler(log, nil))})
}

// soon is how long a cancelled job may take to end. Tasks that do not end are left alone only after 20 s.
const soon = 10 * time.Second

// One record becomes as many as there are, and no function that makes them ever returns: each job is cancelled once the sink has taken more than all
// that the runtime may hold, and what is not taken yet was bounded all the time.
func TestEmissionWithoutEnd(t *testing.T) {
	key := func(int) int { return 0 }
	for name, explode := range map[string]func(s flow.Stream[int], emitted func()) flow.Stream[int]{
		"flat map": func(s flow.Stream[int], emitted func()) flow.Stream[int] {
			return flow.FlatMap(s, "explode", func(_ int, out *flow.Out[int]) error {
				for i := 0; ; i++ {
					emitted()
					out.Emit(i)
				}
			})
		},
		"a function that recovers": func(s flow.Stream[int], emitted func()) flow.Stream[int] {
			once := func(i int, out *flow.Out[int]) (fine bool) {
				defer func() { recover() }()
				emitted()
				out.Emit(i)
				return true
			}
			return flow.FlatMap(s, "explode", func(_ int, out *flow.Out[int]) error {
				for i := 0; once(i, out); i++ {
				}
				return nil
			})
		},
		"an iterator": func(s flow.Stream[int], emitted func()) flow.Stream[int] {
			return flow.FlatMapSeq(s, "explode", func(int) iter.Seq[int] {
				return func(yield func(int) bool) {
					for i := 0; ; i++ {
						if emitted(); !yield(i) {
							return
						}
					}
				}
			})
		},
		"process": func(s flow.Stream[int], emitted func()) flow.Stream[int] {
			return flow.Process(flow.KeyBy(s, key), "explode", func(*flow.Op[int]) flow.Handler[int, int, int] {
				return flow.Handler[int, int, int]{Record: func(_ *flow.Ctx[int], _ int, out *flow.Out[int]) error {
					for i := 0; ; i++ {
						emitted()
						out.Emit(i)
					}
				}}
			})
		},
	} {
		for way, end := range map[string]func(s flow.Stream[int], sink flow.Sink[int]){
			"chained":  func(s flow.Stream[int], sink flow.Sink[int]) { flow.To(s, "sink", sink) },
			"exchange": func(s flow.Stream[int], sink flow.Sink[int]) { flow.To(s, "sink", sink, flow.StartChain()) },
			"nowhere": func(s flow.Stream[int], sink flow.Sink[int]) { // nothing ever comes to the end of the chain
				flow.To(s.Filter("none", func(i int) bool { sink.(*counting).taken.Store(int64(i)); return false }), "sink", sink)
			},
		} {
			t.Run(name+" "+way, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				const enough = 300 * stream.BatchSize
				sink := &counting{}
				var emitted, most atomic.Int64
				var cancelled atomic.Int64 // when: ns since 1970
				err := endless(t, ctx, &said{}, 0, func(j *flow.Job, s flow.Stream[int]) {
					end(explode(s, func() {
						n := emitted.Add(1)
						if ahead := n - sink.taken.Load(); ahead > most.Load() {
							most.Store(ahead)
						}
						if n-1 > enough && sink.taken.Load() > enough/2 && cancelled.CompareAndSwap(0, time.Now().UnixNano()) {
							cancel()
						}
					}), sink)
				})
				if took := time.Since(time.Unix(0, cancelled.Load())); took > soon {
					t.Errorf("it ended %v after it was cancelled", took)
				}
				if !errors.Is(err, context.Canceled) {
					t.Errorf("it ended with %v", err)
				}
				// A window of 64 batches, one that is encoded or gathered at each end, and the operator's own.
				if n := most.Load(); n > 68*stream.BatchSize {
					t.Errorf("%d records were not taken yet", n)
				}
			})
		}
	}
}

// While an operator explodes a record, checkpoints are declined in time, by a message that says who holds them up; behind it everything is as ever.
func TestCheckpointOfAnExplosion(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	declined := make(chan struct{})
	var once sync.Once
	log := &said{heard: func(line string) {
		if strings.Contains(line, "declined checkpoint") && strings.Contains(line, `operator \"explode\" is still emitting out of one record`) {
			once.Do(func() { close(declined) })
		}
	}}
	next, exploded := 0, 0
	sink := &counting{seen: func(values []int) error {
		for _, v := range values {
			if v != next {
				return fmt.Errorf("%d where %d was to come", v, next)
			}
			next++
		}
		return nil
	}}
	err := endless(t, ctx, log, 20*time.Millisecond, func(j *flow.Job, s flow.Stream[int]) {
		all := flow.FlatMap(s, "explode", func(_ int, out *flow.Out[int]) error {
			for {
				out.Emit(exploded)
				exploded++
				select {
				case <-declined:
					return nil
				default:
				}
			}
		}, flow.StartChain())
		flow.To(all, "sink", flow.Sink[int](sink), flow.StartChain())
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, log.lines.String())
	}
	if next != exploded || next < 16*stream.BatchSize {
		t.Errorf("%d records of %d", next, exploded)
	}
}
