// Command snapshot measures what checkpoints of a large keyed state cost the records that are processed meanwhile: a rolling aggregate of 16 bytes
// over 10 M uniformly random keys, in one chain, without a cluster. It prints
//
//   - how long the operator took for a batch while the state grew from nothing,
//   - records/s and the time of a checkpoint at full load, windows with and without one in turn,
//   - the pause of a record at a part of that load, the same way, beside a thread that only sleeps,
//   - how many bytes a checkpoint writes after a hundredth of the keys has changed.
//
// It owns the job, its source and the driver that stands in for a leader. It judges nothing.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/thalweg-io/thalweg/bench/meter"
	"github.com/thalweg-io/thalweg/internal/state/offheap"
)

func main() {
	keys := flag.Uint64("keys", 10_000_000, "number of `keys`")
	windows := flag.Int("windows", 4, "`pairs` of windows, without and with a checkpoint, at full load, and four times as many paced ones")
	rate := flag.Float64("rate", 5e6, "`records/s` of the paced part, at most half of the greatest")
	dir := flag.String("dir", "", "where checkpoints go (default: a temporary `folder`)")
	pretouch := flag.Int64("pretouch", 512, "`MiB` for state that are touched first, as by taskmanager.memory.pretouch.size; 0: none")
	flag.Parse()
	if err := check(*keys, *windows, *rate, *pretouch); err != nil {
		fmt.Fprintln(os.Stderr, "snapshot:", err)
		os.Exit(2)
	}
	if err := measure(*keys, *windows, *rate, *dir, *pretouch<<20); err != nil {
		fmt.Fprintln(os.Stderr, "snapshot:", err)
		os.Exit(1)
	}
}

func check(keys uint64, windows int, rate float64, pretouch int64) error {
	switch {
	case flag.NArg() > 0:
		return fmt.Errorf("unexpected argument %q; all is said by flags", flag.Arg(0))
	case keys < 100:
		return fmt.Errorf("-keys %d: there have to be at least 100, of which a hundredth is changed", keys)
	case windows < 1:
		return fmt.Errorf("-windows %d: it has to be at least 1", windows)
	case !(rate > 0):
		return fmt.Errorf("-rate %v: it has to be more than 0", rate)
	case pretouch < 0:
		return fmt.Errorf("-pretouch %d: it cannot be negative; 0 is none", pretouch)
	}
	return nil
}

