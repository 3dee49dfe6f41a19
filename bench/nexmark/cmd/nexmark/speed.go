package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/thalweg-io/thalweg/bench/nexmark/gen"
	"github.com/thalweg-io/thalweg/bench/nexmark/queries"
	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/internal/worker/local"
)

// errMeasured ends a job that has run for long enough.
var errMeasured = errors.New("measured")

// heading prints what the figures are, and those of the generator without a job.
func (o options) heading() error {
	fmt.Printf("# %s, GOMAXPROCS %d, parallelism %d, all events made: %v, %d MiB touched ahead; CPU time is the whole process's\n",
		runtime.Version(), runtime.GOMAXPROCS(0), o.config.Splits, o.all, o.pretouch>>20)
	fmt.Printf("%-12s %14s %10s %14s %8s %14s %12s\n", "query", "M ev/s-core", "ns/event", "events/s", "cores", "allocs/event", "bytes/event")
	c := o.config
	c.Events = 0
	g, err := gen.New(c, 0, 0)
	if err != nil {
		return err
	}
	var e gen.Event
	before := now(0)
	for until := before.wall.Add(o.seconds / 4); time.Now().Before(until); {
		for range 10_000 {
			g.Next(&e)
		}
	}
	print("generator", before, now(g.Position()))
	return nil
}

// sourceBound is the rule of what is source-bound: a query that costs less than so many times what its source alone costs.
const sourceBound = 1.3

// beside measures a query, and the source alone of it if that is asked for.
func (o options) beside(ctx context.Context, q queries.Query) error {
	if !o.source {
		_, err := o.measure(ctx, q)
		return err
	}
	alone, err := q.SourceOnly()
	if err != nil {
		return err
	}
	source, err := o.measure(ctx, alone)
	if err != nil {
		return err
	}
	whole, err := o.measure(ctx, q)
	if err != nil {
		return err
	}
	note := ""
	if whole < sourceBound*source {
		note = ": source-bound"
	}
	fmt.Printf("%-12s %.2f times its source%s\n", "", whole/source, note)
	return nil
}

// measure runs a query on events without end, and gives the processor time of an event in nanoseconds.
func (o options) measure(ctx context.Context, q queries.Query) (ns float64, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var events atomic.Int64
	in := queries.Input{Config: o.config, Skip: !o.all, Events: &events}
	in.Config.Events = 0
	g, err := flow.Build("nexmark "+q.Name, o.config.Splits, func(j *flow.Job) error { q.Discard(j, in); return nil })
	if err != nil {
		return 0, err
	}
	var failure error
	go func() {
		ns, failure = o.watch(ctx, q, &events)
		cancel(errMeasured)
	}()
	if err := local.Run(ctx, g, local.Options{Configuration: o.configuration}); !errors.Is(err, errMeasured) {
		return 0, err
	}
	return ns, failure
}

// watch measures the job that goes through events, and gives nanoseconds of processor time an event.
func (o options) watch(ctx context.Context, q queries.Query, events *atomic.Int64) (float64, error) {
	if err := wait(ctx, o.settle); err != nil {
		return 0, err
	}
	if o.profile != "" {
		f, err := os.Create(o.profile)
		if err != nil {
			return 0, err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return 0, err
		}
		defer pprof.StopCPUProfile()
	}
	before := now(events.Load())
	if err := wait(ctx, o.seconds); err != nil {
		return 0, err
	}
	return print(q.Name, before, now(events.Load())), nil
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// moment is what had been used up at a time.
type moment struct {
	events         int64
	wall           time.Time
	cpu            time.Duration
	mallocs, bytes uint64
}

func now(events int64) moment {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic("nexmark: getrusage: " + err.Error()) // of this process it cannot fail
	}
	return moment{events, time.Now(), time.Duration(u.Utime.Nano() + u.Stime.Nano()), m.Mallocs, m.TotalAlloc}
}

// print gives the processor time of an event in nanoseconds.
func print(name string, a, b moment) float64 {
	n, cpu, wall := float64(b.events-a.events), (b.cpu - a.cpu).Seconds(), b.wall.Sub(a.wall).Seconds()
	fmt.Printf("%-12s %14.3f %10.1f %14.0f %8.2f %14.5f %12.2f\n", name, n/cpu/1e6, cpu/n*1e9, n/wall, cpu/wall, float64(b.mallocs-a.mallocs)/n, float64(b.bytes-a.bytes)/n)
	return cpu / n * 1e9
}
