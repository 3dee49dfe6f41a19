package flow_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/flow"
)

// view is a record at a time in milliseconds.
type view struct{ User, At int64 }

func (v view) time() time.Time { return time.UnixMilli(v.At) }
func (v view) user() int64     { return v.User }

// views come every millisecond, of users in turns. The last ones are late.
func views(n, users int64, late ...int64) (all []view) {
	for i := range n {
		all = append(all, view{i % users, i})
	}
	for _, at := range late {
		all = append(all, view{0, at})
	}
	return all
}

var lateViews = flow.NewSideOutput[view]("late")

// windowed runs a job of windows over one split, and gives what they are, and what was late.
func windowed(t *testing.T, all []view, w flow.Window, o ...flow.WindowOption) (panes []string, late []view) {
	t.Helper()
	type pane = flow.Pane[int64, int64]
	got, lates := &collected[pane]{}, &collected[view]{}
	if err := run(t, func(j *flow.Job) {
		s := flow.From(j, "views", of(all), flow.Parallelism(1)).EventTime(view.time)
		counts := flow.Aggregate(flow.KeyBy(s, view.user).Window(w, append(o, flow.LateTo(lateViews))...), "count", flow.Count[view]())
		flow.To(counts, "sink", flow.Sink[pane](got))
		flow.To(flow.ReadSide(counts, lateViews), "late", flow.Sink[view](lates))
	}); err != nil {
		t.Fatal(err)
	}
	for _, p := range got.values {
		panes = append(panes, fmt.Sprintf("%d from %d to %d: %d", p.Key, p.Start.UnixMilli(), p.End.UnixMilli(), p.Value))
	}
	slices.Sort(panes)
	return panes, lates.values
}

func TestLateRecordsGoToTheSide(t *testing.T) {
	panes, late := windowed(t, views(2000, 1, 5, 6, 1999), flow.Tumbling(time.Second))
	equal(t, panes, []string{"0 from 0 to 1000: 1000", "0 from 1000 to 2000: 1001"})
	equal(t, late, []view{{0, 5}, {0, 6}})
}

func TestLatenessGivesWindowsAgain(t *testing.T) {
	panes, late := windowed(t, views(2000, 1, 5, 6), flow.Tumbling(time.Second), flow.Lateness(time.Minute))
	equal(t, panes, []string{"0 from 0 to 1000: 1000", "0 from 0 to 1000: 1001", "0 from 0 to 1000: 1002", "0 from 1000 to 2000: 1000"})
	equal(t, late, nil)
}

// Splits that are handed out one after another keep the bound if they keep it read one behind the other, whoever reads which. What breaks that is
// late, as it would be within a split, and is not lost.
func TestSplitsThatFollow(t *testing.T) {
	const n, each, bound = 6000, 500, 100
	random := rand.New(rand.NewPCG(1, 2))
	all := views(n, 1)
	for i := range all {
		all[i].At = max(0, all[i].At-random.Int64N(bound+1))
	}
	splits := slices.Collect(slices.Chunk(all, each))
	count := func(parallelism int, splits [][]view) (counted, late int64) {
		type pane = flow.Pane[int64, int64]
		got, lates := &collected[pane]{}, &collected[view]{}
		if err := run(t, func(j *flow.Job) {
			s := flow.From(j, "views", of(splits...), flow.Parallelism(parallelism)).EventTime(view.time, flow.OutOfOrder(bound*time.Millisecond))
			counts := flow.Aggregate(flow.KeyBy(s, view.user).Window(flow.Tumbling(2*bound*time.Millisecond), flow.LateTo(lateViews)), "count", flow.Count[view]())
			flow.To(counts, "sink", flow.Sink[pane](got))
			flow.To(flow.ReadSide(counts, lateViews), "late", flow.Sink[view](lates))
		}); err != nil {
			t.Fatal(err)
		}
		for _, p := range got.values {
			counted += p.Value
		}
		return counted, int64(len(lates.values))
	}
	for _, parallelism := range []int{1, 3} {
		if counted, late := count(parallelism, splits); counted != n || late != 0 {
			t.Errorf("parallelism %d: %d records counted and %d late, of %d within the bound", parallelism, counted, late, n)
		}
	}
	slices.Reverse(splits)
	if counted, late := count(1, splits); counted != each || late != n-each {
		t.Errorf("from the latest split to the earliest: %d records counted and %d late, want the first split's %d and all others", counted, late, each)
	}
}

func TestSlidingInAJob(t *testing.T) {
	panes, late := windowed(t, views(300, 2), flow.Sliding(200*time.Millisecond, 100*time.Millisecond))
	var want []string
	for user := range 2 {
		want = append(want, fmt.Sprintf("%d from -100 to 100: 50", user), fmt.Sprintf("%d from 0 to 200: 100", user),
			fmt.Sprintf("%d from 100 to 300: 100", user), fmt.Sprintf("%d from 200 to 400: 50", user))
	}
	slices.Sort(want)
	equal(t, panes, want)
	equal(t, late, nil)
}