func measure(keys uint64, windows int, rate float64, dir string, pretouch int64) error {
	release, err := offheap.Pretouch(context.Background(), pretouch)
	if err != nil {
		return err
	}
	defer release()
	if dir == "" {
		if dir, err = os.MkdirTemp("", "thalweg-bench-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	fmt.Printf("# %s, GOMAXPROCS %d, %d keys, 16-byte values, %d MiB touched ahead\n", runtime.Version(), runtime.GOMAXPROCS(0), keys, pretouch>>20)
	e, err := start(keys, dir)
	if err != nil {
		return err
	}
	defer e.close()

	grown, err := e.grow()
	if err != nil {
		return err
	}
	fmt.Printf("growing to %d keys: batch p99.9 %s, longest %s; a sleeping thread p99.9 %s, longest %s; RSS %d MiB\n",
		keys, ms(grown.pause.At(0.999)), ms(grown.pause.Max()), ms(grown.stall.At(0.999)), ms(grown.stall.Max()), meter.RSS()>>20)

	first, err := e.window(0)
	if err != nil {
		return err
	}
	full := first.bytes
	fmt.Printf("first checkpoint: %s, %.1f MiB\n", sec(first.took), float64(full)/(1<<20))

	most, err := e.fullLoad(windows)
	if err != nil {
		return err
	}
	if err := e.paced(min(rate, most/2), pacedWindows*windows); err != nil {
		return err
	}
	few, err := e.few(int(keys / 100))
	if err != nil {
		return err
	}
	fmt.Printf("\nafter %d of %d keys have changed: a checkpoint writes %.2f MiB, %.2f %% of the first, in %s\n",
		keys/100, keys, float64(few.bytes)/(1<<20), 100*float64(few.bytes)/float64(full), sec(few.took))
	fmt.Printf("RSS %d MiB\n", meter.RSS()>>20)
	return nil
}

// fullLoad compares throughput with and without a checkpoint, and returns the records/s without.
func (e *engine) fullLoad(windows int) (most float64, err error) {
	fmt.Printf("\n%-22s %12s %12s %10s %12s\n", "full load", "M records/s", "checkpoint", "MiB", "batch p99.9")
	var without, with []float64
	for range windows {
		a, b, err := e.pair(0)
		if err != nil {
			return 0, err
		}
		without, with = append(without, a.rate()), append(with, b.rate())
		fmt.Printf("%-22s %12.2f %12s %10s %12s\n", "without a checkpoint", a.rate()/1e6, "", "", ms(a.pause.At(0.999)))
		fmt.Printf("%-22s %12.2f %12s %10.1f %12s\n", "with one", b.rate()/1e6, sec(b.took), float64(b.bytes)/(1<<20), ms(b.pause.At(0.999)))
	}
	lost := losses(without, with)
	fmt.Printf("lost while a checkpoint runs: %.1f %% in the median of %d windows, each beside its neighbours; %.1f to %.1f %%\n",
		100*meter.Median(lost), windows, 100*slices.Min(lost), 100*slices.Max(lost))
	return meter.Median(without), nil
}

// losses are what each window with a checkpoint lacks of the mean of the windows without one just before and just after it, as a part: so a machine that
// becomes slower or faster meanwhile takes no part in it. Window i without one comes right after window i with one.
func losses(without, with []float64) []float64 {
	lost := make([]float64, len(with))
	for i := range with {
		beside := without[i]
		if i > 0 {
			beside = (without[i-1] + without[i]) / 2
		}
		lost[i] = 1 - with[i]/beside
	}
	return lost
}

// pacedWindows is how many pairs of windows are paced for one at full load: they last less than a second each, and a stall of the machine that the sleeping
// thread did not have decides the quantiles of its window.
const pacedWindows = 4

// paced compares the pauses of records with and without a checkpoint, each window's over those of the thread that sleeps beside it.
func (e *engine) paced(rate float64, windows int) error {
	fmt.Printf("\n%-22s %10s %10s %10s %10s %12s\n", fmt.Sprintf("at %.2f M records/s", rate/1e6), "p99.9", "longest", "sleeper's", "longest", "checkpoint")
	var without, with paced
	for range windows {
		a, b, err := e.pair(rate)
		if err != nil {
			return err
		}
		without.add("without a checkpoint", a)
		with.add("with one", b)
	}
	without.print("without a checkpoint")
	with.print("with one")
	return nil
}

// paced is windows of one kind.
type paced struct {
	p999, longest []float64 // of each window, over the sleeping thread's, s
}

func (p *paced) add(name string, r *result) {
	took := ""
	if r.bytes > 0 {
		took = sec(r.took)
	}
	fmt.Printf("%-22s %10s %10s %10s %10s %12s\n", name, ms(r.pause.At(0.999)), ms(r.pause.Max()), ms(r.stall.At(0.999)), ms(r.stall.Max()), took)
	p.p999 = append(p.p999, (r.pause.At(0.999) - r.stall.At(0.999)).Seconds())
	p.longest = append(p.longest, (r.pause.Max() - r.stall.Max()).Seconds())
}

func (p *paced) print(name string) {
	fmt.Printf("over the sleeping thread's of the same window, %s: p99.9 %.2f ms, longest %.2f ms in the median of %d, at most %.2f and %.2f ms\n",
		name, 1e3*meter.Median(p.p999), 1e3*meter.Median(p.longest), len(p.p999), 1e3*slices.Max(p.p999), 1e3*slices.Max(p.longest))
}

func ms(d time.Duration) string  { return fmt.Sprintf("%.2f ms", d.Seconds()*1e3) }
func sec(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
