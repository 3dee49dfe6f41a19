package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/thalweg-io/thalweg/bench/flink/harness"
	"github.com/thalweg-io/thalweg/bench/meter"
)

// throughAll measures a job from its first events to its end.
func (o options) throughAll(ctx context.Context, c *harness.Cluster) (err error) {
	job, err := c.Run(ctx, o.job)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, job.Close()) }()
	if err := job.Flowing(ctx); err != nil {
		return err
	}
	var s meter.Span
	if s.From, err = job.Sample(); err != nil {
		return err
	}
	if err := job.Wait(ctx); err != nil {
		return err
	}
	if s.To, err = job.Sample(); err != nil {
		return err
	}
	o.print(s)
	return nil
}

// result runs a job to its end and gives its result in the form of package naive.
func (o options) result(ctx context.Context, c *harness.Cluster) (rows []string, err error) {
	job, err := c.Run(ctx, o.job)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, job.Close()) }()
	if err := job.Wait(ctx); err != nil {
		return nil, err
	}
	rows, err = job.Result()
	if err != nil || o.job.Query != "q12" {
		return rows, err
	}
	return sumPerBidder(rows)
}

// sumPerBidder brings q12's rows, bidder|bids|start|end, into the form that two runs can share: bidder|bids over all windows.
func sumPerBidder(rows []string) ([]string, error) {
	sums := map[string]int64{}
	for _, row := range rows {
		fields := strings.Split(row, "|")
		if len(fields) != 4 {
			return nil, fmt.Errorf("q12: row %q does not have the form bidder|bids|start|end", row)
		}
		bids, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("q12: row %q: %w", row, err)
		}
		sums[fields[0]] += bids
	}
	rows = rows[:0]
	for bidder, bids := range sums {
		rows = append(rows, fmt.Sprintf("%s|%d", bidder, bids))
	}
	slices.Sort(rows)
	return rows, nil
}

// keepResult writes the result to a file that is named after the query.
func (o options) keepResult(ctx context.Context, c *harness.Cluster) error {
	rows, err := o.result(ctx, c)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.results, 0o755); err != nil {
		return err
	}
	var text strings.Builder
	for _, row := range rows {
		text.WriteString(row + "\n")
	}
	if err := os.WriteFile(filepath.Join(o.results, o.job.Query), []byte(text.String()), 0o644); err != nil {
		return err
	}
	fmt.Printf("%s %s %d rows\n", o.job.Query, o.settings.Backend, len(rows))
	return nil
}
