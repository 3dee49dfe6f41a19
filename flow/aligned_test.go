package flow_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/flow"
)

// race is sources whose splits are read at different speeds, and what is seen of them while they are. A slow split gives its next piece only when every
// fast one has had time to run away from it.
type race struct {
	drift   int64
	silence bool // slow splits give one piece, and then nothing until all fast ones are at their end
	mu      sync.Mutex
	lanes   map[string]*lane // that are open or at their end
	wrong   []string
}

// lane is how one split has come on.
type lane struct {
	slow, ended bool
	at          int64 // highest time given; unseen: none
	looked      int   // of a slow one: how often all others were seen far enough ahead
	pieces      int
}

const unseen = -1 << 62

// step is the time between two records of a split, and piece how many of them a slow one gives at once.
const (
	step  = 10
	piece = 5
)

// runners is a source of the race: splits of n records each, by name; a name in capitals is a slow one.
type runners struct {
	r     *race
	n     int
	names []string
}

func (s runners) Enumerator(flow.Task, [][]byte) (flow.Enumerator, error) {
	var splits [][]byte
	for _, name := range s.names {
		splits = append(splits, []byte(name))
	}
	return flow.Spread(splits), nil
}

func (s runners) Reader(_ flow.Task, split []byte) (flow.Reader[int64], error) {
	name := string(split)
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	l := &lane{slow: strings.ToUpper(name) == name, at: unseen}
	s.r.lanes[name] = l
	return &runner{s.r, name, l, s.n}, nil
}

type runner struct {
	r    *race
	name string
	lane *lane
	left int
}

func (r *runner) Read(dst []int64) (int, flow.Next, error) {
	r.r.mu.Lock()
	defer r.r.mu.Unlock()
	r.r.look(r.name, r.lane)
	n := min(r.left, len(dst), 16)
	if r.lane.slow {
		if !r.r.mayGo(r.lane) {
			return 0, flow.WaitUntil(time.Now().Add(time.Millisecond)), nil
		}
		n = min(r.left, piece)
		r.lane.looked = 0
	}
	for i := range n {
		if r.lane.at == unseen {
			r.lane.at = 0
		}
		r.lane.at += step
		dst[i] = r.lane.at
	}
	r.lane.pieces++
	if r.left -= n; r.left == 0 {
		r.lane.ended = true
		return n, flow.EndOfSplit, nil
	}
	return n, flow.Again, nil
}

func (r *runner) Position() []byte { return []byte(r.name) }
func (r *runner) Close() error     { return nil }

// look is at the moment of a read: whoever is read is not further ahead of any other than the drift. Locked.
func (r *race) look(name string, l *lane) {
	if l.at == unseen {
		return
	}
	for other, o := range r.lanes {
		if idle := o.slow && r.silence && o.pieces > 0; o.ended || idle {
			continue
		}
		if ahead := l.at - o.at; ahead > r.drift {
			r.wrong = append(r.wrong, fmt.Sprintf("%s is read at %d, and %s is at %d: %d apart", name, l.at, other, o.at, ahead))
		}
	}
}

// mayGo reports whether a slow split gives a piece: when all fast ones have been as far ahead as they should be able to come, for a few looks. Locked.
func (r *race) mayGo(l *lane) bool {
	for _, o := range r.lanes {
		switch {
		case o.slow || o.ended:
		case r.silence && l.pieces > 0: // and they are not at their end
			return false
		case l.pieces > 0 && o.at-l.at < r.drift*3/4:
			return false
		}
	}
	l.looked++
	return l.looked > 3 || l.pieces == 0
}

func (r *race) run(t *testing.T, records int, build func(*flow.Job) flow.Stream[int64]) {
	t.Helper()
	r.lanes = map[string]*lane{}
	got := output(t, build)
	if len(got) != records {
		t.Errorf("%d records came, of %d", len(got), records)
	}
	if len(r.wrong) > 0 {
		t.Errorf("%d times too far ahead: %s", len(r.wrong), r.wrong[0])
	}
}

func when(at int64) time.Time { return time.Unix(0, at) }

