package queries_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/thalweg-io/thalweg/bench/nexmark/gen"
	"github.com/thalweg-io/thalweg/bench/nexmark/naive"
	"github.com/thalweg-io/thalweg/bench/nexmark/queries"
	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/internal/worker/local"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// configs have windows that close before the end of the input, in one timeline and in four.
var configs = []gen.Config{
	{Seed: 42, Rate: 500, Splits: 1, Events: 20_000},
	{Seed: 43, Rate: 500, Splits: 4, Events: 20_000},
}

// Each query gives what the naive interpreter does.
func TestQueriesAreRight(t *testing.T) {
	for _, c := range configs {
		for _, q := range queries.All {
			for _, skip := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/splits=%d/skip=%v", q.Name, c.Splits, skip), func(t *testing.T) {
					t.Parallel()
					want, err := answer(q.Name, c)
					if err != nil {
						t.Fatal(err)
					}
					got := collect(t, q, queries.Input{Config: c, Skip: skip})
					if !slices.Equal(got, want) {
						t.Error(difference(got, want))
					}
				})
			}
		}
	}
}

// answers keeps what the interpreter gave: it is asked twice.
var answers sync.Map

func answer(query string, c gen.Config) ([]string, error) {
	type question struct {
		query string
		gen.Config
	}
	if rows, found := answers.Load(question{query, c}); found {
		return rows.([]string), nil
	}
	events, err := gen.InTime(c)
	if err != nil {
		return nil, err
	}
	rows, err := naive.Answer(query, events)
	if err == nil {
		answers.Store(question{query, c}, rows)
	}
	return rows, err
}

func collect(t *testing.T, q queries.Query, in queries.Input) []string {
	t.Helper()
	c := new(queries.Collector)
	g, err := flow.Build(q.Name, in.Config.Splits, func(j *flow.Job) error { q.Collect(j, in, c); return nil })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := local.Run(ctx, g, local.Options{}); err != nil {
		t.Fatal(err)
	}
	return c.Rows()
}

// difference shows the first rows that only one side has.
func difference(got, want []string) string {
	const most = 5
	only := func(a, b []string) (rows []string) {
		left := map[string]int{}
		for _, r := range b {
			left[r]++
		}
		for _, r := range a {
			if left[r]--; left[r] < 0 && len(rows) < most {
				rows = append(rows, r)
			}
		}
		return rows
	}
	return fmt.Sprintf("%d rows, want %d\nunexpected: %q\nmissing: %q", len(got), len(want), only(got, want), only(want, got))
}
