package flow_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/thalweg-io/thalweg/flow"
)

// Each mistake is reported with the line that the comment on it names, and with what to do.
func TestMistakes(t *testing.T) {
	type withFloat struct{ F struct{ X float64 } }
	type withChannel struct{ C chan int }
	source := func(j *flow.Job) flow.Stream[int] { return flow.From(j, "source", of([]int{1})) }
	sink := func(s flow.Stream[int]) { flow.To(s, "sink", flow.Sink[int](&collected[int]{})) }
	same := func(i int) int { return i }
	for name, tc := range map[string]struct {
		build func(j *flow.Job)
		want  []string
	}{
		"nothing": {func(j *flow.Job) {}, []string{"is empty"}},
		"no sink": {func(j *flow.Job) { source(j) }, []string{"no sink"}},
		"names": {func(j *flow.Job) {
			s := flow.Map(source(j), "twice", same)
			sink(flow.Map(s, "twice", same)) // mistake
		}, []string{`name "twice" is taken by the operator at .*build_test.go:\d+`}},
		"uids": {func(j *flow.Job) {
			s := flow.Map(source(j), "one", same, flow.UID("u"))
			sink(flow.Map(s, "two", same, flow.UID("u"))) // mistake
		}, []string{`name "u" is taken`}},
		"no name": {func(j *flow.Job) {
			sink(flow.Map(source(j), "", same)) // mistake
		}, []string{`name "": an operator's name has`}},
		"parallelism": {func(j *flow.Job) {
			sink(flow.Map(source(j), "map", same, flow.Parallelism(0))) // mistake
		}, []string{`operator "map": parallelism 0: it is at least 1`}},
		"max parallelism": {func(j *flow.Job) {
			sink(flow.Map(source(j), "map", same, flow.Parallelism(3), flow.MaxParallelism(2))) // mistake
		}, []string{`parallelism 3 is above its max parallelism 2`}},
		"key": {func(j *flow.Job) {
			k := flow.KeyBy(source(j), func(int) withFloat { return withFloat{} }) // mistake
			flow.To(flow.Aggregate(k.Window(flow.Global()), "count", flow.Count[int]()), "sink", flow.Sink[flow.Pane[withFloat, int64]](&collected[flow.Pane[withFloat, int64]]{}))
		}, []string{`KeyBy: .*F\.X.*float64`}},
		"codec": {func(j *flow.Job) {
			s := flow.Map(source(j), "channel", func(int) withChannel { return withChannel{} })
			flow.To(s.Rebalance(), "sink", flow.Sink[withChannel](&collected[withChannel]{})) // mistake
		}, []string{`operator "sink": its input flow_test.withChannel comes from another task \("channel"\), and cannot be encoded: .*C`}},
		"event time": {func(j *flow.Job) {
			w := flow.KeyBy(source(j), same).Window(flow.Tumbling(time.Minute)) // mistake
			flow.To(flow.Aggregate(w, "count", flow.Count[int]()), "sink", flow.Sink[flow.Pane[int, int64]](&collected[flow.Pane[int, int64]]{}))
		}, []string{`operator "count": its windows are of event time, and no EventTime`}},
		"window": {func(j *flow.Job) {
			s := source(j).EventTime(func(int) time.Time { return time.Time{} })
			w := flow.KeyBy(s, same).Window(flow.Tumbling(0)) // mistake
			flow.To(flow.Aggregate(w, "count", flow.Count[int]()), "sink", flow.Sink[flow.Pane[int, int64]](&collected[flow.Pane[int, int64]]{}))
		}, []string{`a window's size is above 0`}},
		"aggregator": {func(j *flow.Job) {
			w := flow.KeyBy(source(j), same).Window(flow.Global())
			flow.To(flow.Aggregate(w, "sum", flow.Aggregator[int, int, int]{Add: func(*int, int) {}}), "sink", flow.Sink[flow.Pane[int, int]](&collected[flow.Pane[int, int]]{})) // mistake
		}, []string{`operator "sum": its Aggregator has no Merge`}},
		"forward": {func(j *flow.Job) {
			sink(flow.Map(source(j).Forward(), "map", same, flow.Parallelism(5))) // mistake
		}, []string{`Forward from "source" joins parallelism 2 to 5`}},
		"idle": {func(j *flow.Job) {
			s := flow.Map(source(j).Rebalance(), "map", same)
			sink(s.EventTime(func(int) time.Time { return time.Time{} }, flow.Idle(time.Second))) // mistake
		}, []string{`Idle watches the splits of a source`}},
		"bound": {func(j *flow.Job) {
			sink(source(j).EventTime(func(int) time.Time { return time.Time{} }, flow.OutOfOrder(-1))) // mistake
		}, []string{`OutOfOrder\(-1ns\): a bound is not negative`}},
		"no group": {func(j *flow.Job) {
			sink(source(j).EventTime(func(int) time.Time { return time.Time{} }, flow.Aligned("", time.Minute))) // mistake
		}, []string{`Aligned\("", 1m0s\): the group needs a name`}},
		"no drift": {func(j *flow.Job) {
			sink(source(j).EventTime(func(int) time.Time { return time.Time{} }, flow.Aligned("g", 0))) // mistake
		}, []string{`Aligned\("g", 0s\): .*the drift is above 0`}},
		"aligned behind an exchange": {func(j *flow.Job) {
			sink(source(j).Rebalance().EventTime(func(int) time.Time { return time.Time{} }, flow.Aligned("g", time.Minute))) // mistake
		}, []string{`Aligned holds the splits of a source.*put it right behind the source`}},
		"two drifts": {func(j *flow.Job) {
			at := func(int) time.Time { return time.Time{} }
			other := flow.From(j, "other", of([]int{1})).EventTime(at, flow.Aligned("g", time.Minute))
			sink(other.Union(source(j).EventTime(at, flow.Aligned("g", time.Hour)))) // mistake
		}, []string{`source event time: Aligned\("g", 1h0m0s\): other event time has said Aligned\("g", 1m0s\): a group has one drift`}},
		"aligned twice": {func(j *flow.Job) {
			at := func(int) time.Time { return time.Time{} }
			s := source(j)
			one := s.EventTime(at, flow.Aligned("g", time.Minute))
			two := flow.Map(s, "map", same).EventTime(at, flow.Aligned("g", time.Minute)) // mistake
			sink(one.Union(two))
		}, []string{`map event time: Aligned\("g", 1m0s\): source event time is Aligned, and in the chain of source "source" as well`}},
		"state": {func(j *flow.Job) {
			p := flow.Process(flow.KeyBy(source(j), same), "process", func(op *flow.Op[int]) flow.Handler[int, int, int] { // mistake
				flow.NewValue[withChannel](op, "channel")
				flow.NewValue[int](op, "n")
				flow.NewValue[int](op, "n")
				return flow.Handler[int, int, int]{}
			})
			sink(p)
		}, []string{`state "channel": .*C`, `state name "n" is declared twice`, `no Record function`}},
		"side output that is not there": {func(j *flow.Job) {
			sink(flow.ReadSide(flow.Map(source(j), "map", same), odd)) // mistake
		}, []string{`ReadSide: operator "map" has no side output "odd"`}},
		"side output of another type": {func(j *flow.Job) {
			sink(flow.ReadSide(split(source(j)), flow.NewSideOutput[int]("words"))) // mistake
		}, []string{`side output "words" of operator "split" has records of string, not int`}},
		"side output of a side output": {func(j *flow.Job) {
			sink(flow.ReadSide(flow.ReadSide(split(source(j)), words), odd)) // mistake
		}, []string{`the stream is side output "words" of operator "split"`}},
		"side output twice": {func(j *flow.Job) {
			sink(flow.Process(flow.KeyBy(source(j), same), "process", func(op *flow.Op[int]) flow.Handler[int, int, int] { // mistake
				flow.NewSide(op, odd)
				flow.NewSide(op, odd)
				return flow.Handler[int, int, int]{Record: func(*flow.Ctx[int], int, *flow.Out[int]) error { return nil }}
			}))
		}, []string{`operator "process": side output "odd" is declared twice`}},
		"side output without a name": {func(j *flow.Job) {
			sink(flow.ReadSide(source(j), flow.SideOutput[int]{})) // mistake
		}, []string{`ReadSide: side output "": its name has`}},
		"failed records of another type": {func(j *flow.Job) {
			sink(flow.TryMap(source(j), "try", func(context.Context, int) (int, error) { return 0, nil }, flow.SendTo(words))) // mistake
		}, []string{`operator "try": SendTo side output "words", which has records of string: what fails are records of int`}},
		"connect": {func(j *flow.Job) {
			k := flow.KeyBy(source(j), same)
			sink(flow.Connect(k, k, "connect", func(op *flow.Op[int]) flow.Handler2[int, int, int, int] { // mistake
				return flow.Handler2[int, int, int, int]{}
			}))
		}, []string{`its Handler2 has no Left function`, `its Handler2 has no Right function`}},
		"second input": {func(j *flow.Job) {
			c := flow.KeyBy(flow.Map(source(j), "channel", func(int) withChannel { return withChannel{} }), func(withChannel) int { return 0 })
			sink(flow.Connect(flow.KeyBy(flow.From(j, "other", of([]int{1})), same), c, "connect", func(op *flow.Op[int]) flow.Handler2[int, int, withChannel, int] { // mistake
				return flow.Handler2[int, int, withChannel, int]{
					Left:  func(*flow.Ctx[int], int, *flow.Out[int]) error { return nil },
					Right: func(*flow.Ctx[int], withChannel, *flow.Out[int]) error { return nil },
				}
			}))
		}, []string{`operator "connect": its input flow_test.withChannel comes from another task \("channel"\), and cannot be encoded`}},
		"collections": {func(j *flow.Job) {
			sink(flow.Process(flow.KeyBy(source(j), same), "process", func(op *flow.Op[int]) flow.Handler[int, int, int] { // mistake
				flow.NewList[withChannel](op, "list")
				flow.NewMapState[withFloat, int](op, "map")
				flow.NewReducing[int](op, "reducing", nil)
				flow.NewAggregating(op, "aggregating", flow.Aggregator[int, int, int]{})
				return flow.Handler[int, int, int]{Record: func(*flow.Ctx[int], int, *flow.Out[int]) error { return nil }}
			}))
		}, []string{`state "list": .*C`, `state "map": its map key: .*F`, `state "reducing": it has nothing to reduce by`, `state "aggregating": its Aggregator has no Add`}},
		"timer of processing time": {func(j *flow.Job) {
			sink(flow.Process(flow.KeyBy(source(j), same), "process", func(op *flow.Op[int]) flow.Handler[int, int, int] { // mistake
				flow.NewProcTimer[int, int](op, "end", nil)
				flow.NewTimer[int, int](op, "end", func(*flow.Ctx[int], time.Time, *flow.Out[int]) error { return nil })
				return flow.Handler[int, int, int]{Record: func(*flow.Ctx[int], int, *flow.Out[int]) error { return nil }}
			}))
		}, []string{`timer "end": it has nothing to fire`, `state name "end" is declared twice`}},
		"join": {func(j *flow.Job) {
			k := flow.KeyBy(source(j), same)
			sink(flow.Join(k, k, flow.Tumbling(time.Second), "join", func(int, int, *flow.Out[int]) error { return nil })) // mistake
		}, []string{`operator "join": it joins by event time, and no EventTime`}},
		"join by session": {func(j *flow.Job) {
			k := flow.KeyBy(source(j), same)
			sink(flow.Join(k, k, flow.Session(time.Second), "join", func(int, int, *flow.Out[int]) error { return nil })) // mistake
		}, []string{`operator "join": Join in a Session`}},
		"late of other types": {func(j *flow.Job) {
			k := flow.KeyBy(source(j).EventTime(func(int) time.Time { return time.Time{} }), same)
			names := flow.NewSideOutput[string]("names")
			sink(flow.IntervalJoin(k, k, 0, 0, "join", func(int, int, *flow.Out[int]) error { return nil }, flow.LateLeftTo(names), // mistake
				flow.LateRightTo(flow.NewSideOutput[int](""))))
		}, []string{`operator "join": LateLeftTo: side output "names" has records of string, and the input of int`, `operator "join": LateRightTo: side output "": its name has`}},
		"late of two types": {func(j *flow.Job) {
			s := source(j).EventTime(func(int) time.Time { return time.Time{} })
			k := flow.KeyBy(s, same)
			n := flow.KeyBy(flow.Map(s, "map", func(int) string { return "" }), func(string) int { return 0 })
			sink(flow.IntervalJoin(k, n, 0, 0, "join", func(int, string, *flow.Out[int]) error { return nil }, flow.LateLeftTo(flow.NewSideOutput[int]("late")), // mistake
				flow.LateRightTo(flow.NewSideOutput[string]("late"))))
		}, []string{`operator "join": LateRightTo: side output "late" has records of int and of string`}},
		"late of a global join": {func(j *flow.Job) {
			k := flow.KeyBy(source(j), same)
			sink(flow.Join(k, k, flow.Global(), "join", func(int, int, *flow.Out[int]) error { return nil }, flow.LateLeftTo(flow.NewSideOutput[int]("late")))) // mistake
		}, []string{`operator "join": LateLeftTo and LateRightTo are for windows of event time`}},
		"late of no join": {func(j *flow.Job) {
			sink(flow.Map(source(j), "map", func(i int) int { return i }, flow.LateLeftTo(flow.NewSideOutput[int]("late")))) // mistake
		}, []string{`operator "map": LateLeftTo and LateRightTo are for Join and IntervalJoin`}},
		"join of nothing": {func(j *flow.Job) {
			k := flow.KeyBy(source(j), same)
			sink(flow.Join[int, int, int, int](k, k, flow.Global(), "join", nil)) // mistake
		}, []string{`operator "join": it has no function`}},
		"join of what cannot be kept": {func(j *flow.Job) {
			c := flow.KeyBy(flow.Map(source(j), "channel", func(int) withChannel { return withChannel{} }, flow.Parallelism(1)), func(withChannel) int { return 0 })
			k := flow.KeyBy(flow.From(j, "other", of([]int{1}), flow.Parallelism(1)), same)
			sink(flow.Join(k, c, flow.Global(), "join", func(int, withChannel, *flow.Out[int]) error { return nil })) // mistake
		}, []string{`operator "join": state "right": .*C`, `operator "join": its input flow_test.withChannel comes from another task`}},
		"interval join": {func(j *flow.Job) {
			k := flow.KeyBy(source(j).EventTime(func(int) time.Time { return time.Time{} }), same)
			sink(flow.IntervalJoin(k, k, time.Second, 0, "join", func(int, int, *flow.Out[int]) error { return nil })) // mistake
		}, []string{`operator "join": IntervalJoin from 1s to 0s: the lower bound is above the upper one`}},
		"checkpoints": {func(j *flow.Job) {
			j.Checkpoints(0) // mistake
			sink(source(j))
		}, []string{`checkpoints every 0s`}},
		"all together": {func(j *flow.Job) {
			flow.Map(source(j), "one", same, flow.Parallelism(-1))
			flow.Map(source(j), "two", same, flow.MaxParallelism(1<<20))
		}, []string{`parallelism -1`, `max parallelism 1048576`, `name "source" is taken`, `no sink`}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := flow.Build("job", 2, func(j *flow.Job) error { tc.build(j); return nil })
			if err == nil {
				t.Fatal("it was built")
			}
			lines := strings.Split(err.Error(), "\n")[1:]
			if len(lines) != len(tc.want) {
				t.Errorf("%d mistakes, want %d:\n%v", len(lines), len(tc.want), err)
			}
			for _, want := range tc.want {
				if !regexp.MustCompile(want).MatchString(err.Error()) {
					t.Errorf("no %q in\n%v", want, err)
				}
			}
			for _, line := range lines {
				if at := regexp.MustCompile(`^(.*?build_test\.go):(\d+): `).FindStringSubmatch(line); at == nil {
					t.Errorf("no place in %q", line)
				} else if len(tc.want) == 1 && name != "nothing" && name != "no sink" && !strings.Contains(sourceLine(t, at[1], at[2]), "// mistake") {
					t.Errorf("%q names another line than that of the mistake", line)
				}
			}
		})
	}
}

