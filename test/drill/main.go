// Command drill is the failover drill on real processes: a real ZooKeeper ensemble, a real HDFS, the built binaries, a steady
// stream of records through a keyed job with two sources, and one fault after the other. It measures the gap in the processing
// of records around each fault, or the time until the job runs again, and holds the committed output against the sources.
//
//	go run ./test/drill            every row with all its trials
//	go run ./test/drill -short     every row once; times are printed, not judged
//	go run ./test/drill -rows 2,8  some rows
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	var o options
	var only string
	flag.StringVar(&only, "rows", "", "rows to run, comma-separated (default: all)")
	flag.IntVar(&o.trials, "n", 0, "trials of each row (default: the row's own)")
	flag.BoolVar(&o.short, "short", false, "one trial a row; structure and results are judged, times only printed")
	flag.StringVar(&o.bin, "bin", "bin/drill", "folder of the binaries, built with failpoints (make bin-drill)")
	flag.StringVar(&o.dir, "dir", "", "folder for logs, data and servers (default: a temporary one, kept only after a failure)")
	flag.IntVar(&o.rate, "rate", 10_000, "records per second")
	flag.DurationVar(&o.session, "session", 4*time.Second, "ZooKeeper session timeout")
	list := flag.Bool("list", false, "list the rows")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	all := rows(o.session)
	if *list {
		for _, r := range all {
			fmt.Printf("%-6s %s\n", r.id, r.what)
		}
		return
	}
	wanted, err := choose(all, only)
	if o.short && only == "" {
		wanted = slices.DeleteFunc(wanted, func(r row) bool { return r.long })
	}
	if err == nil {
		err = run(ctx, o, wanted)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "drill:", err)
		os.Exit(1)
	}
}

func choose(all []row, only string) ([]row, error) {
	if only == "" {
		return all, nil
	}
	var out []row
	for _, id := range strings.Split(only, ",") {
		found := false
		for _, r := range all {
			if r.id == strings.TrimSpace(id) {
				out, found = append(out, r), true
			}
		}
		if !found {
			return nil, fmt.Errorf("-rows: there is no row %q; -list shows them", id)
		}
	}
	return out, nil
}

type options struct {
	trials  int
	short   bool
	bin     string
	dir     string
	rate    int
	session time.Duration
}

// run does the rows in groups: a row that needs another session timeout gets a cluster of its own.
func run(ctx context.Context, o options, wanted []row) (err error) {
	keep := o.dir != ""
	if !keep {
		if o.dir, err = os.MkdirTemp("", "thalweg-drill-"); err != nil {
			return err
		}
		defer func() {
			if err == nil {
				os.RemoveAll(o.dir)
			} else {
				fmt.Fprintln(os.Stderr, "drill: logs and data are kept in", o.dir)
			}
		}()
	} else if old, err := os.ReadDir(o.dir); err == nil && len(old) > 0 { // what earlier processes said would count as said now
		return fmt.Errorf("-dir %s is not empty: name a new folder", o.dir)
	}
	started := time.Now()
	s, err := startServers(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	fmt.Printf("ZooKeeper (3 nodes) and HDFS are up after %.1f s\n", time.Since(started).Seconds())
	var failed []string
	for _, group := range groups(wanted) {
		f, err := runGroup(ctx, o, s, group)
		if err != nil {
			return err
		}
		failed = append(failed, f...)
	}
	fmt.Printf("\n%d rows in %.0f s\n", len(wanted), time.Since(started).Seconds())
	if len(failed) > 0 {
		return fmt.Errorf("failed: %s", strings.Join(failed, "; "))
	}
	return nil
}

// groups puts row 11d apart: there the session outlives the stop.
func groups(wanted []row) [][]row {
	var usual, long []row
	for _, r := range wanted {
		if r.id == "11d" {
			long = append(long, r)
		} else {
			usual = append(usual, r)
		}
	}
	var gs [][]row
	for _, g := range [][]row{usual, long} {
		if len(g) > 0 {
			gs = append(gs, g)
		}
	}
	return gs
}

func runGroup(ctx context.Context, o options, s *servers, group []row) (failed []string, err error) {
	session := o.session
	if group[0].id == "11d" {
		session = 40 * time.Second
	}
	d, err := newDrill(ctx, o, s, session)
	if err != nil {
		return nil, err
	}
	defer d.close()
	for _, r := range group {
		n := r.trials
		if o.short {
			n = 1
		} else if o.trials > 0 {
			n = o.trials
		}
		res, err := d.row(ctx, r, n)
		if err != nil {
			d.cluster.Tail(os.Stderr, 40)
			return nil, fmt.Errorf("row %s: %w", r.id, err)
		}
		failed = append(failed, res.print(o.short)...)
	}
	bad, err := d.finish(ctx)
	if err != nil {
		d.cluster.Tail(os.Stderr, 40)
		return nil, fmt.Errorf("the oracle: %w", err)
	}
	return append(failed, bad...), nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