func TestSessionsInAJob(t *testing.T) {
	all := views(100, 1)
	for _, v := range views(50, 1) {
		all = append(all, view{0, 150 + v.At}, view{1, 150 + v.At})
	}
	panes, late := windowed(t, all, flow.Session(20*time.Millisecond))
	equal(t, panes, []string{"0 from 0 to 119: 100", "0 from 150 to 219: 50", "1 from 150 to 219: 50"})
	equal(t, late, nil)
}

func TestReduceMinAndCollect(t *testing.T) {
	got := output(t, func(j *flow.Job) flow.Stream[string] {
		s := flow.From(j, "views", of(views(10, 2))).EventTime(view.time)
		w := flow.KeyBy(s, view.user).Window(flow.Tumbling(time.Second))
		latest := flow.Reduce(w, "latest", func(a, b view) view {
			if b.At > a.At {
				return b
			}
			return a
		})
		all := flow.AggregateThen(w, "all", flow.Both(flow.Collect[view](), flow.Min(func(v view) int64 { return v.At })),
			func(p flow.Pane[int64, flow.Pair[[]view, int64]], out *flow.Out[string]) error {
				out.Emit(fmt.Sprint("all of ", p.Key, " from ", p.Value.Second, ": ", p.Value.First))
				return nil
			})
		return flow.Map(latest, "show", func(p flow.Pane[int64, view]) string { return fmt.Sprint("latest of ", p.Key, ": ", p.Value) }).Union(all)
	})
	equal(t, got, []string{"all of 0 from 0: [{0 0} {0 2} {0 4} {0 6} {0 8}]", "all of 1 from 1: [{1 1} {1 3} {1 5} {1 7} {1 9}]",
		"latest of 0: {0 8}", "latest of 1: {1 9}"})
}

func TestWindowMistakes(t *testing.T) {
	for want, tc := range map[string]struct {
		w flow.Window
		o []flow.WindowOption
	}{
		`the zero Window: use Tumbling, Sliding, Session or Global`:           {w: flow.Window{}},
		`Sliding\(0s, 1s\): size and slide are above 0`:                       {w: flow.Sliding(0, time.Second)},
		`Sliding\(1s, -1s\): size and slide are above 0`:                      {w: flow.Sliding(time.Second, -time.Second)},
		`Sliding\(1h0m0s, 7ns\): .* 3600000000000 slices of 1ns; at most`:     {w: flow.Sliding(time.Hour, 7)},
		`Sliding\(1m0s, 1s\)\.Offset\(1s\): an offset is less than the slide`: {w: flow.Sliding(time.Minute, time.Second).Offset(time.Second)},
		`Session\(0s\): a gap is above 0`:                                     {w: flow.Session(0)},
		`Session\(1s\)\.Offset\(1ms\)`:                                        {w: flow.Session(time.Second).Offset(time.Millisecond)},
		`Lateness\(-1s\): it is 0 or more`:                                    {w: flow.Session(time.Second), o: []flow.WindowOption{flow.Lateness(-time.Second)}},
		`in others nothing is late`:                                           {w: flow.Global(), o: []flow.WindowOption{flow.Lateness(time.Second)}},
		`Lateness and LateTo are for windows of event time`:                   {w: flow.Session(1).ProcessingTime(), o: []flow.WindowOption{flow.LateTo(lateViews)}},
		`Global\(\)\.ProcessingTime\(\)`:                                      {w: flow.Global().ProcessingTime()},
		`LateTo: side output "late" has records of flow_test\.other, and the windows of flow_test\.view`: {w: flow.Session(1),
			o: []flow.WindowOption{flow.LateTo(flow.NewSideOutput[other]("late"))}},
		`LateTo: side output "": its name has`: {w: flow.Session(1), o: []flow.WindowOption{flow.LateTo(flow.NewSideOutput[view](""))}},
	} {
		_, err := flow.Build("job", 1, func(j *flow.Job) error {
			s := flow.From(j, "views", of(views(1, 1))).EventTime(view.time)
			flow.To(flow.Aggregate(flow.KeyBy(s, view.user).Window(tc.w, tc.o...), "count", flow.Count[view]()), "sink",
				flow.Sink[flow.Pane[int64, int64]](&collected[flow.Pane[int64, int64]]{}))
			return nil
		})
		if err == nil || !regexp.MustCompile(`window_job_test\.go:\d+: operator "count": .*`+want).MatchString(err.Error()) {
			t.Errorf("want %s, have\n%v", want, err)
		}
	}
}

type other struct{ X int }
