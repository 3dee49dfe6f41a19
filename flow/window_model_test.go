package flow

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/state"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
	"github.com/thalweg-io/thalweg/internal/stream"
)

// Windows are driven with random records, batches, watermarks and restores, beside an interpreter that keeps all records and all windows in
// plain lists: what is given after each step, what is late, and with which times has to be the same.

// fewer is the number of cases where time is short: under the race detector each takes ten times as long.
func fewer(cases uint64) uint64 {
	if testing.Short() {
		return cases / 8
	}
	return cases
}

// windowCases is how many are tried of each kind of window.
const windowCases = 600

type click struct{ Key, ID, At int64 }

type clickPane = Pane[int64, []int64]

// ids collects the records of a window by name, in order: encoded state.
var ids = Aggregator[click, []int64, []int64]{
	Add:    func(a *[]int64, v click) { *a = append(*a, v.ID) },
	Merge:  func(a, b *[]int64) { *a = append(*a, *b...) },
	Result: func(a *[]int64) []int64 { slices.Sort(*a); return *a },
}

// counted is number, sum and least of the records: state that lies in slots, and New.
type counted struct{ N, Sum, Least int64 }

var counts = Aggregator[click, counted, []int64]{
	New:    func() counted { return counted{Least: 1 << 60} },
	Add:    func(a *counted, v click) { a.N++; a.Sum += v.ID; a.Least = min(a.Least, v.ID) },
	Merge:  func(a, b *counted) { a.N += b.N; a.Sum += b.Sum; a.Least = min(a.Least, b.Least) },
	Result: func(a *counted) []int64 { return []int64{a.N, a.Sum, a.Least} },
}

// results of the interpreter, from the records of a window in order of name.
func idsOf(names []int64) []int64 { return names }
func countsOf(names []int64) []int64 {
	c := counts.New()
	for _, id := range names {
		counts.Add(&c, click{ID: id})
	}
	return counts.Result(&c)
}

func TestWindowsAgainstInterpreter(t *testing.T) {
	kinds := map[string]func(*rand.Rand) Window{
		"tumbling": anyTumbling,
		"sliding":  anySliding,
		"session":  func(r *rand.Rand) Window { return Session(ms(1 + r.Int64N(15))) },
		"global":   func(r *rand.Rand) Window { return Global() },
		"processing time": func(r *rand.Rand) Window {
			size, slide := ms(1+r.Int64N(20)), ms(1+r.Int64N(20))
			return []Window{Tumbling(size), Sliding(size, slide), Session(size)}[r.IntN(3)].ProcessingTime()
		},
	}
	for name, window := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range fewer(windowCases) {
				if seed%2 == 0 {
					windowCase(t, seed, window, ids, idsOf)
				} else {
					windowCase(t, seed, window, counts, countsOf)
				}
			}
		})
	}
}

func anyTumbling(r *rand.Rand) Window {
	size := ms(1 + r.Int64N(20))
	return Tumbling(size).Offset(time.Duration(r.Int64N(int64(size))) - size/2)
}

func anySliding(r *rand.Rand) Window {
	size, slide := ms(1+r.Int64N(20)), ms(1+r.Int64N(20))
	return Sliding(size, slide).Offset(slide/3 - time.Duration(r.Int64N(int64(slide/2))))
}

