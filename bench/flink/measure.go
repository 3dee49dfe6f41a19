package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/thalweg-io/thalweg/bench/flink/harness"
)

// span is what lies between two moments.
type span struct{ from, to harness.Sample }

var errStands = errors.New("no event was emitted in the measured time; the job failed or stands")

// window runs a job that does not end by itself, and measures a time of it.
func window(ctx context.Context, c *harness.Cluster, j harness.Job, settle, length time.Duration) (s span, err error) {
	job, err := c.Run(ctx, j)
	if err != nil {
		return s, err
	}
	if err := job.Flowing(ctx); err != nil {
		return s, err
	}
	if err := rest(ctx, settle); err != nil {
		return s, err
	}
	if s.from, err = job.Sample(); err != nil {
		return s, err
	}
	if err := rest(ctx, length); err != nil {
		return s, err
	}
	if s.to, err = job.Sample(); err != nil {
		return s, err
	}
	if s.to.Emitted == s.from.Emitted {
		return s, errStands
	}
	return s, job.Cancel(ctx)
}

func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// throughAll measures a job from its first events to its end.
func (o options) throughAll(ctx context.Context, c *harness.Cluster) error {
	job, err := c.Run(ctx, o.job)
	if err != nil {
		return err
	}
	if err := job.Flowing(ctx); err != nil {
		return err
	}
	var s span
	if s.from, err = job.Sample(); err != nil {
		return err
	}
	if err := job.Wait(ctx); err != nil {
		return err
	}
	if s.to, err = job.Sample(); err != nil {
		return err
	}
	o.print(s)
	return nil
}

// keepResult runs a job to its end and writes its result.
func (o options) keepResult(ctx context.Context, c *harness.Cluster) error {
	job, err := c.Run(ctx, o.job)
	if err != nil {
		return err
	}
	if err := job.Wait(ctx); err != nil {
		return err
	}
	rows, err := job.Result()
	if err != nil {
		return err
	}
	text := strings.Join(rows, "\n")
	if len(rows) > 0 {
		text += "\n"
	}
	if err := os.WriteFile(o.results, []byte(text), 0o644); err != nil {
		return err
	}
	fmt.Printf("%s %s %d rows\n", o.job.Query, o.settings.Backend, len(rows))
	return nil
}
