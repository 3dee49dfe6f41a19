// Command services runs ZooKeeper and HDFS beside whatever is tried out by hand:
//
//	services up   [--dir DIR] [--zookeeper N] [--hdfs]    start; without either flag: three nodes, and an HDFS
//	services down [--dir DIR]                             stop what is running there
//	services fetch                                        fill the cache of jars, so that nothing else needs a network
//
// It owns the processes that its own `up` has started, which a supervisor keeps as its children, and the files services.json and env in DIR.
// It never stops a process that is not recorded there with its start time.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/thalweg-io/thalweg/test/services"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "services:", err)
		os.Exit(1)
	}
}

const usage = "usage: services up [--dir DIR] [--zookeeper N] [--hdfs] [--data-nodes N] | down [--dir DIR] | fetch"

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("no command; %s", usage)
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	dir := flags.String("dir", defaultDir(), "the folder of data, logs, services.json and env")
	var w wanted
	switch args[0] {
	case "up", superviseCommand:
		flags.IntVar(&w.zooKeeper, "zookeeper", 0, "the number of ZooKeeper nodes")
		flags.BoolVar(&w.hdfs, "hdfs", false, "an HDFS too")
		flags.IntVar(&w.dataNodes, "data-nodes", 2, "the number of HDFS DataNodes")
	case "down", "fetch":
	default:
		return fmt.Errorf("unknown command %q; %s", args[0], usage)
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%s: unexpected argument %q; %s", args[0], flags.Arg(0), usage)
	}
	path, err := filepath.Abs(*dir)
	if err != nil {
		return fmt.Errorf("--dir %s: %w", *dir, err)
	}
	switch args[0] {
	case "up":
		if err := w.complete(); err != nil {
			return err
		}
		return up(ctx, path, w, out)
	case superviseCommand:
		return supervise(ctx, path, w)
	case "down":
		return down(ctx, path, out)
	default:
		return services.Fetch(ctx)
	}
}

// defaultDir is one per user: `up` and `down` without --dir find each other.
func defaultDir() string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("thalweg-up-%d", os.Getuid()))
}

// wanted is what `up` is to start.
type wanted struct {
	zooKeeper int
	hdfs      bool
	dataNodes int
}

func (w *wanted) complete() error {
	if w.zooKeeper == 0 && !w.hdfs {
		w.zooKeeper, w.hdfs = 3, true
	}
	if w.zooKeeper < 0 {
		return fmt.Errorf("--zookeeper %d: must not be negative", w.zooKeeper)
	}
	if w.dataNodes < 1 {
		return fmt.Errorf("--data-nodes %d: must be at least 1", w.dataNodes)
	}
	return nil
}
