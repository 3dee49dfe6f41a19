package flowtest_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/flow/flowtest"
)

type click struct {
	Key string
	At  int64 // seconds
}

func (c click) time() time.Time { return time.Unix(c.At, 0).UTC() }

func at(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }

// perMinute counts clicks by key and minute, in tasks of their own.
func perMinute(src flow.Source[click], sink flow.Sink[string]) func(*flow.Job) error {
	return func(j *flow.Job) error {
		s := flow.From(j, "clicks", src).EventTime(click.time, flow.OutOfOrder(10*time.Second))
		w := flow.KeyBy(s.Rebalance(), func(c click) string { return c.Key }).Window(flow.Tumbling(time.Minute))
		counts := flow.AggregateThen(w, "count", flow.Count[click](), func(p flow.Pane[string, int64], out *flow.Out[string]) error {
			out.Emit(fmt.Sprintf("%s %d: %d", p.Key, p.Start.Unix(), p.Value))
			return nil
		})
		flow.To(counts, "sink", sink)
		return nil
	}
}

func equal(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if got = slices.Sorted(slices.Values(got)); !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// Nothing comes before its watermark, all that a watermark allows is there after Settle, and the end brings the rest.
func TestWatermarksAndEnd(t *testing.T) {
	for parallelism := 1; parallelism <= 3; parallelism++ {
		h := flowtest.New(t)
		clicks, counts := flowtest.NewSource[click](h), flowtest.NewSink[string](h)
		h.Start(parallelism, perMinute(clicks, counts))
		h.Settle()
		clicks.Push(click{"a", 5}, click{"b", 59}, click{"a", 61})
		h.Settle()
		equal(t, "before a watermark", counts.All())
		clicks.Watermark(at(59))
		h.Settle()
		equal(t, "inside of the window", counts.All())
		clicks.Push(click{"a", 59})
		clicks.Watermark(at(60))
		h.Settle()
		equal(t, "behind the window", counts.All(), "a 0: 2", "b 0: 1")
		clicks.Push(click{"a", 7}) // late
		h.Finish()
		equal(t, "the end", counts.All(), "a 0: 2", "a 60: 1", "b 0: 1")
		h.Settle() // of what has finished there is nothing to wait for
	}
}

// What was pushed after a snapshot comes again, and what came out after it is taken back: the result is that of a run without failure.
func TestRestore(t *testing.T) {
	for _, parallelism := range [][2]int{{1, 1}, {1, 3}, {3, 1}, {2, 4}} {
		h := flowtest.New(t)
		clicks, counts := flowtest.NewSource[click](h), flowtest.NewSink[string](h)
		h.Start(parallelism[0], perMinute(clicks, counts))
		empty := h.Snapshot()
		clicks.Push(click{"a", 5}, click{"b", 5}, click{"c", 70})
		clicks.Watermark(at(60))
		middle := h.Snapshot() // of whatever has been read
		clicks.Push(click{"c", 61}, click{"a", 130})
		clicks.Watermark(at(120))
		h.Settle()
		all := []string{"a 0: 1", "b 0: 1", "c 60: 2"}
		equal(t, "at first", counts.All(), all...)

		h.Restore(middle, parallelism[1])
		h.Settle()
		equal(t, "restored", counts.All(), all...)
		h.Restore(empty, parallelism[0])
		h.Settle()
		equal(t, "from the beginning", counts.All(), all...)

		clicks.End()
		h.Settle()
		ended := h.Snapshot()
		all = []string{"a 0: 1", "a 120: 1", "b 0: 1", "c 60: 2"}
		equal(t, "ended", counts.All(), all...)
		h.Restore(ended, parallelism[1])
		h.Finish()
		equal(t, "restored at the end", counts.All(), all...)
		h.Restore(middle, parallelism[0])
		h.Finish()
		equal(t, "restored to the middle after the end", counts.All(), all...)
	}
}

// A snapshot after Settle has what was pushed before, and not what follows: the sink goes back to that.
func TestSnapshotIsAMoment(t *testing.T) {
	h := flowtest.New(t)
	in, out := flowtest.NewSource[string](h), flowtest.NewSink[string](h)
	h.Start(2, func(j *flow.Job) error {
		flow.To(flow.From(j, "in", in).Rebalance(), "out", out, flow.Parallelism(3))
		return nil
	})
	in.Push("a", "b")
	h.Settle()
	s := h.Snapshot()
	in.Push("c")
	h.Settle()
	equal(t, "before", out.All(), "a", "b", "c")
	if out.Len() != 3 {
		t.Errorf("%d records of 3", out.Len())
	}
	h.Restore(s, 2)
	got := slices.Sorted(slices.Values(out.All()))
	if len(got) < 2 || got[0] != "a" || got[1] != "b" {
		t.Errorf("restored with %q", got)
	}
	h.Settle()
	equal(t, "after", out.All(), "a", "b", "c")
}

// The watermark of several splits is the lowest, across a restore too.
func TestSplits(t *testing.T) {
	for _, readers := range []int{1, 2, 3} {
		h := flowtest.New(t)
		clicks, counts := flowtest.NewSplits[click](h, 3), flowtest.NewSink[string](h)
		build := func(j *flow.Job) error {
			s := flow.From(j, "clicks", clicks, flow.Parallelism(readers)).EventTime(click.time)
			w := flow.KeyBy(s, func(c click) string { return c.Key }).Window(flow.Tumbling(time.Minute))
			flow.To(flow.AggregateThen(w, "count", flow.Count[click](), func(p flow.Pane[string, int64], out *flow.Out[string]) error {
				out.Emit(fmt.Sprintf("%s %d: %d", p.Key, p.Start.Unix(), p.Value))
				return nil
			}, flow.Parallelism(2)), "sink", counts)
			return nil
		}
		h.Start(1, build)
		for i := range 3 {
			clicks.PushTo(i, click{"a", int64(i)})
		}
		clicks.Watermark(at(60))
		h.Settle()
		equal(t, "first", counts.All(), "a 0: 3")
		s := h.Snapshot()
		h.Restore(s, 2)
		for i := range 3 {
			clicks.PushTo(2-i, click{"a", int64(60 + i)})
		}
		clicks.Watermark(at(120))
		h.Finish()
		equal(t, "second", counts.All(), "a 0: 3", "a 60: 3")
	}
}

func TestManyRecords(t *testing.T) {
	h := flowtest.New(t)
	in, out := flowtest.NewSource[int](h), flowtest.NewSink[int](h)
	h.Start(2, func(j *flow.Job) error {
		flow.To(flow.From(j, "in", in).Rebalance(), "out", out, flow.Parallelism(3))
		return nil
	})
	want := 0
	for n := range 300 {
		values := make([]int, n*10)
		in.Push(values...)
		want += len(values)
		if n%50 == 0 {
			h.Settle()
			if out.Len() != want {
				t.Fatalf("%d records of %d", out.Len(), want)
			}
		}
	}
	h.Finish()
	if out.Len() != want {
		t.Fatalf("%d records of %d", out.Len(), want)
	}
}

func TestFailure(t *testing.T) {
	h := flowtest.New(t)
	in, out := flowtest.NewSource[string](h), flowtest.NewSink[string](h)
	broken := true
	h.Start(1, func(j *flow.Job) error {
		s := flow.FlatMap(flow.From(j, "in", in), "pass", func(v string, out *flow.Out[string]) error {
			if v == "poison" && broken {
				return errors.New("it is bad")
			}
			out.Emit(v)
			return nil
		})
		flow.To(s, "out", out)
		return nil
	})
	in.Push("a")
	h.Settle()
	s := h.Snapshot()
	in.Push("poison")
	if err := h.Failure(); err == nil || !strings.Contains(err.Error(), "operator pass: it is bad") {
		t.Fatalf("it fails by %v", err)
	}
	broken = false
	h.Restore(s, 1)
	h.Settle()
	equal(t, "after the failure", out.All(), "a", "poison")
}
