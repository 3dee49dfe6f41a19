package side_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/thalweg-io/thalweg/bench/flink/side"
	"github.com/thalweg-io/thalweg/bench/meter"
)

// The test's binary is the side's processes, too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "thalweg" {
		if err := side.Serve(os.Args[2:], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func command(t *testing.T) []string {
	t.Helper()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{own, "thalweg"}
}

func TestJobsAreMeasured(t *testing.T) {
	for _, j := range []side.Job{
		{Query: "q5", Seed: 42, Rate: 10_000, Parallelism: 1},
		{Query: "source/q3", Seed: 42, Rate: 10_000, Parallelism: 2},
		{Query: "keyedcount", Keys: 1000},
		{Query: "keyedcount", Keys: 1000, Exchange: true},
		{Query: "source-keys", Keys: 1000},
	} {
		s, err := side.Window(t.Context(), command(t), j, meter.Timing{Fill: 1000, FillWithin: time.Minute, Length: 200 * time.Millisecond})
		if err != nil {
			t.Errorf("%+v: %v", j, err)
			continue
		}
		if s.From.Events < 1000 || s.Events() <= 0 {
			t.Errorf("%+v: from event %d, %d events", j, s.From.Events, s.Events())
		}
		if wall := s.To.At.Sub(s.From.At); s.Core() > time.Duration(runtime.NumCPU()+1)*wall {
			t.Errorf("%+v: %v of processor time in %v", j, s.Core(), wall)
		}
	}
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	for want, j := range map[string]side.Job{
		`"q99"`:         {Query: "q99", Rate: 1, Parallelism: 1},
		"rate of 0":     {Query: "q5", Parallelism: 1},
		"at least one":  {Query: "keyedcount"},
		"two processes": {Query: "q5", Exchange: true},
	} {
		if _, err := side.Start(command(t), j); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want one with %s", j, err, want)
		}
	}
	// A process that is no side ends without an answer.
	if _, err := side.Start([]string{command(t)[0], "-no-such-flag"}, side.Job{Query: "keyedcount", Keys: 1}); err == nil || !strings.Contains(err.Error(), "no-such-flag") {
		t.Errorf("error %v, want what the process has written", err)
	}
}
