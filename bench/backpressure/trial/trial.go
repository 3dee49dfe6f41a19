// Package trial runs a job whose sink cannot keep up with its sources on a cluster of real processes, and reports what that did to their memory,
// to the checkpoints asked for meanwhile, and to the output, which is complete at the end: the input is bounded, and the sink hurries at last.
//
// It owns the cluster, which is below one directory, and the measurements. It judges only what does not depend on the machine (Broken) and
// whether memory is flat (Growing).
package trial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/test/cluster"
)

// Options of a trial.
type Options struct {
	Dir      string        // everything is below it
	Lasts    time.Duration // of the backpressure
	Rate     float64       // records/s of all slow subtasks
	Extra    int64         // records that are left for the end, about
	Every    time.Duration // between two requests of a checkpoint
	Timeout  time.Duration // of a checkpoint
	Settle   time.Duration // from the start on, before memory is looked at
	Progress func(string)  // nil: nobody listens
}

const (
	parallelism = 2
	keys        = 10_000
	// A checkpoint that has timed out is said to have failed so much later at most, on a machine that does other things too.
	grace = 5 * time.Second
	// drainWithin bounds the end: what is left goes through as fast as it can, and a last checkpoint covers it.
	drainWithin = 5 * time.Minute
)

// Result is what was seen.
type Result struct {
	Memory      []*Memory
	Checkpoints []Checkpoint
	Sources     []*thalwegv1.TaskRates // of the sources' subtasks, towards the end of the backpressure
	Slow        float64                // records/s that went through meanwhile
	Drained     float64                // records/s at the end, when nobody was slow
	Restarts    int32
	Output      Output
	Timeout     time.Duration
}

// Checkpoint is one that was asked for.
type Checkpoint struct {
	After  time.Duration // since the job ran
	Took   time.Duration
	ID     int64  // 0: it was given up
	Reason string // why it was
}

// Run does a trial.
func Run(ctx context.Context, o Options) (*Result, error) {
	bin := filepath.Join(o.Dir, "bin")
	if err := build(ctx, bin); err != nil {
		return nil, err
	}
	c, err := cluster.New(o.Dir, bin, map[string]string{
		"high-availability.type":           "local",
		"high-availability.local.dir":      filepath.Join(o.Dir, "ha"),
		"high-availability.storageDir":     filepath.Join(o.Dir, "storage"),
		"execution.checkpointing.dir":      filepath.Join(o.Dir, "checkpoints"),
		"execution.checkpointing.interval": "0 s", // each is asked for, so that what became of it is known
		"execution.checkpointing.timeout":  o.Timeout.String(),
	})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	t := &trial{o: o, cluster: c, result: &Result{Timeout: o.Timeout}, output: filepath.Join(o.Dir, "out"), hurry: filepath.Join(o.Dir, "hurry")}
	if err := t.run(ctx); err != nil {
		c.Tail(os.Stderr, 30)
		return nil, err
	}
	return t.result, nil
}

// build makes the binaries of this very tree.
func build(ctx context.Context, bin string) error {
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	const module = "github.com/thalweg-io/thalweg/"
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", bin+"/", module+"cmd/jobmanager", module+"cmd/taskmanager", module+"cmd/thalweg",
		module+"bench/backpressure/job")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return nil
}

type trial struct {
	o             Options
	cluster       *cluster.Cluster
	managers      []*cluster.Process // of tasks
	id            string             // of the job
	began         time.Time
	result        *Result
	output, hurry string
	rounds        int64
}

func (t *trial) say(format string, args ...any) {
	if t.o.Progress != nil {
		t.o.Progress(fmt.Sprintf(format, args...))
	}
}

func (t *trial) run(ctx context.Context) error {
	if err := t.start(ctx); err != nil {
		return err
	}
	under, cancel := context.WithTimeout(ctx, t.o.Lasts)
	defer cancel()
	var wg sync.WaitGroup
	var measured, checkpointed error
	wg.Go(func() { measured = t.watch(under) })
	wg.Go(func() { checkpointed = t.checkpoint(under) })
	wg.Wait()
	if err := errors.Join(measured, checkpointed); err != nil {
		return err
	}
	before, err := t.cluster.WaitRunning(ctx, t.id, -1)
	if err != nil {
		return err
	}
	lasted := time.Since(t.began)
	t.result.Slow = float64(before.RecordsWritten) / lasted.Seconds()
	t.say("%d records were read and %d written in %v; now the sink hurries", before.RecordsRead, before.RecordsWritten, lasted.Round(time.Second))
	return t.drain(ctx, before.RecordsWritten)
}

