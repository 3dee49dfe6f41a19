package main

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/thalweg-io/thalweg/bench/keyedcount/counting"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCasesHaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range benchmarks(true) {
		if seen[b.Name()] {
			t.Errorf("two cases %s", b.Name())
		}
		seen[b.Name()] = true
	}
	for _, name := range []string{"keys=512/path=chained/op=rolling", "keys=64M/path=chained/op=rolling", "keys=1M/path=tcp/op=pair",
		"keys=16K/path=tcp/op=rolling/record=40B", "keys=1M/path=chained/op=rolling/record=string", "keys=8M/path=chained/op=rolling/zipf"} {
		if !seen[name] {
			t.Errorf("no case %s", name)
		}
	}
	wanted := 0
	for _, b := range benchmarks(false) {
		if b.wanted > 0 {
			wanted++
		}
		if b.Keys > 8<<20 {
			t.Errorf("%s is not long", b.Name())
		}
	}
	if wanted != 6 {
		t.Errorf("%d cases are of the criterion, want three numbers of keys by two paths", wanted)
	}
}

func TestCasesAreChosenByTheirWholeName(t *testing.T) {
	for only, want := range map[string]int{"keys=16K/path=tcp/op=rolling": 1, "keys=16K/path=tcp/.*": 6, ".*/zipf": 5, "rolling": 0} {
		if got, err := chosen(benchmarks(false), only); err != nil || len(got) != want {
			t.Errorf("%s: %d cases, error %v, want %d", only, len(got), err, want)
		}
	}
	if _, err := chosen(benchmarks(false), "("); err == nil {
		t.Error("( is no expression, and no error")
	}
}

func TestCasesAreMeasured(t *testing.T) {
	o := options{rounds: 1, takes: time.Millisecond, portion: 1 << 12}
	for _, s := range []counting.Shape{{Keys: 512}, {Keys: 512, Zipf: true, Exchange: true}, {Keys: 512, Record: counting.String}} {
		r, err := o.measure(benchmark{s, 45})
		if err != nil {
			t.Fatal(err)
		}
		if r.bareNS <= 0 || r.linesNS <= 0 || r.engineNS <= 0 || r.records != 4<<12 {
			t.Errorf("%s: %+v", s.Name(), r)
		}
		var w strings.Builder
		table(&w, []result{r})
		if line := r.line(); !strings.HasPrefix(line, "BenchmarkKeyedCount/"+s.Name()+"-") || !strings.Contains(w.String(), s.Name()) || !strings.Contains(w.String(), ">= 45%") {
			t.Errorf("%s\n%s", line, w.String())
		}
	}
}
