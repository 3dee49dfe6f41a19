package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/thalweg-io/thalweg/bench/flink/harness"
)

// options are the flags.
type options struct {
	settings                harness.Settings
	queries                 []string
	job                     harness.Job // but for its query
	seconds, warmup, settle time.Duration
	rounds                  int
	between                 string
	check                   bool
	results, dir            string
}

func parse(args []string) (options, error) {
	o := options{settings: harness.Defaults()}
	f := flag.NewFlagSet("flink", flag.ContinueOnError)
	queries := f.String("q", "q0", "the `queries`, with commas between them, or all")
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
	f.StringVar(&o.results, "results", "", "write the final rows to files in this `folder`; needs -events")
	f.BoolVar(&o.check, "check", false, "compare the final rows with those of the naive interpreter; needs -events")
	f.StringVar(&o.dir, "dir", "", "keep the logs, in this new `folder`; else they are deleted unless there is an error")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q; all is said by flags", f.Arg(0))
	}
	o.seconds, o.warmup, o.settle = duration(*seconds), duration(*warmup), duration(*settle)
	o.settings.Slots = o.job.Parallelism
	if o.queries = strings.Split(*queries, ","); *queries == "all" {
		o.queries = all[o.job.API]
	}
	if o.job.Exchange {
		o.settings.TaskManagers = 2
	}
	o.job.Results = o.check || o.results != ""
	return o, o.judge()
}

// judge says which flag has a value that cannot be meant.
func (o options) judge() error {
	if _, ok := all[o.job.API]; !ok {
		return fmt.Errorf("-api %q: there are sql and datastream", o.job.API)
	}
	if b := o.settings.Backend; b != "hashmap" && b != "rocksdb" {
		return fmt.Errorf("-backend %q: there are hashmap and rocksdb", b)
	}
	for _, query := range o.queries {
		if !known(o.job.API, query) {
			return fmt.Errorf("-q %s: with -api %s there are %v", query, o.job.API, slices.Concat(all[o.job.API], more[o.job.API]))
		}
	}
	for _, number := range []struct {
		name  string
		least int64
		value int64
	}{
		{"parallelism", 1, int64(o.job.Parallelism)},
		{"rounds", 1, int64(o.rounds)},
		{"rate", 1, o.job.Rate},
		{"keys", 1, o.job.Keys},
		{"events", 0, o.job.Events},
		{"seconds", 1, int64(o.seconds)},
		{"warmup", 0, int64(o.warmup)},
		{"settle", 0, int64(o.settle)},
	} {
		if number.value < number.least {
			return fmt.Errorf("-%s %d: it has to be at least %d", number.name, number.value, number.least)
		}
	}
	if o.job.Results && o.job.Events == 0 {
		return errors.New("-results and -check need -events: only an input that ends has a final result")
	}
	return nil
}

// all are the queries of Nexmark by API.
var all = map[string][]string{
	"sql":        {"q0", "q1", "q2", "q3", "q4", "q5", "q7", "q8", "q9", "q11", "q12", "q13", "q14", "q15", "q16", "q17", "q18", "q19", "q20", "q21", "q22"},
	"datastream": {"q1", "q2", "q5", "q8"},
}

// more are queries that have no result to compare.
var more = map[string][]string{"datastream": {"keyedcount", "source", "source-events", "source-keys"}}

func known(api, query string) bool {
	source, of, alone := strings.Cut(query, "/")
	if alone {
		return api == "datastream" && (source == "source" || source == "source-events") && slices.Contains(all["sql"], of)
	}
	return slices.Contains(slices.Concat(all[api], more[api]), query)
}

func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }
