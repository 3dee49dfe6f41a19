package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/thalweg-io/thalweg/bench/flink/harness"
	"github.com/thalweg-io/thalweg/bench/nexmark/gen"
	"github.com/thalweg-io/thalweg/bench/nexmark/naive"
)

// errDiffers says that a result is not the one of package naive. What differs has been printed.
var errDiffers = errors.New("results differ from those of the naive interpreter")

// shownDifferences is how many rows of each kind are printed of a result that differs.
const shownDifferences = 3

// checkResult compares Flink's result with that of the naive interpreter on the same events.
func (o options) checkResult(ctx context.Context, c *harness.Cluster) error {
	got, err := o.result(ctx, c)
	if err != nil {
		return err
	}
	events, err := gen.InTime(gen.Config{Seed: uint64(o.job.Seed), Rate: o.job.Rate, Splits: o.job.Parallelism, Events: o.job.Events})
	if err != nil {
		return err
	}
	want, err := naive.Answer(o.job.Query, events)
	if err != nil {
		return err
	}
	more, fewer := difference(got, want)
	if len(more)+len(fewer) == 0 {
		fmt.Printf("%s %s %d rows equal\n", o.job.Query, o.settings.Backend, len(got))
		return nil
	}
	fmt.Printf("%s %s %d rows of %d DIFFER\n", o.job.Query, o.settings.Backend, max(len(more), len(fewer)), len(want))
	for _, row := range more[:min(len(more), shownDifferences)] {
		fmt.Println("  only Flink:", row)
	}
	for _, row := range fewer[:min(len(fewer), shownDifferences)] {
		fmt.Println("  only naive:", row)
	}
	return errDiffers
}

// difference gives the rows that only one of two sorted bags has.
func difference(got, want []string) (onlyGot, onlyWanted []string) {
	for len(got) > 0 && len(want) > 0 {
		switch {
		case got[0] < want[0]:
			onlyGot, got = append(onlyGot, got[0]), got[1:]
		case got[0] > want[0]:
			onlyWanted, want = append(onlyWanted, want[0]), want[1:]
		default:
			got, want = got[1:], want[1:]
		}
	}
	return slices.Concat(onlyGot, got), slices.Concat(onlyWanted, want)
}
