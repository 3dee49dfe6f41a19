package stream

import (
	"math/rand/v2"
	"testing"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

// TestMeterAddsUp: whatever a task does in whatever order, its times are what it did, and together all the time since it began.
func TestMeterAddsUp(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		var m meter
		var want [activities]int64
		m.turn(backpressured, 5) // before it runs: nothing
		now := int64(100)
		begin, doing := now, busy
		m.begin(now)
		for range 30 {
			passed := r.Int64N(1000)
			now += passed
			want[doing] += passed
			if got, running := m.read(now); got != want || !running {
				t.Fatalf("seed %d: %v after %d, want %v", seed, got, now-begin, want)
			}
			doing = activity(r.IntN(int(activities)))
			m.turn(doing, now)
		}
		if got, _ := m.read(now - 1); got != want {
			t.Fatalf("seed %d: a time read before the last turn changed %v to %v", seed, want, got)
		}
		m.end(now)
		got, running := m.read(now + 1000)
		if got != want || running || got[busy]+got[waiting]+got[backpressured] != now-begin {
			t.Fatalf("seed %d: at the end %v, want %v", seed, got, want)
		}
		m.turn(busy, now+2000)
		if got, _ := m.read(now + 3000); got != want {
			t.Fatalf("seed %d: after the end %v, want %v", seed, got, want)
		}
	}
}

func TestRates(t *testing.T) {
	var r rates
	second := int64(time.Second)
	if got := r.over(0, &thalwegv1.TaskCounters{}); got != nil {
		t.Fatalf("rates of nothing: %v", got)
	}
	if got := r.over(second/2, &thalwegv1.TaskCounters{RecordsIn: 1000}); got != nil {
		t.Fatalf("rates of half a window: %v", got)
	}
	got := r.over(2*second, &thalwegv1.TaskCounters{RecordsIn: 4000, RecordsOut: 2000, BytesIn: 800, BytesOut: 400, BusyNs: second, IdleNs: second / 2,
		BackpressuredNs: second / 2})
	want := [...]float64{2000, 1000, 400, 200, 500, 250, 250}
	if have := [...]float64{got.RecordsIn, got.RecordsOut, got.BytesIn, got.BytesOut, got.BusyMs, got.IdleMs, got.BackpressuredMs}; have != want {
		t.Errorf("%v, want %v", have, want)
	}
	if again := r.over(2*second+1, &thalwegv1.TaskCounters{RecordsIn: 9000}); again != got {
		t.Errorf("a report right after another: %v, want the window's %v", again, got)
	}
}

func TestMark(t *testing.T) {
	var m mark
	if got := m.get(); got != nil {
		t.Errorf("a mark that was never set is %d", *got)
	}
	for _, at := range []int64{0, -1, 1, MaxWatermark, NoTime + 1} {
		m.set(at)
		if got := m.get(); got == nil || *got != at {
			t.Errorf("set to %d, is %v", at, got)
		}
	}
}

// countersOf asks hosts until what they say of a vertex satisfies ok.
func countersOf(t *testing.T, hs []*Host, vertex string, ok func(*thalwegv1.TaskCounters) bool) *thalwegv1.TaskCounters {
	t.Helper()
	every := time.NewTicker(10 * time.Millisecond)
	defer every.Stop()
	var c *thalwegv1.TaskCounters
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-every.C {
		for _, h := range hs {
			for _, r := range h.Reports() {
				if r.Task.Vertex == vertex {
					c = r.Counters
				}
			}
		}
		if c != nil && ok(c) {
			return c
		}
	}
	t.Fatalf("vertex %s: %v", vertex, c)
	return nil
}

