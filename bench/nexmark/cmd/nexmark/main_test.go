package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/bench/nexmark/queries"
)

func TestWhatIsWrongIsSaid(t *testing.T) {
	for args, want := range map[string]string{
		"-q q99":                      `no job for a query "q99"`,
		"-q q1 extra":                 `unexpected argument "extra"`,
		"-seconds 0":                  "-seconds 0",
		"-pretouch -1":                "-pretouch -1",
		"-rate 0":                     "rate of 0",
		"-cpuprofile f":               "-cpuprofile",
		"-q q1 -check -cpuprofile f":  "-cpuprofile",
		"-q q1 -source -cpuprofile f": "-cpuprofile",
	} {
		if _, err := parse(strings.Fields(args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", args, err, want)
		}
	}
}

func TestQueriesAreCompared(t *testing.T) {
	o, err := parse(strings.Fields("-check -q q2,q17 -n 5000 -parallelism 2 -all-events=false -checkpoint 50ms"))
	if err != nil {
		t.Fatal(err)
	}
	if err := o.run(); err != nil {
		t.Error(err)
	}
	// A query that gives something else is told of.
	wrong := queries.Query{Name: "q1", Collect: o.queries[0].Collect}
	if err := o.compare(t.Context(), wrong); err == nil || !strings.Contains(err.Error(), "the first that is only there") {
		t.Errorf("the rows of q2 as those of q1: error %v", err)
	}
}

func TestFirstOfADifference(t *testing.T) {
	for _, tc := range []struct{ rows, others, want string }{
		{"a b", "a b", ""}, {"a b", "b", "a"}, {"b", "a b", ""}, {"a a", "a", "a"}, {"c", "a b", "c"}, {"", "a", ""},
	} {
		if got := first(strings.Fields(tc.rows), strings.Fields(tc.others)); got != tc.want {
			t.Errorf("of %q among %q: %q, want %q", tc.rows, tc.others, got, tc.want)
		}
	}
}

func TestAQueryIsMeasured(t *testing.T) {
	o, err := parse([]string{"-q", "q12", "-seconds", "0.05", "-settle", "10ms", "-pretouch", "16", "-cpuprofile", filepath.Join(t.TempDir(), "profile")})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- o.run() }()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("a job without end has not been ended")
	}
	if f, err := os.Stat(o.profile); err != nil || f.Size() == 0 {
		t.Errorf("the profile: %v, error %v", f, err)
	}
}

func TestAQueryIsMeasuredBesideItsSource(t *testing.T) {
	o, err := parse([]string{"-q", "q5", "-seconds", "0.05", "-settle", "10ms", "-pretouch", "16", "-source", "-all-events=false"})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.run(); err != nil {
		t.Fatal(err)
	}
	ns, err := o.measure(t.Context(), o.queries[0])
	if err != nil || ns <= 0 {
		t.Errorf("%v ns an event, error %v", ns, err)
	}
}
