// Command latency measures how long a record takes from its creation to the sink, over one keyed exchange by TCP, with a checkpoint every ten
// seconds: at 1,000 records/s and at half of what the job can do, beside a thread that only sleeps.
//
// It owns the job, its source and its sink. It judges nothing.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/thalweg-io/thalweg/bench/hosts"
	"github.com/thalweg-io/thalweg/bench/meter"
)

func main() {
	keys := flag.Uint64("keys", 100_000, "number of `keys`")
	lasts := flag.Duration("time", 21*time.Second, "how long each rate is measured")
	flag.Parse()
	if err := measure(*keys, *lasts); err != nil {
		fmt.Fprintln(os.Stderr, "latency:", err)
		os.Exit(1)
	}
}

func measure(keys uint64, lasts time.Duration) error {
	dir, err := os.MkdirTemp("", "thalweg-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Printf("# %s, GOMAXPROCS %d, %d keys, both ends in this process\n", runtime.Version(), runtime.GOMAXPROCS(0), keys)
	e, err := start(keys, dir)
	if err != nil {
		return err
	}
	defer e.bed.Close()
	most, err := e.run(0, 5*time.Second)
	if err != nil {
		return err
	}
	rate := float64(most.records) / most.lasted.Seconds()
	fmt.Printf("without a limit: %.2f M records/s\n\n", rate/1e6)
	fmt.Printf("%-24s %10s %10s %10s %10s %28s\n", "records/s", "p50", "p99", "p99.99", "longest", "a sleeping thread's p99, p99.99")
	for _, r := range []float64{1000, rate / 2, 0.9 * rate} {
		w, err := e.run(r, lasts)
		if err != nil {
			return err
		}
		fmt.Printf("%-24s %10s %10s %10s %10s %16s %11s\n", fmt.Sprintf("%.0f (had %.0f)", r, float64(w.records)/w.lasted.Seconds()),
			ms(w.delay.At(0.5)), ms(w.delay.At(0.99)), ms(w.delay.At(0.9999)), ms(w.delay.Max()), ms(w.stall.At(0.99)), ms(w.stall.At(0.9999)))
	}
	return nil
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", d.Seconds()*1e3) }

// engine runs the job.
type engine struct {
	bed    *hosts.Bed
	source *source
	sink   *sink
}

func start(keys uint64, dir string) (*engine, error) {
	e := &engine{source: &source{keys: keys, ready: make(chan struct{})}, sink: &sink{}}
	g, err := graph(e.source, e.sink)
	if err != nil {
		return nil, err
	}
	if e.bed, err = hosts.Start(g, dir, true); err != nil {
		return nil, err
	}
	select {
	case <-e.source.ready:
		return e, nil
	case err := <-e.bed.Failed():
		e.bed.Close()
		return nil, err
	}
}

// window is what one rate gave.
type window struct {
	records int64
	lasted  time.Duration
	delay   meter.Histogram // of records
	stall   meter.Histogram // of a thread that only sleeps
}

const betweenCheckpoints = 10 * time.Second

// run measures a rate; 0: as many as the job can do.
func (e *engine) run(rate float64, lasts time.Duration) (*window, error) {
	e.source.order(rate)
	select {
	case <-time.After(time.Second): // what the rate before has left is through
	case err := <-e.bed.Failed():
		return nil, err
	}
	w := &window{}
	awake := meter.Sleep(&w.stall)
	began := time.Now()
	e.sink.turn(w)
	for next := time.Duration(0); next < lasts; next += betweenCheckpoints {
		if _, _, err := e.bed.Checkpoint(); err != nil {
			return nil, err
		}
		select {
		case <-time.After(min(next+betweenCheckpoints, lasts) - time.Since(began)):
		case err := <-e.bed.Failed():
			return nil, err
		}
	}
	e.sink.turn(nil)
	w.lasted = time.Since(began)
	awake()
	e.source.order(-1)
	return w, nil
}
