// Command backpressure has a job be held up by its sink for some minutes on a cluster of real processes, and prints what became of their memory, of the
// checkpoints asked for meanwhile, and of the output. It ends with 1 if something was lost, if a checkpoint neither completed nor was given up in its
// time, or if memory grew.
//
// The trial itself is in bench/backpressure/trial; the job in bench/backpressure/job.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/thalweg-io/thalweg/bench/backpressure/trial"
)

func main() {
	o := trial.Options{Settle: 20 * time.Second, Progress: func(s string) { fmt.Println("#", s) }}
	flag.DurationVar(&o.Lasts, "for", 5*time.Minute, "`time` under backpressure")
	flag.Float64Var(&o.Rate, "rate", 10_000, "`records/s` that the sink takes")
	flag.Int64Var(&o.Extra, "extra", 3_000_000, "`records` left for the end, when the sink hurries")
	flag.DurationVar(&o.Every, "every", 10*time.Second, "`pause` between two checkpoints")
	flag.DurationVar(&o.Timeout, "timeout", 30*time.Second, "`time` that a checkpoint may take")
	flag.StringVar(&o.Dir, "dir", "", "where everything is (default: a temporary `folder`)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ok, err := run(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "backpressure:", err)
	}
	if !ok {
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, o trial.Options) (ok bool, err error) {
	if o.Dir == "" {
		if o.Dir, err = os.MkdirTemp("", "thalweg-bench-"); err != nil {
			return false, err
		}
		defer os.RemoveAll(o.Dir)
	}
	r, err := trial.Run(ctx, o)
	if err != nil {
		return false, err
	}
	const mib = 1 << 20
	fmt.Printf("%-28s %8s %8s %14s %12s\n", "resident memory, MiB", "mean", "max", "MiB a minute", "in all")
	for _, m := range r.Memory {
		fmt.Printf("%-28s %8.1f %8.1f %14.2f %12.1f\n", m.Name, m.Mean/mib, float64(m.Max)/mib, m.Slope*60/mib, m.Grows()/mib)
	}
	longest := time.Duration(0)
	for _, c := range r.Checkpoints {
		longest = max(longest, c.Took)
	}
	fmt.Printf("%d checkpoints asked for, %d completed, the longest took %v of %v\n", len(r.Checkpoints), r.Completed(), longest.Round(time.Millisecond), o.Timeout)
	for _, s := range r.Sources {
		fmt.Printf("a source: %.0f ms of a second held up, %.0f busy, %.0f records/s\n", s.BackpressuredMs, s.BusyMs, s.RecordsOut)
	}
	fmt.Printf("%.0f records/s while held up, %.0f (%.0f times) when not\n", r.Slow, r.Drained, r.Drained/r.Slow)
	fmt.Println("output:", r.Output.String())
	bad := r.Broken()
	for _, m := range r.Growing() {
		bad = append(bad, fmt.Sprintf("the memory of %s grew by %.1f MiB in %v", m.Name, m.Grows()/mib, m.Over.Round(time.Second)))
	}
	for _, b := range bad {
		fmt.Println("FAILED:", b)
	}
	return len(bad) == 0, nil
}
