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
	fmt.Printf("# %s, GOMAXPROCS %d, parallelism %d, all events made: %v; CPU time is the whole process's\n",
		runtime.Version(), runtime.GOMAXPROCS(0), o.config.Splits, o.all)
	fmt.Printf("%-10s %14s %14s %8s %14s %12s\n", "query", "events/s-core", "events/s", "cores", "allocs/event", "bytes/event")
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

// measure runs a query on events without end.
func (o options) measure(ctx context.Context, q queries.Query) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var events atomic.Int64
	in := queries.Input{Config: o.config, Skip: !o.all, Events: &events}
	in.Config.Events = 0
	g, err := flow.Build("nexmark "+q.Name, o.config.Splits, func(j *flow.Job) error { q.Discard(j, in); return nil })
	if err != nil {
		return err
	}
	var failure error
	go func() {
		failure = o.watch(ctx, q, &events)
		cancel(errMeasured)
	}()
	if err := local.Run(ctx, g, local.Options{Configuration: o.configuration}); !errors.Is(err, errMeasured) {
		return err
	}
	return failure
}

// watch measures the job that goes through events.
func (o options) watch(ctx context.Context, q queries.Query, events *atomic.Int64) error {
	if err := wait(ctx, o.settle); err != nil {
		return err
	}
	if o.profile != "" {
		f, err := os.Create(o.profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	before := now(events.Load())
	if err := wait(ctx, o.seconds); err != nil {
		return err
	}
	print(q.Name, before, now(events.Load()))
	return nil
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

func print(name string, a, b moment) {
	n, cpu, wall := float64(b.events-a.events), (b.cpu - a.cpu).Seconds(), b.wall.Sub(a.wall).Seconds()
	fmt.Printf("%-10s %14.0f %14.0f %8.2f %14.5f %12.2f\n", name, n/cpu, n/wall, cpu/wall, float64(b.mallocs-a.mallocs)/n, float64(b.bytes-a.bytes)/n)
}