// start starts a cluster of two taskmanagers and the job, and waits until it runs.
func (t *trial) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	jm, err := t.cluster.JobManager("jobmanager")
	if err != nil {
		return err
	}
	t.result.Memory = append(t.result.Memory, &Memory{Name: jm.Name, pid: jm.Pid()})
	for i := range 2 {
		tm, err := t.cluster.TaskManager("taskmanager-"+strconv.Itoa(i+1), parallelism/2)
		if err != nil {
			return err
		}
		t.managers = append(t.managers, tm)
		t.result.Memory = append(t.result.Memory, &Memory{Name: tm.Name, pid: tm.Pid()})
	}
	if _, err := t.cluster.Leader(ctx); err != nil {
		return err
	}
	t.rounds = (int64(t.o.Rate*t.o.Lasts.Seconds()*1.1)+t.o.Extra)/keys + 1
	t.id, err = t.cluster.Run(ctx, []string{"-p", strconv.Itoa(parallelism)}, filepath.Join(t.o.Dir, "bin", "job"),
		"--keys", strconv.Itoa(keys), "--partitions", strconv.Itoa(parallelism), "--records", strconv.FormatInt(t.rounds*keys/parallelism, 10),
		"--rate", strconv.FormatFloat(t.o.Rate/parallelism, 'g', -1, 64), "--hurry", t.hurry, "--output", t.output)
	if err != nil {
		return err
	}
	if _, err := t.cluster.WaitRunning(ctx, t.id, -1); err != nil {
		return err
	}
	t.began = time.Now()
	for _, tm := range t.managers {
		for _, pid := range tm.Children() {
			t.result.Memory = append(t.result.Memory, &Memory{Name: "worker of " + tm.Name, pid: pid, Worker: true})
		}
	}
	return nil
}

// watch notes every process's memory each second.
func (t *trial) watch(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		for _, m := range t.result.Memory {
			if err := m.sample(time.Since(t.began)); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			for _, m := range t.result.Memory {
				m.settle(t.o.Settle)
			}
			return nil
		case <-tick.C:
		}
	}
}

// checkpoint asks for one after the other. One that has begun is awaited beyond ctx.
func (t *trial) checkpoint(ctx context.Context) error {
	cl, err := t.cluster.Client()
	if err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(t.o.Every):
		}
		if err := t.sources(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		began := time.Now()
		wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.o.Timeout+grace)
		r, err := cl.TriggerCheckpoint(wait, t.id, string(job.NewID()))
		cancel()
		c := Checkpoint{After: began.Sub(t.began), Took: time.Since(began)}
		if err != nil {
			c.Reason = err.Error()
		} else {
			c.ID = r.Checkpoint
		}
		t.result.Checkpoints = append(t.result.Checkpoints, c)
		t.say("%s", c)
	}
}

func (c Checkpoint) String() string {
	if c.ID == 0 {
		return fmt.Sprintf("after %v: given up in %v: %s", c.After.Round(time.Second), c.Took.Round(time.Millisecond), c.Reason)
	}
	return fmt.Sprintf("after %v: checkpoint %d completed in %v", c.After.Round(time.Second), c.ID, c.Took.Round(time.Millisecond))
}

// sources notes what the sources' subtasks do with their time.
func (t *trial) sources(ctx context.Context) error {
	i, err := t.cluster.WaitRunning(ctx, t.id, -1)
	if err != nil {
		return err
	}
	t.result.Sources = nil
	for _, task := range i.Tasks {
		if v := vertex(i, task); isSource(i, v) && !v.Coordinator && task.Report.Counters.GetRates() != nil {
			t.result.Sources = append(t.result.Sources, task.Report.Counters.Rates)
		}
	}
	return nil
}

func vertex(i *thalwegv1.JobInfo, task *thalwegv1.TaskStatus) *thalwegv1.Vertex {
	for _, v := range i.Graph.Vertices {
		if v.Id == task.Report.Task.Vertex {
			return v
		}
	}
	return nil
}

// isSource: the vertex is fed by coordinators only.
func isSource(i *thalwegv1.JobInfo, v *thalwegv1.Vertex) bool {
	for _, e := range i.Graph.Edges {
		if e.To != v.GetId() {
			continue
		}
		for _, u := range i.Graph.Vertices {
			if u.Id == e.From && !u.Coordinator {
				return false
			}
		}
	}
	return v != nil
}

// drain has the sink hurry, waits for the end of the job, and checks what it has committed.
func (t *trial) drain(ctx context.Context, before int64) error {
	ctx, cancel := context.WithTimeout(ctx, drainWithin)
	defer cancel()
	began := time.Now()
	if err := os.WriteFile(t.hurry, nil, 0o644); err != nil {
		return err
	}
	all := t.rounds * keys
	// When all is written the job still waits for its last checkpoint, which is not what is measured here.
	_, err := t.cluster.WaitFor(ctx, t.id, func(i *thalwegv1.JobInfo) bool {
		return i.RecordsWritten >= all || i.Summary.Status == thalwegv1.JobStatus_JOB_STATUS_FINISHED
	})
	if err != nil {
		return err
	}
	t.result.Drained = float64(all-before) / time.Since(began).Seconds()
	i, err := t.cluster.WaitFor(ctx, t.id, func(i *thalwegv1.JobInfo) bool {
		return i.Summary.Status == thalwegv1.JobStatus_JOB_STATUS_FINISHED
	})
	if err != nil {
		return err
	}
	t.result.Restarts = i.Restarts
	t.result.Output, err = check(t.output, t.rounds)
	return err
}
