// Package hosts runs a job for a benchmark: on one worker's host, or on two that a TCP connection joins, in this process or in two, with a
// stand-in for the leader that takes checkpoints when it is told to. There is no cluster and no restart: the first failure is the end.
//
// It is used by benchmarks only.
package hosts

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/storage"
	"github.com/thalweg-io/thalweg/internal/storage/schemes"
	"github.com/thalweg-io/thalweg/internal/stream"
	"github.com/thalweg-io/thalweg/internal/worker/wire"
)

// Bed is a job that runs.
type Bed struct {
	graph   *stream.Graph
	id      string
	hosts   []*stream.Host
	network net.Listener
	serving sync.WaitGroup
	files   *storage.Registry
	last    int64 // completed checkpoint
	next    int64
	acks    chan *thalwegv1.Acknowledge
	failed  chan error
}

var generation = job.Generation{Epoch: 1, N: 1}

// Start runs a job. dir is for temporary files and checkpoints. apart has the last vertex run on a second host.
func Start(g *stream.Graph, dir string, apart bool) (*Bed, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	hosts := []string{first}
	if apart {
		hosts = append(hosts, second)
	}
	return start(g, dir, string(job.NewID()), l, l.Addr().String(), hosts, apart), nil
}

// Part is one end of a job whose last vertex runs in a process of its own. Both processes are given the same graph and id, and the receiving end
// is there first. There are no checkpoints.
type Part struct {
	Job     string       // any name
	Network net.Listener // of the receiving end, which closes it; nil: it is the sending end
	Address string       // of that listener
}

// StartPart runs one end of a job.
func StartPart(g *stream.Graph, dir string, p Part) *Bed {
	if p.Network != nil {
		return start(g, dir, p.Job, p.Network, p.Network.Addr().String(), []string{second}, true)
	}
	return start(g, dir, p.Job, nil, p.Address, []string{first}, true)
}

// The hosts that there are. All vertices run on the first, or all but the last.
const first, second = "first", "second"

// start runs what some hosts have of a job; if apart, that is in two. Records come to the last of them by l, whose address is known to all.
func start(g *stream.Graph, dir, id string, l net.Listener, address string, names []string, apart bool) *Bed {
	b := &Bed{graph: g, id: id, network: l, files: schemes.Open(), acks: make(chan *thalwegv1.Acknowledge, 64), failed: make(chan error, 1)}
	var placement []*thalwegv1.Placement
	tasks := map[string][]*thalwegv1.TaskID{}
	for i, v := range g.Job.Vertices {
		on := first
		if apart && i == len(g.Job.Vertices)-1 {
			on = second
		}
		id := job.TaskID{Vertex: v.Id}.Proto()
		tasks[on] = append(tasks[on], id)
		placement = append(placement, &thalwegv1.Placement{Task: id, Taskmanager: on, Incarnation: on, DataAddress: address})
	}
	for _, name := range names {
		h := stream.NewHost(g, stream.HostConfig{Job: b.id, TaskManagerIncarnation: name, Incarnation: name, TempDir: dir, Storage: b.files, InlineThreshold: 20 << 10}, b)
		h.SessionEpoch(1)
		b.hosts = append(b.hosts, h)
	}
	if l != nil {
		b.serving.Go(b.accept)
	}
	for i := len(names) - 1; i >= 0; i-- {
		b.hosts[i].Deploy(&thalwegv1.Deploy{Job: b.id, GraphVersion: 1, Generation: generation.Proto(), Tasks: tasks[names[i]], Placement: placement,
			CheckpointDir: "file://" + dir + "/" + b.id})
	}
	return b
}

// accept hands connections to the last host, as a taskmanager does, until the listener is closed.
func (b *Bed) accept() {
	for {
		c, err := b.network.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				b.fail(err)
			}
			return
		}
		hello := new(thalwegv1.DataHello)
		if err := wire.ReadFrame(c, hello, wire.MaxHello); err != nil {
			c.Close()
			b.fail(fmt.Errorf("read the hello of a data connection: %w", err))
			return
		}
		b.hosts[len(b.hosts)-1].Accept(c, hello)
	}
}

// Failed gives the first failure.
func (b *Bed) Failed() <-chan error { return b.failed }

// Checkpoint takes one and completes it. It returns how long that took and how many bytes were written.
func (b *Bed) Checkpoint() (took time.Duration, bytes int64, err error) {
	began := time.Now()
	b.next++
	for _, h := range b.hosts {
		h.Trigger(1, &thalwegv1.Trigger{Job: b.id, Generation: generation.Proto(), Checkpoint: b.next, Base: b.last, AlignmentDeadlineMs: 60_000})
	}
	for range b.graph.Job.Vertices {
		select {
		case a := <-b.acks:
			bytes += a.Bytes
		case err := <-b.failed:
			return 0, 0, err
		case <-time.After(5 * time.Minute):
			return 0, 0, fmt.Errorf("checkpoint %d is not acknowledged after 5 minutes", b.next)
		}
	}
	took = time.Since(began)
	b.last = b.next
	for _, h := range b.hosts {
		h.Complete(generation, b.last)
	}
	return took, bytes, nil
}

// Close ends the job.
func (b *Bed) Close() {
	for _, h := range b.hosts {
		h.Close()
	}
	if b.network != nil {
		b.network.Close()
	}
	b.serving.Wait()
	b.files.Close()
}

func (b *Bed) fail(err error) {
	select {
	case b.failed <- err:
	default:
	}
}

// TaskState implements stream.Reporter.
func (b *Bed) TaskState(r *thalwegv1.TaskReport) {
	if r.State == thalwegv1.TaskState_TASK_STATE_FAILED {
		b.fail(fmt.Errorf("task %s: %s", r.Task.Vertex, r.Error))
	}
}

// Acknowledge implements stream.Reporter.
func (b *Bed) Acknowledge(a *thalwegv1.Acknowledge) { b.acks <- a }

// Decline implements stream.Reporter.
func (b *Bed) Decline(d *thalwegv1.Decline) {
	b.fail(fmt.Errorf("checkpoint %d is declined: %s", d.Checkpoint, d.Reason))
}

// Confirmed implements stream.Reporter.
func (b *Bed) Confirmed(*thalwegv1.Confirmed) {}
