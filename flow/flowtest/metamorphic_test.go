package flowtest

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/flow"
)

// Random small jobs give what a naive interpreter gives, whatever their parallelism, chaining, batches and disorder, and whether or not they are
// restored in their midst. A case is wholly of its seed:
//
//	go test ./flow/flowtest -run Metamorphic -seed 4711 -cases 1
var (
	firstSeed = flag.Uint64("seed", 1, "seed of the first random job")
	cases     = flag.Int("cases", 0, "number of random jobs; 0: 10,000 where CI is set in the environment, 1,000 elsewhere, 300 in -short")
)

// many is the number of random jobs.
func many() int64 {
	switch {
	case *cases > 0:
		return int64(*cases)
	case testing.Short():
		return 300
	case os.Getenv("CI") != "":
		return 10_000
	}
	return 1000
}

// everyRestore is of how many cases one is restored.
const everyRestore = 5

func TestMetamorphic(t *testing.T) {
	began, upto := time.Now(), many()
	var done, restored atomic.Int64
	var failed atomic.Bool
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for i := done.Add(1) - 1; i < upto && !failed.Load(); i = done.Add(1) - 1 {
				c := newCase(*firstSeed + uint64(i))
				if c.restores {
					restored.Add(1)
				}
				if err := c.check(t); err != nil {
					failed.Store(true)
					err = c.shrink(t, err)
					t.Errorf("-seed %d: %v\n%v", c.seed, err, c)
				}
			}
		})
	}
	all.Wait()
	t.Logf("%d jobs, %d of them restored, in %v", upto, restored.Load(), time.Since(began).Round(time.Millisecond))
}

// item is the only type of records; At is its event time, in ns. Tag is the source that it is of, or where its window begins.
type item struct{ Key, V, At, Tag int64 }

func (i item) time() time.Time { return time.Unix(0, i.At) }

// randomJob is a case: a job, and what is pushed into it.
type randomJob struct {
	seed     uint64
	sources  []randomSource
	ops      []op
	pushes   []push
	apart    bool  // the first operator has the two sources for its inputs; else they are one stream
	hurry    int64 // ns that what the test says of event time is ahead of the truth: records may be late
	restores bool
	snapshot int // number of pushes before the snapshot
	restore  int // and before the restore
	again    int // and before another to the same snapshot; beyond all: none
}

type randomSource struct {
	splits, parallelism int
	bound               int64 // ns of disorder
}

// push is one batch, and what else the test does there.
type push struct {
	source, split int
	items         []item
	mark          bool // say how far event time has come
	settle        bool
}

const ms = int64(time.Millisecond)

// op is a step of the job. Its parallelism and chaining may be others behind the restore.
type op struct {
	kind        string
	a, b        int64
	parallelism [2]int // 0: not set
	chaining    [2]int
	asRecords   [2]bool // no aggregates are sent to it
	rebalance   bool
	lateness    time.Duration
}

var stateless = []string{"map", "rekey", "filter", "flatmap", "side"}
var windows = []string{"tumbling", "sliding", "session", "connect", "join", "intervaljoin"}
var last = []string{"rolling", "process", "total", "global", "list", "map state", "reducing", "sliding join"}

func newCase(seed uint64) *randomJob {
	r := rand.New(rand.NewPCG(seed, 8))
	c := &randomJob{seed: seed, restores: seed%everyRestore == 0}
	for range 1 + r.IntN(2) {
		c.sources = append(c.sources, randomSource{1 + r.IntN(3), 1 + r.IntN(3), r.Int64N(200) * ms})
	}
	some := func(kinds []string, upto int) {
		for range r.IntN(upto + 1) {
			o := op{kind: kinds[r.IntN(len(kinds))], a: 1 + r.Int64N(5), b: 1 + r.Int64N(5), rebalance: r.IntN(4) == 0}
			for i := range 2 {
				o.parallelism[i] = max(0, r.IntN(7)-2)
				o.chaining[i] = r.IntN(6)
			}
			c.ops = append(c.ops, o)
		}
	}
	some(stateless, 2)
	some(windows, 1)
	some(stateless, 2)
	some(windows, 1)
	some(stateless, 1)
	some(last, 1)
	if r.IntN(6) == 0 {
		c.lates(r, some)
	}
	c.apart = len(c.sources) == 2 && len(c.ops) > 0 && c.ops[0].two()
	c.feed(r)
	for i := range c.ops {
		c.ops[i].asRecords = [2]bool{r.IntN(3) == 0, r.IntN(3) == 0}
	}
	c.snapshot = r.IntN(len(c.pushes) + 1)
	c.restore = c.snapshot + r.IntN(len(c.pushes)+1-c.snapshot)
	c.again = c.restore + r.IntN(2*len(c.pushes)+1)
	return c
}

// feed makes what is pushed: per split, times rise but for the bound.
func (c *randomJob) feed(r *rand.Rand) {
	clocks := map[[2]int]int64{}
	keys := 1 + r.Int64N(12)
	most := 1 + r.IntN(60)
	unit := []int64{1, ms, 5 * ms}[r.IntN(3)] // coarse times fall on the edges of windows
	if r.IntN(25) == 0 && !slices.ContainsFunc(c.ops, op.two) {
		most = 400 // so that EventTime places watermarks itself
	}
	for range 1 + r.IntN(20) {
		p := push{source: r.IntN(len(c.sources)), mark: r.IntN(3) == 0, settle: r.IntN(12) == 0}
		s := c.sources[p.source]
		p.split = r.IntN(s.splits)
		clock := clocks[[2]int{p.source, p.split}]
		for range 1 + r.IntN(most) {
			clock += r.Int64N(30*ms/unit) * unit
			p.items = append(p.items, item{r.Int64N(keys), r.Int64N(1000), clock - r.Int64N(s.bound/unit+1)*unit, int64(p.source)})
		}
		clocks[[2]int{p.source, p.split}] = clock
		c.pushes = append(c.pushes, p)
	}
}

