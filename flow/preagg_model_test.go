package flow

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/state"
	"github.com/thalweg-io/thalweg/internal/stream"
)

// Windows behind combiners are driven like those without, beside the same interpreter: several senders with watermarks of their own, receivers with
// key groups, restores at another parallelism. What is given after each watermark, and how many records were late, has to be the same.

const combinerCases = 800

func TestCombinersAgainstInterpreter(t *testing.T) {
	kinds := map[string]func(*rand.Rand) Window{
		"tumbling": anyTumbling,
		"sliding":  anySliding,
		"global":   func(r *rand.Rand) Window { return Global() },
		"instant":  func(r *rand.Rand) Window { return Sliding(time.Duration(1+r.Int64N(3)), time.Duration(1+r.Int64N(3))) },
	}
	for name, window := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := combinerTotals{}
			for seed := range fewer(combinerCases) {
				if seed%2 == 0 {
					combinerCase(t, seed, window, ids, idsOf, &all)
				} else {
					combinerCase(t, seed, window, counts, countsOf, &all)
				}
			}
			if all.sent >= all.records || all.passed == 0 || name != "global" && all.late == 0 {
				t.Errorf("%+v: the cases do not cover what they are for", all)
			}
		})
	}
}

// combinerTotals is what happened in all cases.
type combinerTotals struct{ records, sent, passed, late int }

// combinerJob is senders and receivers of one window operator.
type combinerJob[A any] struct {
	t         testing.TB
	r         *rand.Rand
	a         Aggregator[click, A, []int64]
	w         Window
	lateness  time.Duration
	senders   []*combiner[int64, click, A, []int64]
	marks     []int64 // of senders
	receivers []*windowing[int64, partial[int64, A], clickPane]
	got       []string
	late      int
	totals    *combinerTotals
}

func combinerCase[A any](t *testing.T, seed uint64, window func(*rand.Rand) Window, a Aggregator[click, A, []int64], result func([]int64) []int64, all *combinerTotals) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 32))
	x := &combinerJob[A]{t: t, r: r, a: a, w: window(r), totals: all}
	if x.w.kind != global && r.IntN(2) == 0 {
		x.lateness = ms(r.Int64N(40))
	}
	m := &windowInterpreter{w: x.w, lateness: int64(x.lateness), result: result}
	for i := range m.now {
		m.now[i] = stream.NoTime
	}
	defer x.close()
	x.receive(1 + r.IntN(3))
	x.begin(1+r.IntN(3), stream.NoTime)
	keys, clock, id := 1+r.Int64N(12), int64(ms(r.Int64N(200)-100)), int64(0)
	unit := int64(ms(1))
	if x.w.size < ms(1) {
		unit, clock = 1, clock/int64(ms(1))
	}
	advance := func(what string) {
		t.Helper()
		at := slices.Min(x.marks)
		m.advance(0, windowGroups, at)
		for _, op := range x.receivers {
			x.must(op.Watermark(at))
		}
		want := m.want[:0]
		late := 0
		for _, line := range m.want {
			if strings.HasPrefix(line, "late") {
				late++
			} else {
				want = append(want, line)
			}
		}
		slices.Sort(x.got)
		slices.Sort(want)
		if !slices.Equal(x.got, want) || late != x.late {
			t.Fatalf("seed %d, %s, lateness %v, %s at %v, %d senders, %d receivers, %d late:\n%s\nwant %d late\n%s", seed, describeWindow(x.w), x.lateness, what,
				x.marks, len(x.senders), len(x.receivers), x.late, strings.Join(x.got, "\n"), late, strings.Join(want, "\n"))
		}
		x.totals.late += late
		x.got, m.want, x.late = x.got[:0], m.want[:0], 0
	}
	for range 4 + r.IntN(25) {
		var batch []click
		for range r.IntN(40) {
			at := clock + r.Int64N(20)*unit + r.Int64N(unit)
			if r.IntN(5) == 0 {
				at -= r.Int64N(80) * unit
			}
			if r.IntN(3) == 0 && len(batch) > 0 {
				at = batch[len(batch)-1].At
			}
			id++
			batch = append(batch, click{Key: r.Int64N(keys), ID: id, At: at})
		}
		x.push(r.IntN(len(x.senders)), batch)
		for _, v := range batch {
			m.add(v)
		}
		switch clock += r.Int64N(20) * unit; r.IntN(10) {
		case 0:
			clock += 300 * unit
		case 1:
			x.restore(slices.Min(x.marks))
			advance("restore")
		}
		if r.IntN(3) > 0 {
			i := r.IntN(len(x.senders))
			x.mark(i, clock-r.Int64N(20)*unit)
			advance("watermark")
		}
	}
	for i := range x.senders {
		x.mark(i, stream.MaxWatermark)
	}
	advance("end")
}