func sourceLine(t *testing.T, file, number string) string {
	b, err := os.ReadFile(filepath.Base(file))
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if _, err := fmt.Sscan(number, &n); err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(b), "\n")[n-1]
}

func TestBuildErrorOfTheProgram(t *testing.T) {
	_, err := flow.Build("job", 1, func(*flow.Job) error { return context.DeadlineExceeded })
	if err == nil || !strings.Contains(err.Error(), "build job job: context deadline exceeded") {
		t.Error(err)
	}
}

// The same program gives the same graph; what matters to state or to the runtime changes its fingerprint.
func TestGraphAndFingerprint(t *testing.T) {
	build := func(parallelism int, o ...flow.Option) func(j *flow.Job) error {
		return func(j *flow.Job) error {
			j.Checkpoints(time.Second, flow.Retain(2))
			s := flow.From(j, "source", of([]int{1})).EventTime(func(int) time.Time { return time.Time{} })
			m := flow.Map(s, "map", func(i int) string { return "" })
			w := flow.KeyBy(m, func(s string) string { return s }).Window(flow.Tumbling(time.Second))
			flow.To(flow.Aggregate(w, "count", flow.Count[string](), o...), "sink", flow.Sink[flow.Pane[string, int64]](&collected[flow.Pane[string, int64]]{}))
			return nil
		}
	}
	g, err := flow.Build("job", 2, build(2))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range g.Job.Vertices {
		got = append(got, fmt.Sprintf("%s x%d/%d %v", v.Name, v.Parallelism, v.MaxParallelism, v.Coordinator))
	}
	for _, e := range g.Job.Edges {
		got = append(got, fmt.Sprintf("%d %v", e.Id, e.Partitioning))
	}
	want := []string{"source splits x1/1 true", "source -> source event time -> map x2/128 false", "count -> sink x2/128 false",
		"0 PARTITIONING_COORDINATOR", "1 PARTITIONING_HASH"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if s := g.Job.Vertices[2].Operators[0].States; len(s) != 1 || s[0] != "window: i64" {
		t.Errorf("states are %q", s)
	}
	if c := g.Job.Checkpoints; c.IntervalMs != 1000 || c.Retained != 2 {
		t.Errorf("checkpoints are %v", c)
	}
	again, err := flow.Build("job", 2, build(2))
	if err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(g.Job, again.Job) {
		t.Error("the same program gives another graph")
	}
	one, err := flow.Build("job", 1, build(1))
	if err != nil {
		t.Fatal(err)
	}
	if len(one.Job.Vertices) != 2 { // with one subtask there is nobody else to send a key to
		t.Errorf("%d vertices at parallelism 1", len(one.Job.Vertices))
	}
	other, err := flow.Build("job", 2, build(2, flow.UID("other")))
	if err != nil {
		t.Fatal(err)
	}
	if other.Job.Fingerprint == g.Job.Fingerprint || other.Job.Vertices[2].Id == g.Job.Vertices[2].Id || other.Job.Vertices[1].Id != g.Job.Vertices[1].Id {
		t.Error("a vertex is known by the uid of its first operator, and the fingerprint covers it")
	}
}
