package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/client"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/test/cluster"
)

// demo is the running cluster and its job.
type demo struct {
	cluster      *cluster.Cluster
	jobmanagers  []*cluster.Process
	taskmanagers []*cluster.Process
	dir          string
	job          string
	began        time.Time
	faults       []fault
}

// fault is one thing that was done to the cluster.
type fault struct {
	what string
	at   time.Time
}

// The log has 10,000 requests: at this rate the replay takes about a minute.
const rate = 170

func start(ctx context.Context, dir, bin, input string) (*demo, error) {
	c, err := cluster.New(dir, bin, map[string]string{
		"high-availability.type":           "local",
		"high-availability.local.dir":      filepath.Join(dir, "ha"),
		"high-availability.storageDir":     filepath.Join(dir, "storage"),
		"execution.checkpointing.dir":      filepath.Join(dir, "checkpoints"),
		"execution.checkpointing.interval": "1 s",
	})
	if err != nil {
		return nil, err
	}
	d := &demo{cluster: c, dir: dir, began: time.Now()}
	ok := false
	defer func() {
		if !ok {
			c.Tail(os.Stderr, 20)
			c.Close()
		}
	}()
	for i := range 2 {
		p, err := c.JobManager(fmt.Sprintf("jobmanager-%d", i+1))
		if err != nil {
			return nil, err
		}
		d.jobmanagers = append(d.jobmanagers, p)
		t, err := c.TaskManager(fmt.Sprintf("taskmanager-%d", i+1), 4)
		if err != nil {
			return nil, err
		}
		d.taskmanagers = append(d.taskmanagers, t)
	}
	for _, sub := range []string{"probes", "out"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	if err := d.say(ctx, "two jobmanagers and two taskmanagers are up"); err != nil {
		return nil, err
	}
	d.job, err = c.Run(ctx, []string{"-p", "4"}, filepath.Join(bin, "examples", "accesslog"), "--input", input,
		"--output", filepath.Join(dir, "out"), "--rate", fmt.Sprint(rate), "--splits", "4", "--probe", filepath.Join(dir, "probes"))
	if err != nil {
		return nil, err
	}
	if _, err := c.WaitRunning(ctx, d.job, -1); err != nil {
		return nil, err
	}
	ok = true
	return d, d.say(ctx, "accesslog replays 10,000 requests through 4 splits, checkpoints each second")
}

// say prints a line of the timeline, with who leads.
func (d *demo) say(ctx context.Context, what string) error {
	l, err := d.cluster.Leader(ctx)
	if err != nil {
		return err
	}
	name := l.Address
	if p, err := cluster.Which(l, d.jobmanagers...); err == nil {
		name = p.Name
	}
	fmt.Printf("%6.1f s  epoch %d (%s)  %s\n", time.Since(d.began).Seconds(), l.Epoch, name, what)
	return nil
}

func (d *demo) fault(what string, do func()) {
	at := time.Now()
	do()
	d.faults = append(d.faults, fault{what, at})
	fmt.Printf("%6.1f s  %s\n", at.Sub(d.began).Seconds(), what)
}

// play does the faults at their times and waits for the end of the job.
func (d *demo) play(ctx context.Context) error {
	if err := d.settle(ctx, 8*time.Second); err != nil {
		return err
	}
	l, err := d.cluster.Leader(ctx)
	if err != nil {
		return err
	}
	leader, err := cluster.Which(l, d.jobmanagers...)
	if err != nil {
		return err
	}
	d.fault("kill -9 of the leader", leader.Kill)
	if err := d.replace(leader); err != nil {
		return err
	}
	if err := d.settle(ctx, 8*time.Second); err != nil {
		return err
	}
	tm := d.taskmanagers[0]
	d.fault("kill -9 of a taskmanager", tm.Kill)
	if _, err := d.cluster.WaitRunning(ctx, d.job, 0); err != nil {
		return err
	}
	if err := d.say(ctx, "the job runs again on the other taskmanager, from its newest checkpoint"); err != nil {
		return err
	}
	if err := d.settle(ctx, 8*time.Second); err != nil {
		return err
	}
	d.fault("kill -9 of both jobmanagers, none for 5 s", func() {
		for _, p := range d.jobmanagers {
			p.Kill()
		}
	})
	if err := sleep(ctx, 5*time.Second); err != nil {
		return err
	}
	for _, p := range append([]*cluster.Process(nil), d.jobmanagers...) {
		if err := d.replace(p); err != nil {
			return err
		}
	}
	if err := d.settle(ctx, 2*time.Second); err != nil {
		return err
	}
	return d.finish(ctx)
}

func (d *demo) replace(p *cluster.Process) error {
	n, err := d.cluster.JobManager(p.Name)
	if err != nil {
		return err
	}
	for i, q := range d.jobmanagers {
		if q == p {
			d.jobmanagers[i] = n
		}
	}
	return nil
}

// settle lets the job run for a while and says what it did.
func (d *demo) settle(ctx context.Context, t time.Duration) error {
	if err := sleep(ctx, t); err != nil {
		return err
	}
	i, err := d.info(ctx)
	if err != nil {
		return err
	}
	return d.say(ctx, fmt.Sprintf("generation %v: %d requests read, %d checkpoints, newest %d", job.GenerationOf(i.Generation), i.RecordsRead,
		i.Checkpoints.GetCompleted(), i.Checkpoints.GetLatestId()))
}

func (d *demo) info(ctx context.Context) (*thalwegv1.JobInfo, error) {
	c, err := d.cluster.Client()
	if err != nil {
		return nil, err
	}
	return c.Info(ctx, d.job)
}

func (d *demo) finish(ctx context.Context) error {
	i, err := d.cluster.WaitFor(ctx, d.job, func(i *thalwegv1.JobInfo) bool { return client.Ended(i.Summary.Status) })
	if err != nil {
		return err
	}
	if i.Summary.Status != thalwegv1.JobStatus_JOB_STATUS_FINISHED {
		return fmt.Errorf("the job ended as %s", i.Summary.Status)
	}
	return d.say(ctx, fmt.Sprintf("the job has FINISHED, with %d restart(s)", i.Restarts))
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