func ms(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// windowCase drives one job of one or more subtasks.
func windowCase[A any](t *testing.T, seed uint64, window func(*rand.Rand) Window, a Aggregator[click, A, []int64], result func([]int64) []int64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 31))
	x := &windowJob[A]{t: t, a: a, w: window(r)}
	if x.w.kind != global && !x.w.processing && r.IntN(2) == 0 {
		x.lateness = ms(r.Int64N(40))
	}
	m := &windowInterpreter{w: x.w, lateness: int64(x.lateness), result: result}
	for i := range m.now {
		m.now[i] = stream.NoTime
	}
	defer x.close()
	x.start(1 + r.IntN(3))
	keys := 1 + r.Int64N(12)
	clock, id := int64(ms(r.Int64N(200)-100)), int64(0)
	if x.w.processing {
		clock += int64(time.Hour) // after 1970, as clocks are
	}
	check := func(what string) {
		t.Helper()
		slices.Sort(x.got)
		slices.Sort(m.want)
		if !slices.Equal(x.got, m.want) {
			t.Fatalf("seed %d, %s, lateness %v, %s at %v, %d subtasks:\n%s\nwant\n%s", seed, describeWindow(x.w), x.lateness, what, m.now, len(x.ops),
				strings.Join(x.got, "\n"), strings.Join(m.want, "\n"))
		}
		x.got, m.want = x.got[:0], m.want[:0]
	}
	for range 4 + r.IntN(25) {
		var batch []click
		for range r.IntN(40) {
			at := clock + int64(ms(r.Int64N(20))) + r.Int64N(1000)
			if r.IntN(5) == 0 {
				at -= int64(ms(r.Int64N(80)))
			}
			if r.IntN(3) == 0 && len(batch) > 0 {
				at = batch[len(batch)-1].At // runs of one time, and borders
			}
			id++
			batch = append(batch, click{Key: r.Int64N(keys), ID: id, At: at})
		}
		if x.w.processing {
			for i := range batch {
				batch[i].At = clock
			}
			x.clock = clock
			m.advance(0, windowGroups, clock-1)
		}
		x.push(batch)
		for _, v := range batch {
			m.add(v)
		}
		check("records")
		switch clock += int64(ms(r.Int64N(20))); r.IntN(10) {
		case 0:
			clock += int64(ms(300))
		case 1:
			x.restore(1 + r.IntN(4))
			check("restore")
		}
		switch {
		case r.IntN(3) == 0:
		case x.w.processing:
			x.clock = clock
			for i := range x.ops {
				if r.IntN(2) == 0 {
					from, to, next := x.tick(i)
					m.advance(from, to, clock-1)
					if first := m.first(from, to); first != stream.MaxWatermark && (next == 0 || next > first+1 || next <= clock) {
						t.Fatalf("seed %d, %s: wants to be woken at %d; it is %d, and a window ends with %d", seed, describeWindow(x.w), next, clock, first)
					}
				}
			}
			check("clock")
		default:
			at := clock - int64(ms(r.Int64N(20)))
			alike := r.IntN(3) > 0
			for i := range x.ops {
				if !alike { // one subtask saw an input fall idle before another
					at += int64(ms(r.Int64N(15)))
				}
				from, to := x.watermark(i, at)
				m.advance(from, to, at)
			}
			check("watermark")
		}
	}
	for i := range x.ops {
		from, to := x.watermark(i, stream.MaxWatermark)
		m.advance(from, to, stream.MaxWatermark)
	}
	check("end")
	for _, op := range x.ops {
		if _, some := op.cut.next(); some {
			t.Fatalf("seed %d, %s: something is due after the end", seed, describeWindow(x.w))
		}
	}
}

func describeWindow(w Window) string {
	return fmt.Sprintf("%s of %v by %v, offset %v", [...]string{"none", "tumbling", "sliding", "session", "global"}[w.kind], w.size, w.slide, w.offset)
}

const windowGroups = 8

// windowJob is the subtasks of one window operator.
type windowJob[A any] struct {
	t        testing.TB
	a        Aggregator[click, A, []int64]
	w        Window
	lateness time.Duration
	clock    int64
	ops      []*windowing[int64, click, clickPane]
	got      []string
}

func (x *windowJob[A]) start(parallelism int) {
	x.ops = nil
	for i := range parallelism {
		from, to := job.Groups(i, windowGroups, parallelism)
		k, err := state.NewKeyed[int64](state.Config{Name: "op", MaxParallelism: windowGroups, From: from, To: to})
		x.must(err)
		counted, sent := 0, 0
		g := &giving[int64, click, A, []int64]{a: x.a, lateness: int64(x.lateness),
			count: func(n int) {
				if counted += n; counted != sent {
					x.t.Fatalf("%d late records counted, %d sent", counted, sent)
				}
			},
			lateTo: func(v click, at int64) error {
				sent++
				x.got = append(x.got, showLate(v.Key, v.ID, at))
				return nil
			}}
		out := newOut[clickPane](&windowSink{got: &x.got})
		g.emit = func(p clickPane, at int64) error { out.emit(p, at); return out.err }
		op, err := newWindowing(&node{name: "op"}, Windowed[int64, click]{keyed: Keyed[int64, click]{key: func(v click) int64 { return v.Key }}, window: x.w},
			k, g, out.next, out.flush)
		x.must(err)
		if x.w.processing {
			op.clock = func() int64 { return x.clock }
		}
		x.ops = append(x.ops, op)
	}
}

