// Command nexmark runs the queries of the Nexmark benchmark that package queries has. It measures them,
//
//	go run ./bench/nexmark/cmd/nexmark -q q5 -seconds 5 -source
//
// or compares their final rows with those of the naive interpreter:
//
//	go run ./bench/nexmark/cmd/nexmark -check -q all -n 1000000
//
// It owns how a query is run and what is printed. It judges no speed, and knows nothing of how a query works.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/thalweg-io/thalweg/bench/nexmark/gen"
	"github.com/thalweg-io/thalweg/bench/nexmark/queries"
	"github.com/thalweg-io/thalweg/internal/state/offheap"
)

// options are the flags.
type options struct {
	queries         []queries.Query
	config          gen.Config // Splits is the parallelism
	all             bool       // events are made
	check           bool
	source          bool // the source alone is measured beside each query
	seconds, settle time.Duration
	pretouch        int64 // bytes
	profile         string
	configuration   map[string]string
}

func main() {
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = o.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "nexmark:", err)
		os.Exit(1)
	}
}

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("nexmark", flag.ContinueOnError)
	names := f.String("q", "all", "the `queries`, with commas between them, or all")
	f.Uint64Var(&o.config.Seed, "seed", 42, "of the generator")
	f.Int64Var(&o.config.Rate, "rate", 10_000, "`events` per second of event time")
	f.IntVar(&o.config.Splits, "parallelism", 1, "subtasks of every operator, and timelines of the generator")
	f.Int64Var(&o.config.Events, "n", 1_000_000, "`events` that are checked")
	f.BoolVar(&o.all, "all-events", true, "make all events; else a query that reads only bids skips the others")
	f.BoolVar(&o.check, "check", false, "compare the final rows with those of the naive interpreter")
	f.BoolVar(&o.source, "source", false, "measure beside each query its source alone, and say what part of the query it is")
	f.DurationVar(&o.settle, "settle", time.Second, "how long a query runs before it is measured")
	seconds := f.Float64("seconds", 5, "how long a query is measured")
	f.StringVar(&o.profile, "cpuprofile", "", "write a CPU profile of the measurement to this `file`")
	pretouch := f.Int64("pretouch", 4096, "`MiB` of state that are touched before anything is measured, as by taskmanager.memory.pretouch.size; 0: none")
	checkpoint := f.Duration("checkpoint", 0, "`interval` of checkpoints; 0: the default")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q; all is said by flags", f.Arg(0))
	}
	if *seconds <= 0 {
		return o, fmt.Errorf("-seconds %v: it is above 0", *seconds)
	}
	if *pretouch < 0 {
		return o, fmt.Errorf("-pretouch %d: it is not negative", *pretouch)
	}
	o.pretouch = *pretouch << 20
	o.seconds = time.Duration(*seconds * float64(time.Second))
	if *checkpoint > 0 {
		o.configuration = map[string]string{"execution.checkpointing.interval": checkpoint.String()}
	}
	if o.queries, err = find(*names); err != nil {
		return o, err
	}
	if o.profile != "" && (len(o.queries) > 1 || o.check || o.source) {
		return o, errors.New("-cpuprofile is for measuring one query: name it by -q, without -source")
	}
	return o, o.config.Check()
}

func find(names string) ([]queries.Query, error) {
	if names == "all" {
		return queries.All, nil
	}
	var some []queries.Query
	for name := range strings.SplitSeq(names, ",") {
		q, err := queries.Find(name)
		if err != nil {
			return nil, err
		}
		some = append(some, q)
	}
	return some, nil
}

// run goes on behind a query that fails, and fails at last.
func (o options) run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	each := o.beside
	if o.check {
		each = o.compare
	} else {
		release, err := offheap.Pretouch(ctx, o.pretouch)
		if err != nil {
			return err
		}
		defer release()
		if err := o.heading(); err != nil {
			return err
		}
	}
	var failures []error
	for _, q := range o.queries {
		if err := each(ctx, q); err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", q.Name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failures...)
}
