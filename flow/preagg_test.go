package flow

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/internal/stream"
)

// heard is an exchange that remembers.
type heard[A any] struct {
	values []partial[int64, A]
	times  []int64
	events []string
	deaf   bool
}

func (h *heard[A]) Push(b *stream.Batch[partial[int64, A]]) error {
	if h.deaf {
		return nil
	}
	h.values, h.times = append(h.values, b.Values...), append(h.times, b.Times...)
	h.events = append(h.events, sprintf("%d partials", len(b.Values)))
	return nil
}
func (h *heard[A]) note(event string) error {
	if !h.deaf {
		h.events = append(h.events, event)
	}
	return nil
}
func (h *heard[A]) Watermark(at int64) error {
	if h.deaf {
		return nil
	}
	return h.note(sprintf("watermark %d", at))
}
func (h *heard[A]) Idle() error          { return h.note("idle") }
func (h *heard[A]) SplitEnd(int32) error { return nil }
func (h *heard[A]) End() error           { return h.note("end") }

// took checks what was sent since the last call.
func (h *heard[A]) took(t *testing.T, want ...string) {
	t.Helper()
	if got := strings.Join(h.events, ", "); got != strings.Join(want, ", ") {
		t.Errorf("sent %s; want %s", got, strings.Join(want, ", "))
	}
	h.events = nil
}

func combinerOf[A any](t testing.TB, a Aggregator[click, A, []int64], w Window) (*combiner[int64, click, A, []int64], *heard[A]) {
	h := &heard[A]{}
	c, err := newCombiner(&node{name: "op"}, func(v click) int64 { return v.Key }, a, w, stream.Input[partial[int64, A]](h))
	if err != nil {
		t.Fatal(err)
	}
	return c, h
}

func clicks(keys ...int64) *stream.Batch[click] {
	b := &stream.Batch[click]{Split: -1}
	for i, key := range keys {
		b.Values, b.Times = append(b.Values, click{Key: key, ID: int64(i)}), append(b.Times, int64(i))
	}
	return b
}

// What is held leaves before whatever says that it is complete.
func TestCombinerHoldsNothingBack(t *testing.T) {
	c, h := combinerOf(t, counts, Tumbling(100))
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	push := func() { t.Helper(); must(c.Push(clicks(1, 2, 1))) }
	push()
	push()
	h.took(t)
	must(c.Watermark(98))
	h.took(t, "watermark 98") // the slice ends with 99
	must(c.Watermark(99))
	h.took(t, "2 partials", "watermark 99")
	if h.times[0] != 99-3 || h.times[1] != 99-1 || h.values[0].A.N != 4 || h.values[1].A.N != 2 {
		t.Errorf("%+v at %v: want 4 records and 2", h.values, h.times)
	}
	push()
	h.took(t, "3 partials") // late, one by one
	c.watermark = stream.NoTime
	push()
	must(c.Snapshot(nil))
	h.took(t, "2 partials")
	push()
	must(c.Idle())
	h.took(t, "2 partials", "idle")
	push()
	h.took(t, "2 partials") // the receivers must hear of it
	must(c.Watermark(50))
	push()
	h.took(t, "watermark 50")
	must(c.End())
	h.took(t, "2 partials", "end")
}

func TestCombinerByTheClockHoldsForSomeTurns(t *testing.T) {
	c, h := combinerOf(t, counts, Tumbling(time.Second).ProcessingTime())
	for range 2 {
		if _, some := c.Next(); some {
			t.Fatal("wants to be woken, and holds nothing")
		}
		if err := c.Push(clicks(1, 1)); err != nil {
			t.Fatal(err)
		}
		for range mostTurns {
			h.took(t)
			if at, some := c.Next(); !some || at > 0 {
				t.Fatal("holds something, and does not count turns")
			}
			if err := c.Ring(1); err != nil {
				t.Fatal(err)
			}
		}
		h.took(t, "1 partials")
	}
}

// Lists that grow with their records are bounded by the bytes of these.
func TestCombinerBoundsWhatGrows(t *testing.T) {
	c, h := combinerOf(t, ids, Tumbling(time.Hour))
	b := clicks(make([]int64, 1000)...)
	weight := 24
	for range 100 {
		if err := c.Push(b); err != nil {
			t.Fatal(err)
		}
		if c.held.bytes > heavy+weight {
			t.Fatalf("%d bytes of records are held", c.held.bytes)
		}
	}
	if want := 100 * 1000 * weight / heavy; len(h.values) < want-1 || len(h.values) > want+1 {
		t.Errorf("%d lists; want about %d", len(h.values), want)
	}
}