func (x *windowJob[A]) must(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatal(err)
	}
}

// push sends each record to its subtask, as the exchange would.
func (x *windowJob[A]) push(all []click) {
	hash, err := codec.Hasher[int64]()
	x.must(err)
	batches := make([]stream.Batch[click], len(x.ops))
	for _, v := range all {
		h := hash(v.Key)
		group := job.KeyGroup(h, windowGroups)
		for i := range x.ops {
			if from, to := job.Groups(i, windowGroups, len(x.ops)); group >= from && group < to {
				b := &batches[i]
				b.Values, b.Times, b.Hashes = append(b.Values, v), append(b.Times, v.At), append(b.Hashes, h)
			}
		}
	}
	for i, op := range x.ops {
		if batches[i].Len()%2 == 0 {
			batches[i].Hashes = nil // of a sender in the same chain
		}
		x.must(op.Push(&batches[i]))
	}
}

// watermark reaches a subtask. It reports the key groups it concerns.
func (x *windowJob[A]) watermark(subtask int, at int64) (from, to int) {
	x.must(x.ops[subtask].Watermark(at))
	return job.Groups(subtask, windowGroups, len(x.ops))
}

// tick lets a subtask look at the clock. It reports the key groups it concerns, and when the subtask wants to be woken.
func (x *windowJob[A]) tick(subtask int) (from, to int, next int64) {
	next, err := x.ops[subtask].tick(x.clock)
	x.must(err)
	from, to = job.Groups(subtask, windowGroups, len(x.ops))
	return from, to, next
}

// restore goes on with another parallelism behind a checkpoint.
func (x *windowJob[A]) restore(parallelism int) {
	states := windowStates(x.t, x.ops)
	x.close()
	x.start(parallelism)
	restoreWindows(x.t, x.ops, states)
}

// windowStates takes a snapshot of the subtasks of a window operator.
func windowStates[K comparable, T, U any](t testing.TB, ops []*windowing[K, T, U]) (states []*checkpoint.SubtaskState) {
	must := (&windowJob[int64]{t: t}).must
	for i, op := range ops {
		w := checkpoint.NewFileWriter(t.Context(), checkpoint.FileConfig{InlineThreshold: 1 << 30, Checkpoint: 1, Task: job.TaskID{Vertex: "v", Subtask: i}})
		must(op.keyed.Snapshot(w, "op"))
		f, err := w.Finish(t.Context())
		must(err)
		states = append(states, &checkpoint.SubtaskState{Vertex: "v", Subtask: i, Files: []checkpoint.File{*f},
			Operators: []checkpoint.OperatorState{{UID: "op", Entries: op.reached.entries(op.from, op.to)}}})
	}
	return states
}

// restoreWindows goes on with the snapshot in new subtasks.
func restoreWindows[K comparable, T, U any](t testing.TB, ops []*windowing[K, T, U], states []*checkpoint.SubtaskState) {
	must := (&windowJob[int64]{t: t}).must
	for _, op := range ops {
		r, err := checkpoint.Open(t.Context(), nil, "mem:///job", states...)
		must(err)
		must(op.keyed.Restore(r, "op"))
		at, err := restoreReached(r.Entries("op"), op.from, op.to, op.max)
		must(err)
		r.Close()
		must(op.resume(at))
	}
}

func (x *windowJob[A]) close() {
	for _, op := range x.ops {
		op.keyed.Close()
	}
}

// windowSink writes down what is given.
type windowSink struct {
	stream.Input[clickPane]
	got *[]string
}

func (s *windowSink) Push(b *stream.Batch[clickPane]) error {
	for i, p := range b.Values {
		*s.got = append(*s.got, showPane(p, b.Times[i]))
	}
	return nil
}
func (s *windowSink) Watermark(int64) error { return nil }

func showPane(p clickPane, at int64) string {
	return fmt.Sprintf("%d: [%v, %v) at %d: %v", p.Key, p.Start, p.End, at, p.Value)
}

func showLate(key, id, at int64) string { return fmt.Sprintf("late: %d of %d at %d", id, key, at) }

// windowInterpreter keeps every window with the names of its records.
type windowInterpreter struct {
	w        Window
	lateness int64
	now      [windowGroups]int64 // by key group
	result   func([]int64) []int64
	open     []*interpretedWindow
	want     []string
}

