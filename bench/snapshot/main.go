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
	"time"

	"github.com/thalweg-io/thalweg/bench/meter"
	"github.com/thalweg-io/thalweg/internal/state/offheap"
)

func main() {
	keys := flag.Uint64("keys", 10_000_000, "number of `keys`")
	windows := flag.Int("windows", 4, "`pairs` of windows, without and with a checkpoint")
	rate := flag.Float64("rate", 5e6, "`records/s` of the paced part, at most half of the greatest")
	dir := flag.String("dir", "", "where checkpoints go (default: a temporary `folder`)")
	pretouch := flag.Int64("pretouch", 512, "`MiB` for state that are touched first, as by taskmanager.memory.pretouch.size; 0: none")
	flag.Parse()
	if err := measure(*keys, *windows, *rate, *dir, *pretouch<<20); err != nil {
		fmt.Fprintln(os.Stderr, "snapshot:", err)
		os.Exit(1)
	}
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

	fmt.Printf("\n%-22s %12s %12s %10s %12s\n", "full load", "M records/s", "checkpoint", "MiB", "batch p99.9")
	var without, with []float64
	for range windows {
		a, b, err := e.pair(0)
		if err != nil {
			return err
		}
		without, with = append(without, a.rate()), append(with, b.rate())
		fmt.Printf("%-22s %12.2f %12s %10s %12s\n", "without a checkpoint", a.rate()/1e6, "", "", ms(a.pause.At(0.999)))
		fmt.Printf("%-22s %12.2f %12s %10.1f %12s\n", "with one", b.rate()/1e6, sec(b.took), float64(b.bytes)/(1<<20), ms(b.pause.At(0.999)))
	}
	most := meter.Median(without)
	fmt.Printf("lost while a checkpoint runs: %.1f %% (median of %d)\n", 100*(1-meter.Median(with)/most), windows)

	rate = min(rate, most/2)
	fmt.Printf("\n%-22s %10s %10s %10s %10s %12s\n", fmt.Sprintf("at %.2f M records/s", rate/1e6), "p99.9", "longest", "sleeper's", "longest", "checkpoint")
	var all, allWith result
	for range windows {
		a, b, err := e.pair(rate)
		if err != nil {
			return err
		}
		for _, r := range []*result{a, b} {
			name, took := "without a checkpoint", ""
			if r.bytes > 0 {
				name, took = "with one", sec(r.took)
			}
			fmt.Printf("%-22s %10s %10s %10s %10s %12s\n", name, ms(r.pause.At(0.999)), ms(r.pause.Max()), ms(r.stall.At(0.999)), ms(r.stall.Max()), took)
		}
		all.add(a)
		allWith.add(b)
	}
	fmt.Printf("all windows: without p99.9 %s, longest %s; with p99.9 %s, longest %s, of which a sleeping thread's %s and %s\n",
		ms(all.pause.At(0.999)), ms(all.pause.Max()), ms(allWith.pause.At(0.999)), ms(allWith.pause.Max()), ms(allWith.stall.At(0.999)), ms(allWith.stall.Max()))

	few, err := e.few(int(keys / 100))
	if err != nil {
		return err
	}
	fmt.Printf("\nafter %d of %d keys have changed: a checkpoint writes %.2f MiB, %.2f %% of the first, in %s\n",
		keys/100, keys, float64(few.bytes)/(1<<20), 100*float64(few.bytes)/float64(full), sec(few.took))
	fmt.Printf("RSS %d MiB\n", meter.RSS()>>20)
	return nil
}

func ms(d time.Duration) string  { return fmt.Sprintf("%.2f ms", d.Seconds()*1e3) }
func sec(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
