package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/thalweg-io/thalweg/bench/meter"
)

// Run is one measurement.
type Run struct {
	Before  int64         `json:"before"` // events behind the source when it began
	Events  int64         `json:"events"`
	Core    time.Duration `json:"core_ns"` // processor time of the side's processes
	Elapsed time.Duration `json:"elapsed_ns"`
}

func runOf(s meter.Span) Run {
	return Run{Before: s.From.Events, Events: s.Events(), Core: s.Core(), Elapsed: s.To.At.Sub(s.From.At)}
}

// PerCore is events per core-second; 0 if no processor time was seen.
func (r Run) PerCore() float64 {
	if r.Core <= 0 {
		return 0
	}
	return float64(r.Events) / r.Core.Seconds()
}

// Machine is where it was measured.
type Machine struct {
	Processor  string `json:"processor"`
	Processors int    `json:"processors"`
	Go         string `json:"go"`
	Commit     string `json:"commit"` // empty if the program was built outside of a repository
}

func machine() Machine {
	m := Machine{Processors: runtime.NumCPU(), Go: runtime.Version(), Processor: runtime.GOARCH}
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				m.Processor = strings.TrimSpace(value)
				break
			}
		}
	}
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, s := range build.Settings {
			if s.Key == "vcs.revision" {
				m.Commit = s.Value[:min(7, len(s.Value))]
			}
		}
	}
	return m
}

// Record is a case that is through. In a file it is one line of JSON.
type Record struct {
	Case          string    `json:"case"`
	API           string    `json:"api"` // of Flink
	At            time.Time `json:"at"`
	Machine       Machine   `json:"machine"`
	Schedule      Schedule  `json:"schedule"`
	HashMap       []Run     `json:"flink_hashmap"`
	RocksDB       []Run     `json:"flink_rocksdb,omitempty"`
	Thalweg       []Run     `json:"thalweg"`
	FlinkSource   Run       `json:"flink_source"`
	ThalwegSource Run       `json:"thalweg_source"`
}

// median is that of the runs' events per core-second, the upper one of an even number; 0 of none.
func median(runs []Run) float64 {
	if len(runs) == 0 {
		return 0
	}
	var each []float64
	for _, r := range runs {
		each = append(each, r.PerCore())
	}
	return meter.Median(each)
}

// Flink is its better backend.
func (r Record) Flink() float64 { return max(median(r.HashMap), median(r.RocksDB)) }

// Ratio is how many times as many events Thalweg processes per core-second; 0 if a side has none.
func (r Record) Ratio() float64 {
	if r.Flink() == 0 {
		return 0
	}
	return median(r.Thalweg) / r.Flink()
}

// bound is the rule of what is source-bound: a query that costs less than so many times what its source alone costs.
const bound = 1.3

// SourceBound says of which sides the figure is mostly the source's.
func (r Record) SourceBound() (thalweg, flink bool) {
	of := func(query, source float64) bool { return query > 0 && source/query < bound }
	return of(median(r.Thalweg), r.ThalwegSource.PerCore()), of(r.Flink(), r.FlinkSource.PerCore())
}

func (r Record) sentence() string {
	text := fmt.Sprintf("%s: %.1f times Flink's best", r.Case, r.Ratio())
	switch thalweg, flink := r.SourceBound(); {
	case thalweg && flink:
		text += "; source-bound, both"
	case thalweg:
		text += "; Thalweg is source-bound"
	case flink:
		text += "; Flink is source-bound"
	}
	return text
}

func file(folder, name string) string { return filepath.Join(folder, name+".json") }

// write keeps the record, whole or not at all.
func (r Record) write(folder string) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	temporary := file(folder, r.Case) + ".part"
	if err := os.WriteFile(temporary, append(line, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(temporary, file(folder, r.Case))
}

// read gives the record of a case; os.ErrNotExist if it has not been measured.
func read(folder, name string) (r Record, err error) {
	line, err := os.ReadFile(file(folder, name))
	if err != nil {
		return r, err
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, fmt.Errorf("%s: %w: remove the file to measure the case again", file(folder, name), err)
	}
	if r.Case != name {
		return r, fmt.Errorf("%s: it is the case %q: name the file after it", file(folder, name), r.Case)
	}
	return r, nil
}
