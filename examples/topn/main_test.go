package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
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

var pathOf = regexp.MustCompile(`^[^\[]*\[([^\]]+)\] "\S+ (\S+)`)

// naive reads the log in another way than the job does, and sorts all paths of each minute.
func naive(t *testing.T, n int) (ranks []string) {
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	minutes := map[int64]map[string]int{}
	for line := range strings.Lines(string(text)) {
		m := pathOf.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("line %q", line)
		}
		at, err := time.Parse("02/Jan/2006:15:04:05 -0700", m[1])
		if err != nil {
			t.Fatal(err)
		}
		minute := at.Unix() / 60 * 60
		if minutes[minute] == nil {
			minutes[minute] = map[string]int{}
		}
		minutes[minute][m[2]]++
	}
	for minute, counts := range minutes {
		paths := slices.Sorted(maps.Keys(counts))
		slices.SortStableFunc(paths, func(a, b string) int { return counts[b] - counts[a] })
		for i, path := range paths[:min(n, len(paths))] {
			ranks = append(ranks, fmt.Sprint(minute, i+1, " ", path, counts[path]))
		}
	}
	slices.Sort(ranks)
	return ranks
}

func read(t *testing.T, dir string) (ranks []string) {
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
			var r Rank
			if err := json.Unmarshal(s.Bytes(), &r); err != nil {
				t.Fatal(err)
			}
			ranks = append(ranks, fmt.Sprint(r.Minute.Unix(), r.Rank, " ", r.Path, r.Requests))
		}
	}
	slices.Sort(ranks)
	return ranks
}

func TestEqualsSortingThemAll(t *testing.T) {
	for parallelism, o := range map[int]options{1: {n: 10}, 2: {n: 1, splits: 5}, 4: {n: 3, splits: 4}} {
		t.Run(fmt.Sprintf("parallelism %d, %d paths", parallelism, o.n), func(t *testing.T) {
			o.input, o.output = log, t.TempDir()
			g, err := flow.Build("topn", parallelism, o.build)
			if err != nil {
				t.Fatal(err)
			}
			if err := local.Run(t.Context(), g, local.Options{}); err != nil {
				t.Fatal(err)
			}
			if got, want := read(t, o.output), naive(t, o.n); !slices.Equal(got, want) {
				t.Errorf("%d ranks, want %d:\n%q\nwant\n%q", len(got), len(want), got, want)
			}
		})
	}
}

// A minute is given when the watermark has passed it, with what is among the first only later, and the same after a failure.
func TestTop(t *testing.T) {
	hour := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for parallelism := 1; parallelism <= 3; parallelism++ {
		h := flowtest.New(t)
		hits, ranks := flowtest.NewSource[Hit](h), flowtest.NewSink[Rank](h)
		h.Start(parallelism, func(j *flow.Job) error {
			flow.To(top(flow.From(j, "hits", hits), 2), "ranks", ranks)
			return nil
		})
		step := func(what string, want ...Rank) {
			t.Helper()
			h.Settle()
			got := ranks.All()
			slices.SortFunc(got, func(a, b Rank) int { return a.Minute.Compare(b.Minute)*10 + a.Rank - b.Rank })
			if !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", what, got, want)
			}
		}
		hits.Push(Hit{hour, "/c"}, Hit{hour, "/b"}, Hit{hour.Add(time.Minute), "/a"}, Hit{hour.Add(59 * time.Second), "/d"})
		s := h.Snapshot()
		hits.Push(Hit{hour.Add(time.Second), "/d"}, Hit{hour.Add(2 * time.Second), "/a"})
		step("before the minute is over")
		hits.Watermark(hour.Add(time.Minute))
		first := []Rank{{hour, 1, "/d", 2}, {hour, 2, "/a", 1}}
		step("behind the first minute", first...)
		h.Restore(s, 4-parallelism)
		step("after a failure", first...)
		h.Finish()
		step("at the end", append(first, Rank{hour.Add(time.Minute), 1, "/a", 1})...)
	}
}
