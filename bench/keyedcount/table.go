package main

import (
	"fmt"
	"io"
	"runtime"
)

// part is what the engine does of a measure in the same time, in percent.
func (r result) part(measureNS float64) float64 { return 100 * measureNS / r.engineNS }

// line is the result in the form of Go's benchmarks.
func (r result) line() string {
	return fmt.Sprintf("BenchmarkKeyedCount/%s-%d\t%d\t%.2f ns/op\t%.0f records/s-core\t%.2f bare-ns/op\t%.1f %%bare\t%.2f lines-ns/op\t%.1f %%lines\t%.6f allocs/record\t%.4f B/record",
		r.Name(), runtime.GOMAXPROCS(0), r.records, r.engineNS, 1e9/r.engineNS, r.bareNS, r.part(r.bareNS), r.linesNS, r.part(r.linesNS), r.allocations, r.bytes)
}

func table(w io.Writer, results []result) {
	fmt.Fprintf(w, "\n%-48s %12s %10s %10s %8s %8s %12s %8s %12s %10s\n", "case", "M records/s", "ns", "bare loop", "of bare", "wanted", "line buckets", "of them", "allocations", "bytes")
	fmt.Fprintf(w, "%-48s %12s %10s %10s %8s %8s %12s %8s %12s %10s\n", "", "per core", "a record", "ns", "loop", "", "ns", "", "per record", "per record")
	for _, r := range results {
		wanted := ""
		if r.wanted > 0 {
			wanted = fmt.Sprintf(">= %.0f%%", r.wanted)
		}
		fmt.Fprintf(w, "%-48s %12.1f %10.1f %10.1f %7.0f%% %8s %12.1f %7.0f%% %12.6f %10.4f\n",
			r.Name(), 1e3/r.engineNS, r.engineNS, r.bareNS, r.part(r.bareNS), wanted, r.linesNS, r.part(r.linesNS), r.allocations, r.bytes)
	}
}
