package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/storage"
	"github.com/thalweg-io/thalweg/internal/storage/schemes"
	"github.com/thalweg-io/thalweg/internal/stream"
	"github.com/thalweg-io/thalweg/internal/worker/wire"
)

// engine is the job, running: on one host, or on two of this process that a TCP connection joins. There is no leader and no checkpoint.
type engine struct {
	source  *source
	marks   chan struct{}
	failed  chan error
	hosts   []*stream.Host
	network net.Listener
	serving sync.WaitGroup
	files   *storage.Registry
	dir     string
}

// start runs the job of a shape. A nil sink discards; another has to report marks as discard does.
func start(s shape, sink func(discard) flow.Sink[Counted]) (e *engine, err error) {
	e = &engine{source: newSource(s.keys), marks: make(chan struct{}, 1), failed: make(chan error, 1), files: schemes.Open()}
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
	if e.network, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	e.deploy(g, s.exchange)
	select {
	case <-e.source.ready:
		return e, nil
	case err := <-e.failed:
		return nil, err
	}
}

// deploy has the last vertex, the count, run on a second host if there is an exchange.
func (e *engine) deploy(g *stream.Graph, exchange bool) {
	names := []string{"sender"}
	if exchange {
		names = append(names, "receiver")
	}
	generation := job.Generation{Epoch: 1, N: 1}
	var placement []*thalwegv1.Placement
	tasks := make([][]*thalwegv1.TaskID, len(names))
	for i, v := range g.Job.Vertices {
		on := 0
		if exchange && i == len(g.Job.Vertices)-1 {
			on = 1
		}
		id := job.TaskID{Vertex: v.Id}.Proto()
		tasks[on] = append(tasks[on], id)
		placement = append(placement, &thalwegv1.Placement{Task: id, Taskmanager: names[on], Incarnation: names[on], DataAddress: e.network.Addr().String()})
	}
	id := string(job.NewID())
	for i, name := range names {
		h := stream.NewHost(g, stream.HostConfig{Job: id, TaskManagerIncarnation: name, Incarnation: name, TempDir: e.dir, Storage: e.files}, e)
		e.hosts = append(e.hosts, h)
		defer h.Deploy(&thalwegv1.Deploy{Job: id, GraphVersion: 1, Generation: generation.Proto(), Tasks: tasks[i], Placement: placement})
	}
	e.serving.Go(e.accept)
}

// accept hands connections to the receiving host, as a taskmanager does, until the listener is closed.
func (e *engine) accept() {
	for {
		c, err := e.network.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				e.fail(err)
			}
			return
		}
		hello := new(thalwegv1.DataHello)
		if err := wire.ReadFrame(c, hello, wire.MaxHello); err != nil {
			c.Close()
			e.fail(fmt.Errorf("read the hello of a data connection: %w", err))
			return
		}
		e.hosts[len(e.hosts)-1].Accept(c, hello)
	}
}

// run has n records counted, and returns when they are.
func (e *engine) run(n int) error {
	e.source.grant(n)
	select {
	case <-e.marks:
		return nil
	case err := <-e.failed:
		return err
	}
}

func (e *engine) close() {
	for _, h := range e.hosts {
		h.Close()
	}
	if e.network != nil {
		e.network.Close()
	}
	e.serving.Wait()
	e.files.Close()
	os.RemoveAll(e.dir)
}

// fail keeps the first failure.
func (e *engine) fail(err error) {
	select {
	case e.failed <- err:
	default:
	}
}

// TaskState implements stream.Reporter.
func (e *engine) TaskState(r *thalwegv1.TaskReport) {
	if r.State == thalwegv1.TaskState_TASK_STATE_FAILED {
		e.fail(fmt.Errorf("task %s: %s", r.Task.Vertex, r.Error))
	}
}

// Acknowledge implements stream.Reporter: there are no checkpoints.
func (e *engine) Acknowledge(*thalwegv1.Acknowledge) {}

// Decline implements stream.Reporter.
func (e *engine) Decline(*thalwegv1.Decline) {}

// Confirmed implements stream.Reporter.
func (e *engine) Confirmed(*thalwegv1.Confirmed) {}
