package flow_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/flow/flowtest"
)

// remembers says, for each record of a key, what every kind of state has of those before it that are not older than a minute.
func remembers(in flow.Source[string], out flow.Sink[string], o ...flow.StateOption) func(*flow.Job) error {
	return func(j *flow.Job) error {
		keyed := flow.KeyBy(flow.From(j, "in", in).Rebalance(), func(v string) string { return v[:1] })
		said := flow.Process(keyed, "remembers", func(op *flow.Op[string]) flow.Handler[string, string, string] {
			last := flow.NewValue[string](op, "last", o...)
			list := flow.NewList[string](op, "list", o...)
			dict := flow.NewMapState[string, int](op, "dict", o...)
			joined := flow.NewReducing(op, "joined", func(a *string, v string) { *a += v }, o...)
			count := flow.NewAggregating(op, "count", flow.Count[string](), o...)
			return flow.Handler[string, string, string]{Record: func(c *flow.Ctx[string], v string, out *flow.Out[string]) error {
				was, _ := last.Get()
				j, _ := joined.Get()
				n, _ := count.Get()
				var names []string
				for name, k := range dict.All() {
					names = append(names, fmt.Sprintf("%s %d", name, k))
				}
				slices.Sort(names)
				out.Emit(fmt.Sprintf("%s after %s list %v%d map %v%d joined %s count %d", v, was, slices.Collect(list.All()), list.Len(), names, dict.Len(), j, n))
				if strings.HasSuffix(v, "?") {
					return nil // only reads
				}
				last.Set(v)
				list.Append(v)
				dict.Update(v, func(k *int) { *k++ })
				joined.Add(v)
				count.Add(v)
				return nil
			}}
		})
		flow.To(said, "out", out)
		return nil
	}
}

// State with a TTL forgets by the clock, each element for itself, with the age that it had before a restore at another parallelism.
func TestTTL(t *testing.T) {
	for parallelism := 1; parallelism <= 3; parallelism++ {
		h := flowtest.New(t)
		in, out := flowtest.NewSource[string](h), flowtest.NewSink[string](h)
		build := remembers(in, out, flow.TTL(time.Minute))
		h.Start(parallelism, build)
		var want []string
		step := func(v, said string) {
			t.Helper()
			in.Push(v)
			h.Settle()
			want = append(want, v+" after "+said)
			if got := out.All(); !slices.Equal(got, want) {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
		step("a1", " list []0 map []0 joined  count 0")
		h.Advance(40 * time.Second)
		step("a2", "a1 list [a1]1 map [a1 1]1 joined a1 count 1")
		h.Advance(20*time.Second - 1)
		step("a?", "a2 list [a1 a2]2 map [a1 1 a2 1]2 joined a1a2 count 2")
		h.Advance(1) // a1 is over; what was written with a2 again is not
		step("a?", "a2 list [a2]1 map [a2 1]1 joined a1a2 count 2")
		s := h.Snapshot()
		h.Restore(s, 4-parallelism)
		h.Advance(10 * time.Second)
		step("a1", "a2 list [a2]1 map [a2 1]1 joined a1a2 count 2")
		s = h.Snapshot()
		h.Advance(50 * time.Second)
		h.Restore(s, parallelism)
		h.Advance(10 * time.Second)
		step("a3", " list []0 map []0 joined  count 0")
	}
}

// With UsedByReads a read is a use.
func TestTTLUsedByReads(t *testing.T) {
	h := flowtest.New(t)
	in, out := flowtest.NewSource[string](h), flowtest.NewSink[string](h)
	h.Start(1, remembers(in, out, flow.TTL(time.Minute, flow.UsedByReads())))
	for _, v := range []string{"a1", "a?", "a?"} {
		in.Push(v)
		h.Advance(50 * time.Second)
	}
	in.Push("a?")
	h.Advance(time.Minute)
	in.Push("a?")
	h.Settle()
	if got := out.All(); len(got) != 5 || got[3] != "a? after a1 list [a1]1 map [a1 1]1 joined a1 count 1" || got[4] != "a? after  list []0 map []0 joined  count 0" {
		t.Errorf("got %q", got)
	}
}
