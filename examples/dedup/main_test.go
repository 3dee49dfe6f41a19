package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/flow/flowtest"
	"github.com/thalweg-io/thalweg/internal/worker/local"
)

const log = "../accesslog/access.log"

var clientAndPath = regexp.MustCompile(`^(\S+) [^\[]*\[([^\]]+)\] "\S+ (\S+)`)

// naive reads the log in another way than the job does, and goes through all requests in the order of time.
func naive(t *testing.T, within time.Duration) (visits []Visit) {
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	var all []Visit
	for line := range strings.Lines(string(text)) {
		m := clientAndPath.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("line %q", line)
		}
		at, err := time.Parse("02/Jan/2006:15:04:05 -0700", m[2])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, Visit{at.UTC(), m[1], m[3]})
	}
	sort(all)
	last := map[string]time.Time{}
	for _, v := range all {
		if at, some := last[v.Client+" "+v.Path]; !some || v.Time.Sub(at) >= within {
			last[v.Client+" "+v.Path] = v.Time
			visits = append(visits, v)
		}
	}
	return visits
}

func sort(visits []Visit) {
	slices.SortFunc(visits, func(a, b Visit) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Client, b.Client), cmp.Compare(a.Path, b.Path))
	})
}

func read(t *testing.T, dir string) (visits []Visit) {
	names, err := filepath.Glob(filepath.Join(dir, "part-*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			var v Visit
			if err := json.Unmarshal(s.Bytes(), &v); err != nil {
				t.Fatal(err)
			}
			visits = append(visits, v)
		}
	}
	sort(visits)
	return visits
}

func TestEqualsGoingThroughAll(t *testing.T) {
	for parallelism, o := range map[int]options{1: {within: 30 * time.Minute}, 2: {within: time.Minute, splits: 5}, 4: {within: 24 * time.Hour, splits: 4}} {
		t.Run(fmt.Sprintf("parallelism %d, within %v", parallelism, o.within), func(t *testing.T) {
			o.input, o.output = log, t.TempDir()
			g, err := flow.Build("dedup", parallelism, o.build)
			if err != nil {
				t.Fatal(err)
			}
			if err := local.Run(t.Context(), g, local.Options{}); err != nil {
				t.Fatal(err)
			}
			got, want := read(t, o.output), naive(t, o.within)
			if !slices.Equal(got, want) {
				t.Errorf("%d visits, want %d", len(got), len(want))
			}
			if len(want) < 1000 || len(want) > 9900 {
				t.Errorf("%d visits of 10000 requests: the log shows nothing", len(want))
			}
		})
	}
}

// The first by event time counts, whichever was read first; a visit may follow exactly the time after it, and the same after a failure.
func TestVisits(t *testing.T) {
	noon := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	of := func(client string, seconds int) Visit {
		return Visit{noon.Add(time.Duration(seconds) * time.Second), client, "/"}
	}
	for parallelism := 1; parallelism <= 3; parallelism++ {
		h := flowtest.New(t)
		requests, got := flowtest.NewSource[Visit](h), flowtest.NewSink[Visit](h)
		h.Start(parallelism, func(j *flow.Job) error {
			flow.To(visits(flow.From(j, "requests", requests), time.Minute), "visits", got)
			return nil
		})
		step := func(what string, want ...Visit) {
			t.Helper()
			h.Settle()
			all := got.All()
			sort(all)
			if sort(want); !slices.Equal(all, want) {
				t.Errorf("%s: %v, want %v", what, all, want)
			}
		}
		requests.Push(of("a", 30), of("a", 10), of("b", 40), of("a", 10))
		step("before a watermark")
		requests.Watermark(noon.Add(35 * time.Second))
		step("the earlier one of a", of("a", 10))
		s := h.Snapshot()
		requests.Push(of("a", 69), of("b", 99), of("b", 100))
		requests.Watermark(noon.Add(100 * time.Second))
		step("one just too early, and one just not", of("a", 10), of("b", 40), of("b", 100))
		h.Restore(s, 4-parallelism)
		step("after a failure", of("a", 10), of("b", 40), of("b", 100))
		requests.Push(of("a", 129), of("b", 159), of("b", 161))
		h.Finish()
		step("at the end", of("a", 10), of("a", 129), of("b", 40), of("b", 100), of("b", 161))
	}
}
