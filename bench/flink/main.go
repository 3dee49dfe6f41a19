// Command flink runs a query on Apache Flink and says how many events it processes per core-second. It prints one line per measurement:
//
//	query backend events core-seconds events/core-second
//
//	go run ./bench/flink -q q5 -seconds 20 -warmup 60          # events and processor time between two moments, after a warm-up
//	go run ./bench/flink -q q5 -events 1000000                 # from the first event to the end of the job
//	go run ./bench/flink -q q5 -events 1000000 -results FILE   # the final rows, sorted, one a line; nothing is measured
//	go run ./bench/flink -q q5 -rounds 3 -between COMMAND      # COMMAND runs between two measurements, while Flink rests
//
// It owns its flags and what is measured when; everything about Flink is in harness. Queries in SQL are q0 to q5, q7 to q9, q11 to q20 and
// q22; with -api datastream q1, q2, q5, q8, and keyedcount, which is the count of -keys keys. With it there are also source, which is the
// generator with nothing behind it, as SQL reads it, and source-events, as the DataStream queries do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/thalweg-io/thalweg/bench/flink/harness"
)

// The processes of the cluster end with the thread that started them: the main thread, which ends with this program.
func init() { runtime.LockOSThread() }

// options are the flags.
type options struct {
	settings        harness.Settings
	job             harness.Job
	seconds, warmup time.Duration
	settle          time.Duration
	rounds          int
	between         string
	results, dir    string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parse(os.Args[1:])
	if err == nil {
		err = o.run(ctx)
	}
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "flink:", strings.TrimPrefix(err.Error(), "flink: "))
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	o := options{settings: harness.Defaults()}
	f := flag.NewFlagSet("flink", flag.ContinueOnError)
	f.StringVar(&o.job.Query, "q", "q0", "the `query`")
	f.StringVar(&o.job.API, "api", "sql", "sql or datastream")
	f.StringVar(&o.settings.Backend, "backend", o.settings.Backend, "where state is: hashmap or rocksdb")
	f.Int64Var(&o.job.Events, "events", 0, "how many events there are in all; 0: measure for -seconds")
	f.Int64Var(&o.job.Seed, "seed", 42, "of the generator")
	f.Int64Var(&o.job.Rate, "rate", 10_000, "events per second of event time")
	f.Int64Var(&o.job.Keys, "keys", 1<<20, "of the keyed count")
	f.BoolVar(&o.job.Exchange, "exchange", false, "let the keyed count be on another TaskManager than its source")
	f.IntVar(&o.job.Parallelism, "parallelism", 1, "subtasks of every operator, and slots")
	f.BoolVar(&o.job.MiniBatch, "minibatch", true, "mini-batches and split distinct aggregates, as published")
	f.DurationVar(&o.job.Checkpoint, "checkpoint", 0, "interval of checkpoints; 0 for none")
	f.IntVar(&o.settings.HeapMiB, "heap", o.settings.HeapMiB, "MiB of a TaskManager's heap")
	f.IntVar(&o.settings.ManagedMiB, "managed", o.settings.ManagedMiB, "MiB of a TaskManager's managed memory: RocksDB, windows")
	f.StringVar(&o.settings.GC, "gc", o.settings.GC, "garbage collector: G1, Parallel, ...")
	seconds := f.Float64("seconds", 20, "how long is measured")
	warmup := f.Float64("warmup", 60, "how long is not measured, once, in a job of its own, before the first measurement; 0: none")
	settle := f.Float64("settle", 5, "how long a job runs before it is measured")
	f.IntVar(&o.rounds, "rounds", 1, "how many measurements")
	f.StringVar(&o.between, "between", "", "`command` that runs after each measurement")
	f.StringVar(&o.results, "results", "", "write the final rows to this `file`; needs -events")
	f.StringVar(&o.dir, "dir", "", "keep logs in this `folder`; else they are deleted unless there is an error")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q; all is said by flags", f.Arg(0))
	}
	o.seconds, o.warmup, o.settle = duration(*seconds), duration(*warmup), duration(*settle)
	o.settings.Slots = o.job.Parallelism
	if o.job.Exchange {
		o.settings.TaskManagers = 2
	}
	if o.job.Results = o.results != ""; o.job.Results && o.job.Events == 0 {
		return o, errors.New("-results needs -events: only an input that ends has a final result")
	}
	return o, nil
}

func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

func (o options) run(ctx context.Context) (err error) {
	dir := o.dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "thalweg-flink-"); err != nil {
			return err
		}
		defer func() {
			if err == nil {
				err = os.RemoveAll(dir)
			}
		}()
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	cluster, err := harness.Start(ctx, o.settings, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()
	switch {
	case o.job.Results:
		return o.keepResult(ctx, cluster)
	case o.job.Events > 0:
		return o.repeat(ctx, func() error { return o.throughAll(ctx, cluster) })
	}
	if o.warmup > 0 {
		if _, err := window(ctx, cluster, o.job, 0, o.warmup); err != nil {
			return fmt.Errorf("warm-up: %w", err)
		}
	}
	return o.repeat(ctx, func() error {
		w, err := window(ctx, cluster, o.job, o.settle, o.seconds)
		if err == nil {
			o.print(w)
		}
		return err
	})
}

// repeat measures so many rounds with the command in between.
func (o options) repeat(ctx context.Context, measure func() error) error {
	for range o.rounds {
		if err := measure(); err != nil {
			return err
		}
		if o.between == "" {
			continue
		}
		cmd := exec.CommandContext(ctx, "sh", "-c", o.between)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("between two measurements: %s: %w", o.between, err)
		}
	}
	return nil
}

func (o options) print(w span) {
	core := w.to.Processor - w.from.Processor
	events := w.to.Emitted - w.from.Emitted
	fmt.Printf("%s %s %d %.2f %.0f\n", o.job.Query, o.settings.Backend, events, core.Seconds(), float64(events)/core.Seconds())
}