// Sources of different speed, of several subtasks and splits: nobody is read who is further ahead than the drift, and everybody comes as far ahead as
// three quarters of it while the slow one stands.
func TestAlignedSourcesStayTogether(t *testing.T) {
	for _, parallelism := range []int{1, 2} {
		r := &race{drift: 1000}
		r.run(t, 5*500, func(j *flow.Job) flow.Stream[int64] {
			together := flow.Aligned("both", time.Duration(r.drift))
			fast := flow.From(j, "fast", runners{r, 500, []string{"a", "b", "c"}}, flow.Parallelism(2)).EventTime(when, together)
			mixed := flow.From(j, "mixed", runners{r, 500, []string{"d", "E"}}, flow.Parallelism(parallelism)).EventTime(when, together)
			return fast.Union(mixed)
		})
	}
}

// The splits of one source, in one subtask.
func TestAlignedSplitsStayTogether(t *testing.T) {
	r := &race{drift: 400}
	r.run(t, 2*300, func(j *flow.Job) flow.Stream[int64] {
		return flow.From(j, "mixed", runners{r, 300, []string{"a", "B"}}, flow.Parallelism(1)).EventTime(when, flow.Aligned("alone", time.Duration(r.drift)))
	})
}

// A source that is idle holds nobody: the other comes to its end meanwhile, and what then comes is late, but not lost.
func TestAlignedSourcesDoNotWaitForIdleOnes(t *testing.T) {
	r := &race{drift: 500, silence: true}
	r.run(t, 1000+100, func(j *flow.Job) flow.Stream[int64] {
		together := flow.Aligned("both", time.Duration(r.drift))
		busy := flow.From(j, "busy", runners{r, 1000, []string{"a"}}).EventTime(when, together)
		quiet := flow.From(j, "quiet", runners{r, 100, []string{"B"}}).EventTime(when, together, flow.Idle(20*time.Millisecond))
		return busy.Union(quiet)
	})
}

// A reader that has ended holds nobody, nor does a split, and a source that never had anything.
func TestAlignedSourcesDoNotWaitForEndedOnes(t *testing.T) {
	r := &race{drift: 100}
	r.run(t, 10+3000, func(j *flow.Job) flow.Stream[int64] {
		together := flow.Aligned("all", time.Duration(r.drift))
		short := flow.From(j, "short", runners{r, 10, []string{"a"}}).EventTime(when, together)
		long := flow.From(j, "long", runners{r, 1000, []string{"b", "c", "d"}}).EventTime(when, together)
		none := flow.From(j, "none", of[int64]()).EventTime(when, together)
		return short.Union(long, none)
	})
}

// What a group knows of its readers is not in a checkpoint: behind a restore they find together again, and every record is there once.
func TestAlignedSourcesRestart(t *testing.T) {
	got := restarted(t, func(j *flow.Job, r *restarting) flow.Stream[int] {
		at := func(v int) time.Time { return time.Unix(0, int64(v%3000)) }
		together := flow.Aligned("both", 100)
		a := flow.From(j, "a", halves(r, numbers(0, 3000), numbers(3000, 6000))).EventTime(at, together)
		b := flow.From(j, "b", halves(r, numbers(6000, 9000))).EventTime(at, together)
		return a.Union(b)
	})
	equal(t, got, numbers(0, 9000))
}

// The enumerators of a group are in one vertex, and each source has its edge from it; others are left alone.
func TestAlignedGraph(t *testing.T) {
	g, err := flow.Build("job", 2, func(j *flow.Job) error {
		from := func(name string, o ...flow.TimeOption) flow.Stream[int64] {
			return flow.From(j, name, of[int64]()).EventTime(when, o...)
		}
		s := from("a", flow.Aligned("x", time.Second)).Union(from("b"), from("c", flow.Aligned("y", time.Hour)), from("d", flow.Aligned("x", time.Second)))
		flow.To(s, "sink", flow.Sink[int64](&collected[int64]{}))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	names := map[string]string{}
	for _, v := range g.Job.Vertices {
		names[v.Id] = v.Name
		if v.Coordinator {
			got = append(got, v.Name)
		}
	}
	for _, e := range g.Job.Edges {
		if strings.HasSuffix(e.Partitioning.String(), "COORDINATOR") {
			got = append(got, fmt.Sprintf("%s -> %s", names[e.From], names[e.To]))
		}
	}
	want := []string{"a, d splits", "b splits", "c splits", "a, d splits -> a -> a event time", "a, d splits -> d -> d event time", "b splits -> b -> b event time",
		"c splits -> c -> c event time"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