type interpretedWindow struct {
	key, begin, end int64
	ids             []int64
	given           bool
}

func (m *windowInterpreter) give(o *interpretedWindow) {
	o.given = true
	slices.Sort(o.ids)
	p := clickPane{Key: o.key, Value: m.result(o.ids)}
	at := int64(stream.NoTime)
	if m.w.kind != global {
		p.Start, p.End, at = time.Unix(0, o.begin).UTC(), time.Unix(0, o.end).UTC(), o.end-1
	}
	m.want = append(m.want, showPane(p, at))
}

// over reports whether a moment is behind the watermark of a key by a time at least.
func (m *windowInterpreter) over(key, last, by int64) bool {
	now := m.now[m.group(key)]
	return now != stream.NoTime && last+by <= now
}

func (m *windowInterpreter) group(key int64) int {
	hash, _ := codec.Hasher[int64]()
	return job.KeyGroup(hash(key), windowGroups)
}

func (m *windowInterpreter) add(v click) {
	begins := m.begins(v.At)
	if m.w.kind == session {
		m.addToSession(v)
		return
	}
	late := len(begins) > 0
	for _, begin := range begins {
		end := begin + int64(m.w.size)
		if m.w.kind == global {
			begin, end = 0, stream.MaxWatermark
		}
		if m.over(v.Key, end-1, m.lateness) {
			continue
		}
		late = false
		var o *interpretedWindow
		for _, have := range m.open {
			if have.key == v.Key && have.begin == begin {
				o = have
			}
		}
		if o == nil {
			o = &interpretedWindow{key: v.Key, begin: begin, end: end}
			m.open = append(m.open, o)
		}
		if o.ids = append(o.ids, v.ID); m.over(v.Key, end-1, 0) {
			m.give(o)
		}
	}
	if late {
		m.want = append(m.want, showLate(v.Key, v.ID, v.At))
	}
}

// begins are where the windows of a time begin.
func (m *windowInterpreter) begins(at int64) (all []int64) {
	if m.w.kind == global {
		return []int64{0}
	}
	if m.w.kind == session {
		return nil
	}
	slide, offset := int64(m.w.slide), int64(m.w.offset)
	first := (at-offset)/slide - int64(m.w.size)/slide - 3
	for n := first; n*slide+offset <= at; n++ {
		if n*slide+offset+int64(m.w.size) > at {
			all = append(all, n*slide+offset)
		}
	}
	return all
}

func (m *windowInterpreter) addToSession(v click) {
	o := &interpretedWindow{key: v.Key, begin: v.At, end: v.At + int64(m.w.size), ids: []int64{v.ID}}
	var rest []*interpretedWindow
	touched := false
	for _, have := range m.open {
		if have.key != v.Key || have.end < o.begin || have.begin > o.end {
			rest = append(rest, have)
			continue
		}
		touched = true
		o.begin, o.end, o.ids = min(o.begin, have.begin), max(o.end, have.end), append(o.ids, have.ids...)
	}
	if !touched && m.over(v.Key, o.end, m.lateness) {
		m.want = append(m.want, showLate(v.Key, v.ID, v.At))
		return
	}
	m.open = append(rest, o)
	if m.over(v.Key, o.end, 0) {
		m.give(o)
	}
}

func (m *windowInterpreter) advance(from, to int, at int64) {
	for group := from; group < to; group++ {
		m.now[group] = max(m.now[group], at)
	}
	var rest []*interpretedWindow
	for _, o := range m.open {
		last := m.last(o)
		if m.over(o.key, last, 0) && !o.given {
			m.give(o)
		}
		if !m.over(o.key, last, m.lateness) && m.now[m.group(o.key)] != stream.MaxWatermark {
			rest = append(rest, o)
		}
	}
	m.open = rest
}

// first is the last moment of the window of some key groups that ends first.
// last is the moment at which a window can be given.
func (m *windowInterpreter) last(o *interpretedWindow) int64 {
	switch m.w.kind {
	case global:
		return stream.MaxWatermark
	case session:
		return o.end // a record at its end still belongs to it
	}
	return o.end - 1
}

func (m *windowInterpreter) first(from, to int) int64 {
	first := stream.MaxWatermark
	for _, o := range m.open {
		if g := m.group(o.key); g >= from && g < to && !o.given {
			first = min(first, m.last(o))
		}
	}
	return first
}
