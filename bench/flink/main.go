// Command flink runs a query on Apache Flink and says how many events it processes per core-second. It prints one line per measurement:
//
//	query backend events core-seconds events/core-second
//
//	go run ./bench/flink -q q5 -seconds 20 -warmup 60          # events and processor time between two moments, after a warm-up
//	go run ./bench/flink -q q5 -events 1000000                 # from the first event to the end of the job
//	go run ./bench/flink -q q5 -events 1000000 -results FOLDER # the final rows in FOLDER/q5, sorted, one a line; nothing is measured
//	go run ./bench/flink -q all -events 1000000 -check         # are the final rows those of bench/nexmark/naive?
//	go run ./bench/flink -q q5 -rounds 3 -between COMMAND      # COMMAND runs between two measurements, while Flink rests
//
// Queries may be a list, q0,q5, or all. Those in SQL are q0 to q5, q7 to q9, q11 to q22; with -api datastream they are q1, q2, q5, q8,
// and keyedcount, which is the count of -keys keys. With it there are also source, which is the generator with nothing behind it, as SQL reads
// it, and source-events, as the DataStream queries do: of all events, or of the kinds that a query reads, source/q3. That of the keyed count is
// source-keys.
//
// It owns its flags and what is measured when; everything about Flink is in harness.
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

	"github.com/thalweg-io/thalweg/bench/flink/harness"
	"github.com/thalweg-io/thalweg/bench/meter"
)

// The processes of the cluster end with the thread that started them: the main thread, which ends with this program.
func init() { runtime.LockOSThread() }

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

func (o options) run(ctx context.Context) (err error) {
	dir := o.dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "thalweg-flink-"); err != nil {
			return err
		}
		defer func() {
			if err != nil && ctx.Err() == nil {
				err = fmt.Errorf("%w; the logs are in %s", err, dir)
				return
			}
			err = errors.Join(err, os.RemoveAll(dir))
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
	var differs error // all queries are compared before it ends
	for _, query := range o.queries {
		o.job.Query = query
		if err := o.runQuery(ctx, cluster); errors.Is(err, errDiffers) {
			differs = err
		} else if err != nil {
			return fmt.Errorf("%s: %w", query, err)
		}
	}
	return differs
}

func (o options) runQuery(ctx context.Context, cluster *harness.Cluster) error {
	switch {
	case o.check:
		return o.checkResult(ctx, cluster)
	case o.job.Results:
		return o.keepResult(ctx, cluster)
	case o.job.Events > 0:
		return o.repeat(ctx, func() error { return o.throughAll(ctx, cluster) })
	}
	if o.warmup > 0 {
		if _, err := cluster.Window(ctx, o.job, meter.Timing{Length: o.warmup}); err != nil {
			return fmt.Errorf("warm-up: %w", err)
		}
	}
	return o.repeat(ctx, func() error {
		w, err := cluster.Window(ctx, o.job, meter.Timing{Settle: o.settle, Length: o.seconds})
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

func (o options) print(s meter.Span) {
	fmt.Printf("%s %s %d %.2f %.0f\n", o.job.Query, o.settings.Backend, s.Events(), s.Core().Seconds(), s.PerCore())
}
