package main

import (
	"os"

	"github.com/thalweg-io/thalweg/bench/hosts"
	"github.com/thalweg-io/thalweg/flow"
)

// engine is the job, running: on one host, or on two of this process that a TCP connection joins. There are no checkpoints.
type engine struct {
	source *source
	marks  chan struct{}
	bed    *hosts.Bed
	dir    string
}

// start runs the job of a shape. A nil sink discards; another has to report marks as discard does.
func start(s shape, sink func(discard) flow.Sink[Counted]) (e *engine, err error) {
	e = &engine{source: newSource(s.keys), marks: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			e.close()
		}
	}()
	if e.dir, err = os.MkdirTemp("", "thalweg-bench-"); err != nil {
		return nil, err
	}
	var dst flow.Sink[Counted] = discard{e.marks}
	if sink != nil {
		dst = sink(discard{e.marks})
	}
	g, err := s.graph(e.source, dst)
	if err != nil {
		return nil, err
	}
	if e.bed, err = hosts.Start(g, e.dir, s.exchange); err != nil {
		return nil, err
	}
	select {
	case <-e.source.ready:
		return e, nil
	case err := <-e.bed.Failed():
		return nil, err
	}
}

// run has n records counted, and returns when they are.
func (e *engine) run(n int) error {
	e.source.grant(n)
	select {
	case <-e.marks:
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