func (x *combinerJob[A]) must(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatal(err)
	}
}

// receive starts the tasks of the window operator.
func (x *combinerJob[A]) receive(parallelism int) {
	x.receivers = nil
	for i := range parallelism {
		from, to := job.Groups(i, windowGroups, parallelism)
		k, err := state.NewKeyed[int64](state.Config{Name: "op", MaxParallelism: windowGroups, From: from, To: to})
		x.must(err)
		g := &giving[int64, partial[int64, A], A, []int64]{a: mergingOf[int64](x.a), partials: true, lateness: int64(x.lateness), count: func(n int) { x.late += n }}
		out := newOut[clickPane](&windowSink{got: &x.got})
		g.emit = func(p clickPane, at int64) error { out.emit(p, at); return out.err }
		w := Windowed[int64, partial[int64, A]]{keyed: Keyed[int64, partial[int64, A]]{key: func(p partial[int64, A]) int64 { return p.Key }}, window: x.w}
		op, err := newWindowing(&node{name: "op"}, w, k, g, out.next, out.flush)
		x.must(err)
		x.receivers = append(x.receivers, op)
	}
}

// begin starts senders, of which some hold hardly anything.
func (x *combinerJob[A]) begin(parallelism int, at int64) {
	x.senders, x.marks = nil, nil
	for range parallelism {
		c, err := newCombiner(&node{name: "op"}, func(v click) int64 { return v.Key }, x.a, x.w, stream.Input[partial[int64, A]](&scattering[A]{x: x}))
		x.must(err)
		if x.r.IntN(3) == 0 {
			c.held.most = 1 + x.r.IntN(10)
		}
		c.watermark = at
		x.senders, x.marks = append(x.senders, c), append(x.marks, at)
	}
}

// push gives records to a sender, which may just have found combining of no use.
func (x *combinerJob[A]) push(sender int, all []click) {
	c := x.senders[sender]
	if x.r.IntN(4) == 0 {
		x.must(c.send())
		c.trial.passing = 1 + x.r.IntN(50)
	}
	x.totals.records += len(all)
	b := stream.Batch[click]{Values: all, Split: -1}
	for _, v := range all {
		b.Times = append(b.Times, v.At)
	}
	before := c.trial.passing
	x.must(c.Push(&b))
	x.totals.passed += before - min(before, c.trial.passing)
}

func (x *combinerJob[A]) mark(sender int, at int64) {
	x.marks[sender] = max(x.marks[sender], at)
	x.must(x.senders[sender].Watermark(x.marks[sender]))
}

// restore goes on behind a checkpoint with other senders and receivers. The senders' watermarks have come as far as all of theirs had before.
func (x *combinerJob[A]) restore(at int64) {
	for _, c := range x.senders {
		x.must(c.Snapshot(nil))
		if len(c.held.batch.Values) > 0 {
			x.t.Fatal("a combiner holds something behind a snapshot")
		}
	}
	states := windowStates(x.t, x.receivers)
	x.close()
	x.receive(1 + x.r.IntN(4))
	restoreWindows(x.t, x.receivers, states)
	x.begin(1+x.r.IntN(3), at)
}

func (x *combinerJob[A]) close() {
	for _, op := range x.receivers {
		op.keyed.Close()
	}
}

// scattering is the exchange.
type scattering[A any] struct{ x *combinerJob[A] }

func (s *scattering[A]) Push(b *stream.Batch[partial[int64, A]]) error {
	s.x.totals.sent += len(b.Values)
	if len(b.Values) != len(b.Times) || len(b.Values) != len(b.Hashes) {
		return fmt.Errorf("%d values, %d times, %d hashes", len(b.Values), len(b.Times), len(b.Hashes))
	}
	for i, op := range s.x.receivers {
		from, to := job.Groups(i, windowGroups, len(s.x.receivers))
		var part stream.Batch[partial[int64, A]]
		for k, p := range b.Values {
			if g := job.KeyGroup(b.Hashes[k], windowGroups); g >= from && g < to {
				part.Values, part.Times, part.Hashes = append(part.Values, p), append(part.Times, b.Times[k]), append(part.Hashes, b.Hashes[k])
			}
		}
		if err := op.Push(&part); err != nil {
			return err
		}
	}
	return nil
}
func (s *scattering[A]) Watermark(int64) error { return nil }
func (s *scattering[A]) Idle() error           { return nil }
func (s *scattering[A]) SplitEnd(int32) error  { return nil }
func (s *scattering[A]) End() error            { return nil }
