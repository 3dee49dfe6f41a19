package side

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"sync/atomic"

	"github.com/thalweg-io/thalweg/bench/hosts"
	"github.com/thalweg-io/thalweg/bench/keyedcount/counting"
	"github.com/thalweg-io/thalweg/bench/nexmark/queries"
	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/internal/state/offheap"
	"github.com/thalweg-io/thalweg/internal/worker/local"
)

// Serve is a process of the side: it runs what its arguments say until its input ends.
func Serve(args []string, in io.Reader, out io.Writer) error {
	j, peer, err := parse(args)
	if err != nil {
		return err
	}
	if err := j.Check(); err != nil {
		return err
	}
	// The other side's process has run for a minute, and its heap has been through all its pages. This one's begins here. The sending end has no state.
	if peer != "" {
		j.PretouchMiB = 0
	}
	release, err := offheap.Pretouch(context.Background(), j.PretouchMiB<<20)
	if err != nil {
		return err
	}
	defer release()
	if j.keyed() {
		return serveCount(j, peer, in, out)
	}
	return serveQuery(j, in, out)
}

var errOver = errors.New("nobody asks any more")

// serveQuery runs a query whose input never ends. There are no checkpoints, as on the other side.
func serveQuery(j Job, in io.Reader, out io.Writer) error {
	q, err := j.query()
	if err != nil {
		return err
	}
	var events atomic.Int64
	input := queries.Input{Config: j.config(), Skip: true, Events: &events}
	g, err := flow.Build("nexmark "+j.Query, j.Parallelism, func(job *flow.Job) error { q.Discard(job, input); return nil })
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	go func() {
		err := answer(in, out, "", events.Load)
		if err == nil {
			err = errOver
		}
		cancel(err)
	}()
	err = local.Run(ctx, g, local.Options{Configuration: map[string]string{"execution.checkpointing.interval": "24 h"}})
	if errors.Is(err, errOver) {
		return nil
	}
	if err == nil {
		err = errors.New("a job without end has ended")
	}
	return err
}

// serveCount runs a keyed count, or one end of it.
func serveCount(j Job, peer string, in io.Reader, out io.Writer) error {
	dir, err := os.MkdirTemp("", "thalweg-side-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s := counting.Shape{Keys: uint64(j.Keys), Exchange: j.Exchange, SourceOnly: j.Query == "source-keys"}
	g, control, err := counting.New(s, nil)
	if err != nil {
		return err
	}
	var bed *hosts.Bed
	address, receives := "", false
	switch {
	case !j.Exchange:
		if bed, err = hosts.Start(g, dir, false); err != nil {
			return err
		}
	case peer != "":
		bed = hosts.StartPart(g, dir, hosts.Part{Job: counted, Address: peer})
	default:
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		address, receives = l.Addr().String(), true
		bed = hosts.StartPart(g, dir, hosts.Part{Job: counted, Network: l})
	}
	defer bed.Close()
	if !receives {
		select {
		case <-control.Ready():
			control.Grant(math.MaxInt64)
		case err := <-bed.Failed():
			return err
		}
	}
	over := make(chan error, 1)
	go func() { over <- answer(in, out, address, control.Given) }()
	select {
	case err := <-over:
		return err
	case err := <-bed.Failed():
		return err
	}
}

// counted is the id of the job that two processes share.
const counted = "keyedcount"

// answer says that the process runs, and then what it is asked.
func answer(in io.Reader, out io.Writer, address string, events func() int64) error {
	if _, err := fmt.Fprintln(out, "ready", address); err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if lines.Text() != "count" {
			return fmt.Errorf("%q is no question", lines.Text())
		}
		if _, err := fmt.Fprintln(out, events()); err != nil {
			return err
		}
	}
	return lines.Err()
}
