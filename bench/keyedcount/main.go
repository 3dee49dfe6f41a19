// Command keyedcount measures what the engine costs per record: a count of 8-byte keys, written with flow, in one chain and across one TCP
// exchange, beside a bare loop over the same keys in the same run (internal/state/bareloop says what that is).
//
// It owns the job and how it is run without a cluster. It judges nothing: limits are set where the engine's speed is worked on. It prints a
// table, and the same figures in the form of Go's benchmarks, which benchstat compares.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"

	"github.com/thalweg-io/thalweg/internal/state/bareloop"
)

// portion is how many records are counted between two looks at the clock: the pipeline runs empty between portions, which takes less than a
// thousandth of the time of so many.
const portion = 1 << 21

// coverage is how many records per key come before the measurement. A key is then missing with a probability of e to the power of -24.
const coverage = 24

func main() {
	profile := flag.String("cpuprofile", "", "write a CPU profile of the engine's side to this `file`")
	memory := flag.String("memprofile", "", "write a profile of every allocation since the start of the process to this `file`")
	only := flag.String("only", "", "measure only the case of this `name`, such as keys=16K/path=tcp/op=rolling")
	flag.Parse()
	if *memory != "" {
		runtime.MemProfileRate = 1
	}
	err := measureAll(*profile, *only)
	if err == nil && *memory != "" {
		err = profileMemory(*memory)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "keyedcount:", err)
		os.Exit(1)
	}
}

// result is one case, measured. Times are processor time of the whole process, both ends of a connection included.
type result struct {
	name               string
	bareNS, engineNS   float64 // per record
	allocations, bytes float64 // per record
	records            int     // of which allocations were counted
}

func measureAll(profile, only string) error {
	fmt.Printf("goos: %s\ngoarch: %s\npkg: github.com/thalweg-io/thalweg/bench/keyedcount\n# %s, GOMAXPROCS %d, %d rounds of %v a side, medians of CPU time\n",
		runtime.GOOS, runtime.GOARCH, runtime.Version(), runtime.GOMAXPROCS(0), bareloop.Rounds, bareloop.RoundTakes)
	var results []result
	for _, keys := range []uint64{16 << 10, 1 << 20, 8 << 20} {
		for _, exchange := range []bool{false, true} {
			for _, process := range []bool{false, true} {
				s := shape{keys: keys, exchange: exchange, process: process}
				if only != "" && only != s.name() {
					continue
				}
				r, err := s.measure(profile)
				if err != nil {
					return fmt.Errorf("%s: %w", s.name(), err)
				}
				results = append(results, r)
				r.benchmark()
			}
		}
	}
	if len(results) == 0 {
		return fmt.Errorf("no case is named %q", only)
	}
	table(results)
	return nil
}

func (s shape) name() string {
	keys, path, op := "16K", "chained", "rolling"
	if s.keys >= 1<<20 {
		keys = fmt.Sprintf("%dM", s.keys>>20)
	}
	if s.exchange {
		path = "tcp"
	}
	if s.process {
		op = "process"
	}
	return "keys=" + keys + "/path=" + path + "/op=" + op
}

func (s shape) measure(profile string) (r result, err error) {
	r.name = s.name()
	bare, err := bareloop.New(s.keys)
	if err != nil {
		return r, err
	}
	defer bare.Close()
	e, err := start(s, nil)
	if err != nil {
		return r, err
	}
	defer e.close()
	if err := e.run(max(portion, coverage*int(s.keys))); err != nil {
		return r, err
	}
	if r.allocations, r.bytes, r.records, err = allocations(e); err != nil {
		return r, err
	}
	if profile != "" {
		return r, e.profile(profile)
	}
	runtime.GC()
	var failure error
	r.bareNS, r.engineNS = bareloop.Beside(portion, bare.Run, func(n int) {
		if failure == nil {
			failure = e.run(n)
		}
		if failure != nil {
			panic(failure) // there is no figure to give any more
		}
	})
	return r, nil
}

// allocations counts what the process allocates while the engine alone runs.
func allocations(e *engine) (objects, bytes float64, records int, err error) {
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

func profileMemory(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return pprof.Lookup("allocs").WriteTo(f, 0)
}

func (r result) benchmark() {
	if r.engineNS == 0 {
		return // profiled
	}
	fmt.Printf("BenchmarkKeyedCount/%s-%d\t%d\t%.2f ns/op\t%.0f records/s-core\t%.2f bare-ns/op\t%.1f %%bare\t%.6f allocs/record\t%.4f B/record\n", r.name, runtime.GOMAXPROCS(0),
		r.records, r.engineNS, 1e9/r.engineNS, r.bareNS, 100*r.bareNS/r.engineNS, r.allocations, r.bytes)
}

func table(results []result) {
	fmt.Printf("\n%-34s %14s %12s %12s %10s %14s %12s\n", "case", "M records/s", "ns a record", "bare loop", "of bare", "allocations", "bytes")
	fmt.Printf("%-34s %14s %12s %12s %10s %14s %12s\n", "", "per core", "", "ns", "loop", "per record", "per record")
	for _, r := range results {
		if r.engineNS > 0 {
			fmt.Printf("%-34s %14.1f %12.1f %12.1f %9.0f%% %14.6f %12.4f\n", r.name, 1e3/r.engineNS, r.engineNS, r.bareNS, 100*r.bareNS/r.engineNS, r.allocations, r.bytes)
		}
	}
}