// TestTimesOfTasks: readers that outrun a sink that does not come back are backpressured, and the sink is busy; when the readers stop,
// it has nothing to do.
func TestTimesOfTasks(t *testing.T) {
	r := newRec()
	o := &options{}
	stuck, over := make(chan struct{}), make(chan struct{})
	first := true
	o.push = func(*Batch[int64]) error { // called by the sink's goroutine only
		if first {
			first = false
			close(stuck)
			<-over
		}
		return nil
	}
	hs := start(t, o, r, map[string]int{}, 1, nil)
	<-stuck
	least := int64(100 * time.Millisecond)
	countersOf(t, hs, "r0", func(c *thalwegv1.TaskCounters) bool { return c.BackpressuredNs > least })
	sink := countersOf(t, hs, "s", func(c *thalwegv1.TaskCounters) bool { return c.BusyNs > least })
	if sink.BackpressuredNs != 0 {
		t.Errorf("a sink without outputs is backpressured: %v", sink)
	}
	// The sink stands still, so in a whole window of that the readers do nothing but wait.
	countersOf(t, hs, "r0", func(c *thalwegv1.TaskCounters) bool {
		return c.GetRates().GetBackpressuredMs() > 990 && c.Rates.BackpressuredMs < 1001 && c.Rates.RecordsOut == 0 && c.Rates.BusyMs < 10
	})
	o.hold[0].Store(true)
	o.hold[1].Store(true)
	close(over)
	idle := countersOf(t, hs, "s", func(c *thalwegv1.TaskCounters) bool { return c.GetRates().GetIdleMs() > 900 })
	if idle.BytesIn != 0 {
		t.Errorf("%d bytes came in a process that has no connection", idle.BytesIn)
	}
}

// TestBytesWatermarksAndCheckpoints: what goes over a connection is counted on both of its ends, and the same.
func TestBytesWatermarksAndCheckpoints(t *testing.T) {
	r := newRec()
	o := &options{limit: 640}
	hs := start(t, o, r, map[string]int{"s": 1}, 2, nil)
	if !r.wait(t, "ended", 5*time.Second, r.all(thalwegv1.TaskState_TASK_STATE_ENDED, everyone...)) {
		t.Fatalf("not ended: %v", r.states)
	}
	all := func(*thalwegv1.TaskCounters) bool { return true }
	sink := countersOf(t, hs, "s", all)
	out := int64(0)
	for _, v := range []string{"r0", "r1"} {
		c := countersOf(t, hs, v, all)
		if c.RecordsOut != 640 || c.BytesOut < 640 || c.OutputWatermark == nil || *c.OutputWatermark != MaxWatermark || c.InputWatermark != nil {
			t.Errorf("%s: %v", v, c)
		}
		out += c.BytesOut
	}
	// A frame has 8 bytes of head that its receiver has taken off.
	if sink.RecordsIn != 1280 || sink.BytesIn > out || sink.BytesIn < out*9/10 || sink.InputWatermark == nil || *sink.InputWatermark != MaxWatermark {
		t.Errorf("sink: %v; %d bytes were sent", sink, out)
	}
	if sink.Checkpoint != nil {
		t.Errorf("a checkpoint before any: %v", sink.Checkpoint)
	}
	trigger(hs, 1, 7, time.Second)
	if !r.wait(t, "acks", 5*time.Second, func() bool { return len(r.acks[7]) == len(everyone) }) {
		t.Fatal("no acks", r.acks, r.declines)
	}
	c := countersOf(t, hs, "s", func(c *thalwegv1.TaskCounters) bool { return c.Checkpoint != nil }).Checkpoint
	if c.Id != 7 || c.Count != 1 || c.SyncNs <= 0 || c.AsyncNs <= 0 || c.AlignmentNs < 0 {
		t.Errorf("%v", c)
	}
}

// BenchmarkRest is what measuring adds to one rest of a task: an idle one rests at most once a batch.
func BenchmarkRest(b *testing.B) {
	var m meter
	m.begin(clock())
	b.ReportAllocs()
	for b.Loop() {
		m.turn(waiting, clock())
		m.turn(busy, clock())
	}
}
