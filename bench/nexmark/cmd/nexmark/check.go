package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/thalweg-io/thalweg/bench/nexmark/gen"
	"github.com/thalweg-io/thalweg/bench/nexmark/naive"
	"github.com/thalweg-io/thalweg/bench/nexmark/queries"
	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/internal/worker/local"
)

// compare says whether a query gives what the naive interpreter does.
func (o options) compare(ctx context.Context, q queries.Query) error {
	events, err := gen.InTime(o.config)
	if err != nil {
		return err
	}
	want, err := naive.Answer(q.Name, events)
	if err != nil {
		return err
	}
	c := new(queries.Collector)
	in := queries.Input{Config: o.config, Skip: !o.all}
	g, err := flow.Build("nexmark "+q.Name, o.config.Splits, func(j *flow.Job) error { q.Collect(j, in, c); return nil })
	if err != nil {
		return err
	}
	if err := local.Run(ctx, g, local.Options{Configuration: o.configuration}); err != nil {
		return err
	}
	got := c.Rows()
	if !slices.Equal(got, want) {
		return fmt.Errorf("%d rows, want %d; the first that is only there %q, or missing %q", len(got), len(want), first(got, want), first(want, got))
	}
	fmt.Printf("%-4s  %9d rows of %d events are right\n", q.Name, len(got), o.config.Events)
	return nil
}

// first is the first of rows that is not among others; both are sorted.
func first(rows, others []string) string {
	for len(rows) > 0 {
		switch {
		case len(others) == 0 || rows[0] < others[0]:
			return rows[0]
		case rows[0] == others[0]:
			rows = rows[1:]
		}
		others = others[1:]
	}
	return ""
}
