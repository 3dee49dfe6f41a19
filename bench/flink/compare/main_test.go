package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/thalweg-io/thalweg/bench/flink/side"
)

// The test's binary is the processes of Thalweg's side, too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == asSide {
		if err := side.Serve(os.Args[2:], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func TestParse(t *testing.T) {
	o, err := parse(strings.Fields("-q q5,keyedcount,datastream-q8 -warmup 20s -runs 2 -run 10s"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range o.cases {
		names = append(names, c.name)
	}
	if got := strings.Join(names, " "); got != "q5 datastream-q8 keyedcount-1M keyedcount-8M keyedcount-1M-exchange keyedcount-8M-exchange" {
		t.Errorf("cases %s", got)
	}
	if s := o.schedule; s.Warmup != 20*time.Second || s.Runs != 2 || s.Run != 10*time.Second {
		t.Errorf("schedule %+v", s)
	}
	if o, err := parse(nil); err != nil || len(o.cases) != len(contests) || o.schedule.Runs != 3 || o.schedule.Run != 20*time.Second || o.schedule.Warmup != time.Minute {
		t.Errorf("without flags %d cases of %d, %+v, error %v", len(o.cases), len(contests), o.schedule, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for args, want := range map[string]string{
		"-q q6": `"q6"`, "q5": `"q5"`, "-runs 0": "-runs 0", "-run 0s": "-run 0s", "-warmup -1s": "-warmup -1s", "-settle -1s": "-settle -1s", "-rate 0": "-rate 0",
	} {
		if _, err := parse(strings.Fields(args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %s", args, err, want)
		}
	}
}

func TestBothSidesKnowEveryCase(t *testing.T) {
	s := Schedule{Rate: 1}
	for _, c := range contests {
		for _, j := range []side.Job{c.thalweg(s), c.thalwegSource(s)} {
			if err := j.Check(); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
}

// every is n runs of events per core-second.
func every(perCore ...int64) (runs []Run) {
	for _, n := range perCore {
		runs = append(runs, Run{Events: 2 * n, Core: 2 * time.Second, Elapsed: time.Second})
	}
	return runs
}

func measured(name string) Record {
	return Record{Case: name, API: "sql", At: time.Unix(0, 0).UTC(), Schedule: Schedule{Runs: 3, Run: time.Second}, HashMap: every(3e5, 1e5, 2e5), RocksDB: every(1e5),
		Thalweg: every(9e6, 1e7, 8e6), FlinkSource: every(5e6)[0], ThalwegSource: every(1.1e7)[0]}
}

func TestRatioIsToTheBetterBackend(t *testing.T) {
	r := measured("q5")
	if r.Ratio() != 45 {
		t.Errorf("9 M to 0.2 M events: %v times", r.Ratio())
	}
	r.RocksDB = every(3e5)
	if r.Ratio() != 30 {
		t.Errorf("9 M to 0.3 M events: %v times", r.Ratio())
	}
	// 9 M events beside 11 M of the source alone: 1.22 times the cost.
	if thalweg, flink := r.SourceBound(); !thalweg || flink {
		t.Errorf("source-bound: Thalweg %v, Flink %v; want it of Thalweg alone", thalweg, flink)
	}
	r.ThalwegSource = every(11_700_001)[0]
	if thalweg, _ := r.SourceBound(); thalweg {
		t.Error("more than 1.3 times the source's cost, and source-bound")
	}
}

// What has been measured is not measured again, but shown: here nothing is started.
func TestGoesOnWithWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"q5", "q7"} {
		if err := measured(name).write(dir); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	if err := run(t.Context(), []string{"-results", dir, "-q", "q5,q7"}, &out); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "has been measured at 1970-01-01"); n != 2 {
		t.Errorf("want two cases that are not measured again:\n%s", out.String())
	}
	out.Reset()
	if err := run(t.Context(), []string{"-results", dir, "-table"}, &out); err != nil {
		t.Fatal(err)
	}
	for _, row := range []string{"| q5 | 0.2 | 0.1 | 5 | 9 | 11 | 45.0 | Thalweg |\n", "| q7 |", "3 runs of 1s", "1.3 times"} {
		if !strings.Contains(out.String(), row) {
			t.Errorf("no %q in\n%s", row, out.String())
		}
	}
	if content, err := os.ReadFile(file(dir, "q5")); err != nil || strings.Count(string(content), "\n") != 1 {
		t.Errorf("want one line, have %q, error %v", content, err)
	}
}

func TestBadFilesAreTold(t *testing.T) {
	dir := t.TempDir()
	if err := run(t.Context(), []string{"-results", dir, "-table"}, new(strings.Builder)); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("an empty folder: error %v", err)
	}
	if err := os.WriteFile(file(dir, "q5"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), []string{"-results", dir, "-q", "q5"}, new(strings.Builder)); err == nil || !strings.Contains(err.Error(), "remove the file") {
		t.Errorf("half a file: error %v", err)
	}
	if err := measured("q7").write(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file(dir, "q7"), file(dir, "q5")); err != nil {
		t.Fatal(err)
	}
	if _, err := read(dir, "q5"); err == nil || !strings.Contains(err.Error(), `"q7"`) {
		t.Errorf("the file of another case: error %v", err)
	}
}

func TestACaseIsMeasured(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Flink")
	}
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o, err := parse(strings.Fields("-dry-run -q datastream-q1"))
	if err != nil {
		t.Fatal(err)
	}
	var r Record
	var out strings.Builder
	done := make(chan error)
	go func() { // a thread of its own, with which Flink's processes end
		runtime.LockOSThread()
		var err error
		r, err = o.schedule.measure(context.WithoutCancel(t.Context()), []string{own, asSide}, o.cases[0], &out)
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for what, runs := range map[string][]Run{"hashmap": r.HashMap, "rocksdb": r.RocksDB, "thalweg": r.Thalweg, "sources": {r.FlinkSource, r.ThalwegSource}} {
		if len(runs) == 0 || median(runs) <= 0 {
			t.Errorf("%s: %+v", what, runs)
		}
	}
	if r.Ratio() <= 0 {
		t.Errorf("ratio %v", r.Ratio())
	}
}
