package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/thalweg-io/thalweg/test/services"
)

// downGrace is how long the supervisor may take to end its servers before all are killed one by one.
const downGrace = 30 * time.Second

// down stops the supervisor and what it has recorded, and returns when all are gone. Data and logs stay.
func down(ctx context.Context, dir string, out io.Writer) error {
	r, err := read(dir)
	if err != nil {
		return err
	}
	if r == nil {
		fmt.Fprintf(out, "nothing is up in %s\n", dir)
		return nil
	}
	if err := r.Supervisor.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := gone(ctx, r.Supervisor, downGrace); err != nil {
		if ctx.Err() != nil {
			return err
		}
		if err := r.Supervisor.Signal(syscall.SIGKILL); err != nil {
			return err
		}
	}
	// The servers end with the supervisor in any case; this is for the moment until they are gone.
	var errs []error
	for _, s := range r.Servers {
		errs = append(errs, s.Signal(syscall.SIGKILL), gone(ctx, s.Identity, downGrace))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := remove(dir); err != nil {
		return err
	}
	fmt.Fprintf(out, "stopped %d servers; data and logs are still in %s\n", len(r.Servers), dir)
	return nil
}

// gone waits for a process, which is not this one's child, to end.
func gone(ctx context.Context, id services.Identity, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for id.Alive() {
		if time.Now().After(deadline) {
			return fmt.Errorf("process %d is still there after %v", id.PID, limit)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
