package harness

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/thalweg-io/thalweg/bench/meter"
)

// Job is what is to be run.
type Job struct {
	API         string // sql or datastream
	Query       string
	Events      int64 // in all; 0 for a source that never ends
	Seed        int64
	Rate        int64 // events per second of event time
	Keys        int64 // of the keyed count
	Parallelism int
	Exchange    bool // the keyed count's two halves are in different TaskManagers
	MiniBatch   bool
	Checkpoint  time.Duration // between checkpoints; 0 for none
	Results     bool          // keep the result rather than drop it
}

// Running is a job that was started.
type Running struct {
	cluster *Cluster
	counts  *os.File
	splits  int
	results string
}

// line is the size of a split's entry in the file of counts; see Counts.java.
const line = 64

// Run starts a job. There is one at a time.
func (c *Cluster) Run(ctx context.Context, j Job) (*Running, error) {
	c.jobs++
	prefix := filepath.Join(c.dir, fmt.Sprintf("job-%d", c.jobs))
	r := &Running{cluster: c, splits: j.Parallelism}
	if j.Results {
		r.results = prefix + "-results"
		if err := os.Mkdir(r.results, 0o755); err != nil {
			return nil, err
		}
	}
	counts, err := os.Create(prefix + "-counts")
	if err != nil {
		return nil, err
	}
	r.counts = counts
	if err := counts.Truncate(int64(line * r.splits)); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	var command strings.Builder
	command.WriteString("start")
	for _, option := range []struct {
		name  string
		value any
	}{
		{"query", j.Query},
		{"api", j.API},
		{"events", j.Events},
		{"seed", j.Seed},
		{"rate", j.Rate},
		{"keys", j.Keys},
		{"parallelism", j.Parallelism},
		{"exchange", j.Exchange},
		{"minibatch", j.MiniBatch},
		{"checkpoint", j.Checkpoint.Milliseconds()},
		{"counts", counts.Name()},
		{"results", r.results},
	} {
		fmt.Fprintf(&command, " %s=%v", option.name, option.value)
	}
	if err := c.tell(ctx, command.String(), "started"); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", j.Query, err), r.Close())
	}
	return r, nil
}

// Sample reads the counts and the processor time, which is that of all TaskManagers.
func (r *Running) Sample() (meter.Sample, error) {
	s := meter.Sample{At: time.Now()}
	counts := make([]byte, line*r.splits)
	if _, err := r.counts.ReadAt(counts, 0); err != nil {
		return meter.Sample{}, err
	}
	for i := range r.splits {
		s.Events += int64(binary.LittleEndian.Uint64(counts[i*line:]))
	}
	for _, cmd := range r.cluster.taskManagers {
		t, err := meter.ProcessorTime(cmd.Process.Pid)
		if err != nil {
			return meter.Sample{}, errors.Join(err, r.cluster.alive())
		}
		s.Processor += t
	}
	return s, nil
}

// Flowing waits until the source is through the first events.
func (r *Running) Flowing(ctx context.Context) error {
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for n := 1; ; n++ {
		s, err := r.Sample()
		if err != nil || s.Events > 0 {
			return err
		}
		if n%100 == 0 { // a job that fails at its start is not waited for
			if err := r.Look(ctx); err != nil {
				return err
			}
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return fmt.Errorf("flink: wait for the first event: %w", ctx.Err())
		}
	}
}

// Window runs a job that does not end by itself, and measures a time of it.
func (c *Cluster) Window(ctx context.Context, j Job, t meter.Timing) (s meter.Span, err error) {
	r, err := c.Run(ctx, j)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := r.Flowing(ctx); err != nil {
		return s, err
	}
	s, err = meter.Measure(ctx, r, t)
	if err != nil && !errors.Is(err, meter.ErrStands) {
		return s, err
	}
	if err := r.Look(ctx); err != nil { // why it has failed says more than that it stands
		return s, err
	}
	return s, errors.Join(err, r.Cancel(ctx))
}

// Look is an error if the job does not run any more: why it ended.
func (r *Running) Look(ctx context.Context) error { return r.cluster.tell(ctx, "look", "runs") }

// Wait waits for a job of so many events to end.
func (r *Running) Wait(ctx context.Context) error { return r.cluster.tell(ctx, "wait", "finished") }

// Cancel ends the job. A job that has failed by itself is an error.
func (r *Running) Cancel(ctx context.Context) error {
	return r.cluster.tell(ctx, "cancel", "cancelled")
}

// Close lets go of what only this program holds of the job, which has ended or ends with the cluster.
func (r *Running) Close() error { return r.counts.Close() }
