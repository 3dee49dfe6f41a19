package stream

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
	"github.com/thalweg-io/thalweg/internal/storage"
	"github.com/thalweg-io/thalweg/internal/stream/align"
)

const maxMetadata = 1 << 30

// build makes the tasks, their channels and chains. Nothing runs yet; data connections may already arrive.
func (h *Host) build(g *generation) error {
	where := map[job.TaskID]*thalwegv1.Placement{}
	for _, p := range g.deploy.Placement {
		where[job.TaskIDOf(p.Task)] = p
	}
	for _, p := range g.deploy.Tasks {
		id := job.TaskIDOf(p)
		v := h.vertex(id.Vertex)
		if v == nil {
			return fmt.Errorf("vertex %q is not in the graph that this binary builds", id.Vertex)
		}
		ctx, cancel := context.WithCancel(g.ctx)
		t := &task{id: id, gen: g, host: h, vertex: v, ctx: ctx, cancel: cancel, wake: make(chan struct{}, 1), credit: make(chan struct{}, 1), severed: make(chan struct{}), done: make(chan struct{}),
			edges: map[int][]*outChannel{}, restored: g.deploy.Restored, completed: g.deploy.Restored,
			log: h.c.Log.With("vertex", v.Name, "subtask", id.Subtask, "generation", g.id.String())}
		g.tasks[id] = t
	}
	for _, id := range g.order() {
		h.receive(g, g.tasks[id])
	}
	for _, id := range g.order() {
		if err := h.send(g, g.tasks[id], where); err != nil {
			return err
		}
	}
	for _, id := range g.order() {
		t := g.tasks[id]
		i := slices.IndexFunc(h.graph.Job.Vertices, func(v *thalwegv1.Vertex) bool { return v.Id == id.Vertex })
		chain, err := buildChain(h.graph.Vertices[i], &TaskContext{t})
		if err != nil {
			return fmt.Errorf("build %s: %w", id, err)
		}
		t.chain = chain
		if t.head = chain.Head; t.head == nil && len(chain.Gates) > 0 {
			t.head = chain.Gates[0].control()
		}
	}
	return nil
}

// buildChain runs user code: its panic costs the job's tasks, not the process.
func buildChain(v *Vertex, t *TaskContext) (c *Chain, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return v.Build(t)
}

// receivers are the subtasks of the next vertex that a subtask's channels of an edge go to.
func receivers(e *thalwegv1.Edge, from, fromParallelism, toParallelism int) []int {
	if e.Partitioning == thalwegv1.Partitioning_PARTITIONING_FORWARD && fromParallelism == toParallelism {
		return []int{from}
	}
	all := make([]int, toParallelism)
	for i := range all {
		all[i] = i
	}
	return all
}

// receive makes a task's receiving ends.
func (h *Host) receive(g *generation, t *task) {
	gate := 0
	for _, e := range h.graph.Job.Edges {
		if e.To == t.id.Vertex {
			from := h.vertex(e.From)
			for s := range int(from.Parallelism) {
				if !slices.Contains(receivers(e, s, int(from.Parallelism), int(t.vertex.Parallelism)), t.id.Subtask) {
					continue
				}
				c := g.links.receiver(channelName{e.Id, s, t.id.Subtask}, t, gate)
				t.inputs = append(t.inputs, c)
			}
			gate++
		}
	}
	t.aligner = align.New(len(t.inputs), g.deploy.Restored)
}

// send makes a task's sending ends, to tasks of this process or to connections.
func (h *Host) send(g *generation, t *task, where map[job.TaskID]*thalwegv1.Placement) error {
	for _, e := range h.graph.Job.Edges {
		if e.From != t.id.Vertex {
			continue
		}
		to := h.vertex(e.To)
		for _, r := range receivers(e, t.id.Subtask, int(t.vertex.Parallelism), int(to.Parallelism)) {
			o := newOutChannel(t, len(t.outs))
			name := channelName{e.Id, t.id.Subtask, r}
			target := job.TaskID{Vertex: e.To, Subtask: r}
			if other := g.tasks[target]; other != nil {
				if err := g.links.join(name, o); err != nil {
					return err
				}
			} else {
				if where[target] == nil {
					return fmt.Errorf("the placement does not say where %v runs", target)
				}
				o.remote = g.links.sender(where[target], name, o)
			}
			t.edges[int(e.Id)] = append(t.edges[int(e.Id)], o)
			t.outs = append(t.outs, o)
		}
	}
	return nil
}

// openTask connects, restores and opens one task, on its own goroutine.
func (h *Host) openTask(g *generation, t *task) error {
	h.state(g, t.id, thalwegv1.TaskState_TASK_STATE_INITIALIZING, nil)
	if err := g.links.dial(h, g); err != nil {
		return err
	}
	own, reader, err := h.restored(g, t)
	if err != nil {
		return err
	}
	if reader != nil {
		defer reader.Close()
	}
	ended := slices.ContainsFunc(g.deploy.Ended, func(p *thalwegv1.TaskID) bool { return job.TaskIDOf(p) == t.id })
	if err := t.openChain(own, reader, ended); err != nil {
		return err
	}
	if !ended {
		h.state(g, t.id, thalwegv1.TaskState_TASK_STATE_RUNNING, nil)
	}
	return nil
}

// restored is what a task starts from: its own state, and a reader of the keyed state of all its vertex's subtasks.
func (h *Host) restored(g *generation, t *task) (own *checkpoint.SubtaskState, reader *checkpoint.Reader, err error) {
	if g.deploy.Restored == 0 {
		return nil, nil, nil
	}
	m, err := g.metadata(h)
	if err != nil {
		return nil, nil, fmt.Errorf("restore checkpoint %d: %w", g.deploy.Restored, err)
	}
	var all []*checkpoint.SubtaskState
	for _, s := range m.Subtasks {
		if s.Vertex == t.id.Vertex {
			all = append(all, s)
			if s.Subtask == t.id.Subtask {
				own = s
			}
		}
	}
	fs, err := h.c.Storage.Resolve(t.ctx, g.deploy.CheckpointDir)
	if err != nil {
		return nil, nil, err
	}
	if reader, err = checkpoint.Open(t.ctx, fs, g.deploy.CheckpointDir, all...); err != nil {
		return nil, nil, fmt.Errorf("restore checkpoint %d: %w", g.deploy.Restored, err)
	}
	return own, reader, nil
}

// metadata reads the restored checkpoint's _metadata, once for all tasks.
func (g *generation) metadata(h *Host) (*checkpoint.Metadata, error) {
	g.meta.Do(func() {
		path := g.deploy.MetadataPath
		if !strings.Contains(path, "/") {
			g.metaErr = fmt.Errorf("the deploy names no metadata file (%q)", path)
			return
		}
		fs, err := h.c.Storage.Resolve(g.ctx, path)
		if err != nil {
			g.metaErr = err
			return
		}
		b, err := storage.ReadFile(g.ctx, fs, path, maxMetadata)
		if err != nil {
			g.metaErr = err
			return
		}
		g.metaData, g.metaErr = checkpoint.DecodeMetadata(path, b)
	})
	return g.metaData, g.metaErr
}
