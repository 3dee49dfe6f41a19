package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"

	"github.com/thalweg-io/thalweg/bench/keyedcount/counting"
	"github.com/thalweg-io/thalweg/bench/keyedcount/linebuckets"
	"github.com/thalweg-io/thalweg/internal/state/bareloop"
)

// coverage is how many records per key come before the measurement. A key is then missing with a probability of e to the power of -24, if all are
// equally frequent.
const coverage = 24

// result is one case, measured. Times are processor time of the whole process, both ends of a connection included.
type result struct {
	benchmark
	bareNS, linesNS, engineNS float64 // per record; 0: profiled
	allocations, bytes        float64 // per record
	records                   int     // of which allocations were counted
}

func (o options) measureAll(some []benchmark) error {
	fmt.Printf("goos: %s\ngoarch: %s\npkg: github.com/thalweg-io/thalweg/bench/keyedcount\n# %s, GOMAXPROCS %d, %d rounds of %v a side, medians of CPU time\n",
		runtime.GOOS, runtime.GOARCH, runtime.Version(), runtime.GOMAXPROCS(0), o.rounds, o.takes)
	var results []result
	for _, b := range some {
		r, err := o.measure(b)
		if err != nil {
			return fmt.Errorf("%s: %w", b.Name(), err)
		}
		if r.engineNS > 0 {
			results = append(results, r)
			fmt.Println(r.line())
		}
	}
	table(os.Stdout, results)
	return nil
}

// measures are the bare loop and the line buckets over the keys of a shape.
func measures(s counting.Shape) (bare, lines func(n int), end func(), err error) {
	var drawn []uint64
	var next linebuckets.Source
	if s.Zipf {
		drawn = counting.Zipf(s.Keys)
		at := 0
		next = func(dst []uint64) { // of 64 keys, of which there is a multiple
			at += copy(dst, drawn[at:])
			at %= len(drawn)
		}
	}
	loop, err := bareloop.New(s.Keys)
	if err != nil {
		return nil, nil, nil, err
	}
	table, err := linebuckets.New(s.Keys, next)
	if err != nil {
		loop.Close()
		return nil, nil, nil, err
	}
	bare, at := loop.Run, 0
	if s.Zipf {
		bare = func(n int) {
			for n > 0 {
				part := drawn[at:min(len(drawn), at+n)]
				loop.RunKeys(part)
				at, n = (at+len(part))%len(drawn), n-len(part)
			}
		}
	}
	return bare, table.Run, func() { loop.Close(); table.Close() }, nil
}

func (o options) measure(b benchmark) (r result, err error) {
	r.benchmark = b
	e, err := start(b.Shape)
	if err != nil {
		return r, err
	}
	defer e.close()
	if err := e.run(max(o.portion, coverage*int(b.Keys))); err != nil {
		return r, err
	}
	if o.cpu != "" {
		return r, e.profile(o.cpu)
	}
	if r.allocations, r.bytes, r.records, err = e.allocations(o.portion); err != nil {
		return r, err
	}
	bare, lines, end, err := measures(b.Shape)
	if err != nil {
		return r, err
	}
	defer end()
	runtime.GC()
	var failure error
	ns := bareloop.Beside(o.portion, o.rounds, o.takes, bare, lines, func(n int) {
		if failure == nil {
			failure = e.run(n)
		}
		if failure != nil {
			panic(failure) // there is no figure to give any more
		}
	})
	r.bareNS, r.linesNS, r.engineNS = ns[0], ns[1], ns[2]
	return r, nil
}

// allocations counts what the process allocates while the engine alone runs.
func (e *engine) allocations(portion int) (objects, bytes float64, records int, err error) {
	const portions = 4
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range portions {
		if err := e.run(portion); err != nil {
			return 0, 0, 0, err
		}
	}
	runtime.ReadMemStats(&after)
	records = portions * portion
	return float64(after.Mallocs-before.Mallocs) / float64(records), float64(after.TotalAlloc-before.TotalAlloc) / float64(records), records, nil
}

// profile takes a CPU profile of the engine alone.
func (e *engine) profile(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	for range 64 {
		if err := e.run(portion); err != nil {
			return err
		}
	}
	return nil
}
