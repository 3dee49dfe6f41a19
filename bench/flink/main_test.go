package main

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/thalweg-io/thalweg/bench/flink/harness"
	"github.com/thalweg-io/thalweg/bench/meter"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParse(t *testing.T) {
	o, err := parse(strings.Fields("-q q5,q8 -backend rocksdb -seconds 2.5 -warmup 0 -exchange -parallelism 2"))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(o.queries, []string{"q5", "q8"}) || o.settings.Backend != "rocksdb" || o.seconds != 2500*time.Millisecond || o.warmup != 0 {
		t.Errorf("got %+v", o)
	}
	if o.settings.TaskManagers != 2 || o.settings.Slots != 2 {
		t.Errorf("an exchange with parallelism 2 has %d taskmanagers of %d slots, want 2 of 2", o.settings.TaskManagers, o.settings.Slots)
	}
	if _, err = parse(strings.Fields("-q source/q3,source-events/q5,source-keys -api datastream")); err != nil {
		t.Errorf("sources of queries: %v", err)
	}
	if o, err = parse(strings.Fields("-q all -api datastream")); err != nil || !slices.Equal(o.queries, all["datastream"]) {
		t.Errorf("all of the DataStream API are %v, %v", o.queries, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for args, want := range map[string]string{
		"-check":                       "-events",
		"-results r":                   "-events",
		"-api table":                   `"table"`,
		"-backend memory":              `"memory"`,
		"-parallelism 0":               "-parallelism 0",
		"-rounds 0":                    "-rounds 0",
		"-seconds -1":                  "-seconds",
		"-events -1":                   "-events -1",
		"-rate 0":                      "-rate 0",
		"q5":                           `"q5"`,
		"-q keyedcount,q5":             "keyedcount",
		"-q source/q3":                 "source/q3",
		"-q source/q6 -api datastream": "source/q6",
	} {
		if _, err := parse(strings.Fields(args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %s", args, err, want)
		}
	}
}

func TestSumPerBidder(t *testing.T) {
	got, err := sumPerBidder([]string{"7|2|0|10000", "12|1|0|10000", "7|3|10000|20000"})
	if want := []string{"12|1", "7|5"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	for _, row := range []string{"7|2", "7|two|0|10000"} {
		if got, err := sumPerBidder([]string{row}); err == nil {
			t.Errorf("row %q gave %q, want an error", row, got)
		}
	}
}

func TestDifference(t *testing.T) {
	more, fewer := difference([]string{"a", "b", "b", "d"}, []string{"b", "c", "d", "e"})
	if !slices.Equal(more, []string{"a", "b"}) || !slices.Equal(fewer, []string{"c", "e"}) {
		t.Errorf("only in the first %q, only in the second %q", more, fewer)
	}
}

// run is o.run on a thread of its own, with which the processes end.
func run(ctx context.Context, o options) error {
	ended := make(chan error)
	go func() {
		runtime.LockOSThread()
		ended <- o.run(ctx)
	}()
	return <-ended
}

func TestFlinkAnswersAsTheNaiveInterpreter(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Flink")
	}
	for _, args := range []string{"-q q3,q4,q5 -events 20000", "-q q8 -api datastream -backend rocksdb -parallelism 2 -events 20000"} {
		o, err := parse(append(strings.Fields(args), "-check", "-dir", t.TempDir()))
		if err != nil {
			t.Fatal(err)
		}
		if err := run(t.Context(), o); err != nil {
			t.Errorf("%s: %v", args, err)
		}
	}
}

func TestFlinkSaysWhatIsWrong(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Flink")
	}
	o, err := parse(append(strings.Fields("-q keyedcount -api datastream -parallelism 2 -seconds 1 -warmup 0"), "-dir", t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), o); !errors.Is(err, harness.ErrFailed) || !strings.Contains(err.Error(), "one subtask") {
		t.Errorf("a keyed count with two subtasks per operator: error %v, want what the Java side says about it", err)
	}
}

func TestFlinkIsMeasured(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Flink")
	}
	o, err := parse(strings.Fields("-q keyedcount -api datastream -keys 1000 -exchange"))
	if err != nil {
		t.Fatal(err)
	}
	o.job.Query = o.queries[0]
	done := make(chan error)
	var s meter.Span
	go func() {
		runtime.LockOSThread()
		c, err := harness.Start(t.Context(), o.settings, t.TempDir())
		if err == nil {
			s, err = c.Window(t.Context(), o.job, meter.Timing{Length: time.Second})
			err = errors.Join(err, c.Close())
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	// The source and the count are busy in a process each, for a second; more than the machine has cannot be used.
	wall, used := s.To.At.Sub(s.From.At), s.Core()
	if wall < time.Second || used <= 0 || used > time.Duration(runtime.NumCPU()+1)*wall {
		t.Errorf("%v of processor time in %v on %d processors", used, wall, runtime.NumCPU())
	}
	if s.Events() <= 0 {
		t.Errorf("the source is at event %d, and then at %d", s.From.Events, s.To.Events)
	}
}
