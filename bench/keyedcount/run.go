package main

import (
	"os"

	"github.com/thalweg-io/thalweg/bench/hosts"
	"github.com/thalweg-io/thalweg/bench/keyedcount/counting"
)

// engine is the job, running: on one host, or on two of this process that a TCP connection joins. There are no checkpoints.
type engine struct {
	control *counting.Control
	bed     *hosts.Bed
	dir     string
}

// start runs the job of a shape.
func start(s counting.Shape) (e *engine, err error) {
	e = &engine{}
	defer func() {
		if err != nil {
			e.close()
		}
	}()
	if e.dir, err = os.MkdirTemp("", "thalweg-bench-"); err != nil {
		return nil, err
	}
	g, control, err := counting.New(s, nil)
	if err != nil {
		return nil, err
	}
	e.control = control
	if e.bed, err = hosts.Start(g, e.dir, s.Exchange); err != nil {
		return nil, err
	}
	return e, e.await(control.Ready())
}

// run has n records counted, and returns when they are.
func (e *engine) run(n int) error {
	e.control.Grant(int64(n))
	return e.await(e.control.Counted())
}

func (e *engine) await(event <-chan struct{}) error {
	select {
	case <-event:
		return nil
	case err := <-e.bed.Failed():
		return err
	}
}

func (e *engine) close() {
	if e.bed != nil {
		e.bed.Close()
	}
	os.RemoveAll(e.dir)
}
