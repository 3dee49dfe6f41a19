// Command latency measures how long a record takes from its creation to the sink, over one keyed exchange by TCP, with a checkpoint every ten
// seconds: at 1,000 records/s, at half and at nine tenths of what the job can do, beside a thread that only sleeps.
//
// A record's creation is the time at which its rate says that it is due, not when the source gets to it, and every record of a rate is waited for
// and counted: what is held up is not left out. The sleeping thread is the strict one: it sees a stall once, however long it is, records see it
// as often as they are due in it.
//
// It owns the job, its source and its sink. It judges nothing.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
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
	if err := check(*keys, *lasts); err != nil {
		fmt.Fprintln(os.Stderr, "latency:", err)
		os.Exit(2)
	}
	if err := measure(*keys, *lasts); err != nil {
		fmt.Fprintln(os.Stderr, "latency:", err)
		os.Exit(1)
	}
}

func check(keys uint64, lasts time.Duration) error {
	switch {
	case flag.NArg() > 0:
		return fmt.Errorf("unexpected argument %q; all is said by flags", flag.Arg(0))
	case keys < 1:
		return fmt.Errorf("-keys %d: there has to be at least 1", keys)
	case lasts < time.Second:
		return fmt.Errorf("-time %v: it has to be at least a second", lasts)
	}
	return nil
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
	most, err := e.most(atMost)
	if err != nil {
		return err
	}
	fmt.Printf("without a limit: %.2f M records/s\n\n", most/1e6)
	fmt.Printf("%-34s %10s %10s %10s %10s %10s\n", "", "p50", "p99", "p99.9", "p99.99", "longest")
	for _, r := range []float64{1000, most / 2, 0.9 * most} {
		w, err := e.run(r, lasts)
		if err != nil {
			return fmt.Errorf("at %.0f records/s: %w", r, err)
		}
		w.print(os.Stdout, r)
	}
	return nil
}

// atMost is how long the job is run without a limit.
const atMost = 5 * time.Second

// print shows the delays of records, those of the sleeping thread, and by how much the first exceed the second.
func (w *window) print(out io.Writer, rate float64) {
	delays, stalls := quantiles(&w.delay), quantiles(&w.stall)
	line := func(name string, each func(i int) time.Duration) {
		fmt.Fprintf(out, "%-34s", name)
		for i := range delays {
			fmt.Fprintf(out, " %10s", ms(each(i)))
		}
		fmt.Fprintln(out)
	}
	line(fmt.Sprintf("%.0f records/s", rate), func(i int) time.Duration { return delays[i] })
	line("  a thread that only sleeps", func(i int) time.Duration { return stalls[i] })
	line("  over it", func(i int) time.Duration { return delays[i] - stalls[i] })
	fmt.Fprintf(out, "  %d records; the last came %s after the last was due\n", w.records, ms(w.behind))
}

// quantiles are the columns.
func quantiles(h *meter.Histogram) []time.Duration {
	return []time.Duration{h.At(0.5), h.At(0.99), h.At(0.999), h.At(0.9999), h.Max()}
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
	expected int64         // records; 0: nobody knows
	through  chan struct{} // closed when so many have come
	records  int64
	behind   time.Duration   // from the last record's time to the end
	delay    meter.Histogram // of records
	stall    meter.Histogram // of a thread that only sleeps
}

const betweenCheckpoints = 10 * time.Second

// patience is how long the last records of a rate may take. A job that needs longer cannot keep up.
const patience = time.Minute

// most is how many records a second the job can do, in a time that follows a second of the same.
func (e *engine) most(lasts time.Duration) (float64, error) {
	e.source.order(&orders{})
	defer e.source.order(nil)
	if err := e.rest(time.Second); err != nil {
		return 0, err
	}
	w := &window{}
	began := time.Now()
	e.sink.turn(w)
	if _, _, err := e.bed.Checkpoint(); err != nil {
		return 0, err
	}
	if err := e.rest(lasts - time.Since(began)); err != nil {
		return 0, err
	}
	e.sink.turn(nil)
	return float64(w.records) / time.Since(began).Seconds(), nil
}

// run measures all records of a time at a rate.
func (e *engine) run(rate float64, lasts time.Duration) (w *window, err error) {
	if err := e.rest(time.Second); err != nil { // what came before is through
		return nil, err
	}
	w = &window{expected: max(1, int64(rate*lasts.Seconds())), through: make(chan struct{})}
	e.sink.turn(w)
	defer e.sink.turn(nil)
	awake, err := meter.Sleep(&w.stall)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, awake()) }()
	began := time.Now()
	e.source.order(&orders{rate, w.expected})
	defer e.source.order(nil)
	for next := time.Duration(0); next < lasts; next += betweenCheckpoints {
		if _, _, err := e.bed.Checkpoint(); err != nil {
			return nil, err
		}
		if err := e.rest(min(next+betweenCheckpoints, lasts) - time.Since(began)); err != nil {
			return nil, err
		}
	}
	select {
	case <-w.through:
	case err := <-e.bed.Failed():
		return nil, err
	case <-time.After(patience):
		return nil, fmt.Errorf("%v after the last record was due not all %d have come: the job cannot keep up", patience, w.expected)
	}
	w.behind = max(0, time.Since(began)-lasts)
	return w, nil
}

// rest waits, unless the job fails.
func (e *engine) rest(d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case err := <-e.bed.Failed():
		return err
	}
}