// While hardly two records have a key in common they go through, and are tried ever more seldom.
func TestTrial(t *testing.T) {
	var c trial
	pauses := []int{}
	for range 8 {
		for c.passing == 0 {
			c.combined(1000, 990)
		}
		pauses = append(pauses, c.passing>>10)
		for c.passing > 0 {
			c.passed(1000)
		}
	}
	if want := []int{64, 128, 256, 512, 1024, 2048, 2048, 2048}; !equalInts(pauses, want) {
		t.Errorf("pauses of %v Ki records; want %v", pauses, want)
	}
	c.combined(leastTry, leastTry/2)
	if c.passing != 0 || c.pause != 0 {
		t.Errorf("%+v behind a try that was worth it", c)
	}
	for range 100 { // a few records of each slice: what counts is many slices
		c.combined(20, 10)
	}
	if c.in != 2000 || c.passing != 0 {
		t.Errorf("%+v: judged by too few records", c)
	}
}

func equalInts(a, b []int) bool { return sprintf("%v", a) == sprintf("%v", b) }

// A combiner that holds as much as it may allocates nothing, whether records are combined or go through.
func TestCombinerDoesNotAllocate(t *testing.T) {
	for _, keys := range []int64{100, 1 << 40} {
		c, h := combinerOf(t, counts, Tumbling(time.Second))
		r := rand.New(rand.NewPCG(1, 2))
		batches := make([]*stream.Batch[click], 64)
		for i := range batches {
			batches[i] = clicks(make([]int64, stream.BatchSize)...)
			for k := range batches[i].Values {
				batches[i].Values[k].Key = r.Int64N(keys)
			}
		}
		h.deaf = true
		n, mark := 0, int64(0)
		push := func() {
			b := batches[n%len(batches)]
			n++
			for i := range b.Times {
				b.Times[i] = mark + int64(i)
			}
			if err := c.Push(b); err != nil {
				t.Fatal(err)
			}
			if n%100 == 0 {
				mark += int64(time.Second)
				if err := c.Watermark(mark - 1); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range 300 {
			push()
		}
		if passing := c.trial.passing > 0; passing != (keys > 1000) {
			t.Errorf("%d keys: %+v", keys, c.trial)
		}
		if a := testing.AllocsPerRun(500, push); a > 0 {
			t.Errorf("%d keys: %v allocations a batch", keys, a)
		}
	}
}

// What is split is what crosses tasks and can be.
func TestWhatIsSplit(t *testing.T) {
	late := NewSideOutput[click]("late")
	for name, tc := range map[string]struct {
		window  Window
		late    []WindowOption
		options []Option
		sources int
		want    bool
	}{
		"tumbling":        {window: Tumbling(1), want: true},
		"sliding":         {window: Sliding(2, 1), want: true},
		"global":          {window: Global(), want: true},
		"processing time": {window: Tumbling(1).ProcessingTime(), want: true},
		"lateness":        {window: Tumbling(1), late: []WindowOption{Lateness(5)}, want: true},
		"union":           {window: Tumbling(1), sources: 2, want: true},
		"fewer tasks":     {window: Tumbling(1), options: []Option{Parallelism(1)}, want: true},
		"session":         {window: Session(1)},
		"late records":    {window: Tumbling(1), late: []WindowOption{LateTo(late)}},
		"not wanted":      {window: Tumbling(1), options: []Option{NoPreAggregation()}},
	} {
		for _, parallelism := range []int{1, 2} {
			j := newJob("job", parallelism)
			read := func(i int) Stream[click] {
				return From(j, sprintf("source %d", i), Source[click](struct{ Source[click] }{})).EventTime(func(v click) time.Time { return time.Unix(0, v.At) })
			}
			s := read(0)
			for i := 1; i < tc.sources; i++ {
				s = s.Union(read(i))
			}
			by := KeyBy(s, func(v click) int64 { return v.Key })
			To(Aggregate(by.Window(tc.window, tc.late...), "windows", counts, tc.options...), "sink", Sink[clickPane](struct{ Sink[clickPane] }{}))
			if _, err := j.plan(); err != nil {
				t.Fatal(err)
			}
			chained := parallelism == 1 && tc.sources < 2
			for _, n := range j.nodes {
				for _, e := range n.inputs {
					if want := tc.want && !chained && n.kind == "window"; (e.combiner != nil) != want {
						t.Errorf("%s at parallelism %d: the input of %q has a combiner: %v; want %v", name, parallelism, n.name, !want, want)
					}
				}
			}
		}
	}
}
