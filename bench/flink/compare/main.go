// Command compare measures the engine beside Apache Flink, on this machine and in one run: a case after the other, each alone.
//
//	go run ./bench/flink/compare -q q5                          # a Nexmark query in SQL
//	go run ./bench/flink/compare -q all                         # all cases: sql, datastream and keyedcount
//	go run ./bench/flink/compare -q sql -warmup 20s -runs 2 -run 10s
//	go run ./bench/flink/compare -table                         # Markdown of all that has been measured
//
// Of a case, Flink with its state on the heap is warmed up, and then both sides run in turn, each time as a new job; after that the source alone of
// each, and Flink with RocksDB, warmed up again. A case is written to a file when it is through. One whose file is there is not measured again,
// so that what was interrupted goes on, unless -again says so.
//
// It owns the schedule, the files and the table. The sides are in harness (Flink) and side (Thalweg); neither is judged here.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/thalweg-io/thalweg/bench/flink/side"
)

// asSide is the first argument of this program as a process of Thalweg's side.
const asSide = "thalweg"

// The processes of Flink end with the thread that started them: the main thread, which ends with this program.
func init() { runtime.LockOSThread() }

func main() {
	var err error
	if len(os.Args) > 1 && os.Args[1] == asSide {
		err = side.Serve(os.Args[2:], os.Stdin, os.Stdout)
	} else {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		err = run(ctx, os.Args[1:], os.Stdout)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	cases        []contest
	schedule     Schedule
	results      string
	again, table bool
	dry          bool
}

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("compare", flag.ContinueOnError)
	names := f.String("q", "all", "the `cases`, with commas between them: q5, datastream-q5, keyedcount-1M, ...; or all, sql, datastream, keyedcount")
	f.StringVar(&o.results, "results", filepath.Join("bench", "flink", "results"), "the `folder` of what has been measured")
	f.BoolVar(&o.again, "again", false, "measure cases that have been measured, too")
	f.BoolVar(&o.table, "table", false, "measure nothing: print a table of what has been measured")
	f.BoolVar(&o.dry, "dry-run", false, "go through everything in moments, and keep nothing: the figures are worth nothing")
	s := &o.schedule
	f.DurationVar(&s.Warmup, "warmup", time.Minute, "how long Flink runs, once per case and backend, before it is measured")
	f.IntVar(&s.Runs, "runs", 3, "how often both run in turn; of its runs the median counts")
	f.DurationVar(&s.Run, "run", 20*time.Second, "how long a run is measured")
	f.DurationVar(&s.Settle, "settle", 5*time.Second, "how long a job runs before that, every time")
	f.DurationVar(&s.Fill, "fill", 3*time.Minute, "how long a keyed count may take, at most, until four times its keys have been counted")
	f.Int64Var(&s.Rate, "rate", 10_000, "`events` per second of event time")
	f.Int64Var(&s.Seed, "seed", 42, "of the generator")
	f.BoolVar(&s.Pretouch, "pretouch", true, "touch the memory of both sides before they are measured")
	f.BoolVar(&s.RocksDB, "rocksdb", true, "run Flink with RocksDB, too")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q; all is said by flags", f.Arg(0))
	}
	if o.dry {
		// A mini-batch waits for up to 2 s: for less than that, a source may stand.
		s.Warmup, s.Runs, s.Run, s.Settle, s.Fill, s.Pretouch = 0, 1, 3*time.Second, time.Second, 0, false
	}
	if o.cases, err = find(*names); err != nil {
		return o, err
	}
	return o, s.check()
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.dry && !o.table {
		if o.results, err = os.MkdirTemp("", "thalweg-compare-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.results)) }()
	}
	if o.table {
		return printTable(out, o.results)
	}
	own, err := os.Executable()
	if err != nil {
		return err
	}
	var failures []error // the cases behind one that fails are measured
	for _, c := range o.cases {
		if r, err := read(o.results, c.name); err == nil && !o.again {
			fmt.Fprintf(out, "%s: has been measured at %s (%s); -again does it anew\n", c.name, r.At.Format(time.DateTime), r.Schedule)
			continue
		} else if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		r, err := o.schedule.measure(ctx, []string{own, asSide}, c, out)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil {
			err = r.write(o.results)
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", c.name, err))
			fmt.Fprintf(out, "%s: %v\n", c.name, err)
			continue
		}
		fmt.Fprintln(out, r.sentence())
	}
	if o.dry {
		failures = append(failures, printTable(out, o.results))
	}
	return errors.Join(failures...)
}

// find gives cases by name or group, in the order of the table.
func find(names string) ([]contest, error) {
	wanted := strings.Split(names, ",")
	var some []contest
	for _, c := range contests {
		if slices.ContainsFunc(wanted, func(w string) bool { return w == "all" || w == c.name || w == c.group }) {
			some = append(some, c)
		}
	}
	for _, w := range wanted {
		if w != "all" && !slices.ContainsFunc(contests, func(c contest) bool { return w == c.name || w == c.group }) {
			return nil, fmt.Errorf("-q: no case %q; there are %s, and all, sql, datastream and keyedcount", w, strings.Join(all(), ", "))
		}
	}
	return some, nil
}