func (c *randomJob) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "sources %+v, apart: %v, hurry %d\n", c.sources, c.apart, c.hurry)
	for _, o := range c.ops {
		fmt.Fprintf(&b, "%+v\n", o)
	}
	for _, p := range c.pushes {
		fmt.Fprintf(&b, "push %+v\n", p)
	}
	if c.restores {
		fmt.Fprintf(&b, "snapshot before push %d, restore before push %d and %d\n", c.snapshot, c.restore, c.again)
	}
	return b.String()
}

// check runs the case and compares.
func (c *randomJob) check(t *testing.T) error {
	t.Helper()
	got, err := c.run(t)
	if err != nil {
		return err
	}
	want := c.interpret(c.lateOf(got))
	got, want = c.reduce(got), c.reduce(want)
	slices.SortFunc(got, compareItems)
	slices.SortFunc(want, compareItems)
	if slices.Equal(got, want) {
		return nil
	}
	return fmt.Errorf("%d records, want %d\nnot wanted: %v\nmissing: %v", len(got), len(want), without(got, want), without(want, got))
}

func compareItems(a, b item) int {
	return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.At, b.At), cmp.Compare(a.V, b.V), cmp.Compare(a.Tag, b.Tag))
}

// without is a less b, record by record.
func without(a, b []item) (rest []item) {
	left := map[item]int{}
	for _, v := range b {
		left[v]++
	}
	for _, v := range a {
		if left[v]--; left[v] < 0 {
			rest = append(rest, v)
		}
	}
	return rest
}

// tries is how often a smaller case is run before it is taken for right: what goes wrong may be a matter of timing.
const tries = 5

// shrink leaves pushes, operators and records out for as long as it still fails, and gives the last failure.
func (c *randomJob) shrink(t *testing.T, failure error) error {
	fails := func(change func(*randomJob)) bool {
		smaller := *c
		change(&smaller)
		smaller.snapshot, smaller.restore = min(c.snapshot, len(smaller.pushes)), min(c.restore, len(smaller.pushes))
		for range tries {
			if err := smaller.check(t); err != nil {
				*c, failure = smaller, err
				return true
			}
		}
		return false
	}
	lessPushes := func(size int) {
		for from := 0; from+size <= len(c.pushes); {
			if !fails(func(s *randomJob) { s.pushes = slices.Delete(slices.Clone(s.pushes), from, from+size) }) {
				from += size
			}
		}
	}
	for size := len(c.pushes) / 2; size > 0; size /= 2 {
		lessPushes(size)
	}
	for i := len(c.ops) - 1; i >= 0; i-- {
		if i > 0 || !c.apart {
			fails(func(s *randomJob) { s.ops = slices.Delete(slices.Clone(s.ops), i, i+1) })
		}
	}
	for i := range c.pushes {
		for size := len(c.pushes[i].items); size > 0; size /= 2 {
			for from := 0; from+size <= len(c.pushes[i].items); {
				if !fails(func(s *randomJob) {
					s.pushes = slices.Clone(s.pushes)
					s.pushes[i].items = slices.Delete(slices.Clone(s.pushes[i].items), from, from+size)
				}) {
					from += size
				}
			}
		}
	}
	lessPushes(1) // those without records may be left
	return failure
}

// run runs the job with the real engine.
func (c *randomJob) run(t *testing.T) ([]item, error) {
	h := New(caseTB{t})
	defer h.close()
	var sources []*Source[item]
	for _, s := range c.sources {
		sources = append(sources, NewSplits[item](h, s.splits))
	}
	sink := NewSink[item](h)
	phase := 0
	build := func(j *flow.Job) error { c.build(j, sources, sink, phase); return nil }
	if err := h.start(1, build); err != nil {
		return nil, err
	}
	var saved *Snapshot
	for i := 0; ; i++ {
		var err error
		if c.restores && i == c.snapshot {
			if saved, err = h.snapshot(); err != nil {
				return nil, err
			}
		}
		if c.restores && (i == c.restore || i == c.again) {
			phase = 1 - phase
			if err := h.restore(saved, 1); err != nil {
				return nil, err
			}
		}
		if i == len(c.pushes) {
			break
		}
		p := c.pushes[i]
		sources[p.source].PushTo(p.split, p.items...)
		if p.mark {
			sources[p.source].Watermark(time.Unix(0, c.lowest(i+1, p.source)-1+c.hurry))
		}
		if p.settle {
			if err := h.settle(); err != nil {
				return nil, err
			}
		}
	}
	err := h.finish()
	return sink.All(), err
}

// lowest is the lowest time that is still to be pushed into a source.
func (c *randomJob) lowest(from, source int) int64 {
	low := int64(1 << 50)
	for _, p := range c.pushes[from:] {
		for _, v := range p.items {
			if p.source == source {
				low = min(low, v.At)
			}
		}
	}
	return low
}

// caseTB has nothing of a case outlive it; run closes the harness.
type caseTB struct{ *testing.T }

func (caseTB) Cleanup(func())  {}
func (caseTB) TempDir() string { return "" }
