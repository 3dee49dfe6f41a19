// Command demo is `make demo`: a cluster of two jobmanagers and two taskmanagers on this machine, without Java, that loses its
// leader, a taskmanager and then both jobmanagers while it counts a web server's log, and what that cost. It prints a timeline
// and compares the committed output with an independent count.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	bin := flag.String("bin", "bin", "folder of the built binaries")
	input := flag.String("input", "examples/accesslog/access.log", "the log to replay")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	if err := run(ctx, *bin, *input); err != nil {
		if ctx.Err() != nil && context.Cause(ctx) == context.Canceled {
			fmt.Fprintln(os.Stderr, "\nInterrupted: every process was ended and every file removed.")
			os.Exit(130)
		}
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bin, input string) error {
	dir, err := os.MkdirTemp("", "thalweg-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if input, err = filepath.Abs(input); err != nil {
		return err
	}
	d, err := start(ctx, dir, bin, input)
	if err != nil {
		return err
	}
	defer d.cluster.Close()
	if err := d.play(ctx); err != nil {
		d.cluster.Tail(os.Stderr, 30)
		return err
	}
	return d.compare(input)
}
