package flowtest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
	"github.com/thalweg-io/thalweg/internal/storage"
	"github.com/thalweg-io/thalweg/internal/stream"
)

// run is the job at one parallelism, from its start or a restore until the next: one host with all of its tasks. It stands where a leader does,
// and is the host's Reporter; what tasks report is behind mu.
type run struct {
	graph      *stream.Graph
	host       *stream.Host
	id         string
	generation job.Generation
	files      *storage.Registry
	news       *news
	counter    int64 // of checkpoints; those of a job never have the same number
	completed  int64

	mu struct {
		sync.Mutex
		states    map[job.TaskID]thalwegv1.TaskState
		acks      map[job.TaskID]*thalwegv1.Acknowledge // of the newest checkpoint
		confirmed map[job.TaskID]int64
		finished  map[job.TaskID][]byte // state of subtasks that are FINISHED, which every checkpoint has from then on
	}
}

// epoch is that of the only session.
const epoch = 1

// begin deploys all tasks, and waits until they run.
func (r *run) begin(c stream.HostConfig, from *Snapshot) error {
	r.mu.states = make(map[job.TaskID]thalwegv1.TaskState)
	r.mu.acks = make(map[job.TaskID]*thalwegv1.Acknowledge)
	r.mu.confirmed = make(map[job.TaskID]int64)
	r.mu.finished = make(map[job.TaskID][]byte)
	d := &thalwegv1.Deploy{Job: r.id, GraphVersion: 1, Generation: r.generation.Proto(), CheckpointDir: r.dir()}
	for _, id := range tasks(r.graph.Job) {
		d.Tasks = append(d.Tasks, id.Proto())
		d.Placement = append(d.Placement, &thalwegv1.Placement{Task: id.Proto(), Taskmanager: c.Incarnation, Incarnation: c.Incarnation})
		r.mu.states[id] = thalwegv1.TaskState_TASK_STATE_DEPLOYING
	}
	if from != nil {
		path, err := r.store(from)
		if err != nil {
			return err
		}
		r.counter, r.completed = max(r.counter, from.id), from.id
		d.Restored, d.MetadataPath, d.Ended = from.id, path, from.ended(r.graph.Job)
	}
	r.host = stream.NewHost(r.graph, c, r)
	r.host.SessionEpoch(epoch)
	r.host.Deploy(d)
	return r.news.wait("start the tasks", func() bool { return r.all(tasks(r.graph.Job), started) })
}

// dir is where checkpoints are, of which all but the metadata travels with acknowledgements.
func (r *run) dir() string { return scheme + ":///" + r.id }

// store writes what a restore begins from.
func (r *run) store(s *Snapshot) (path string, err error) {
	m := &checkpoint.Metadata{JobID: job.ID(r.id), ID: s.id, Generation: s.generation, GraphVersion: 1, Subtasks: s.onto(r.graph.Job)}
	path = fmt.Sprintf("%s/%s/%s/_metadata", r.dir(), r.generation, checkpoint.Directory(s.id))
	fs, err := r.files.Resolve(context.Background(), path)
	if err != nil {
		return "", err
	}
	return path, storage.WriteFile(context.Background(), fs, path, m.Encode())
}

// checkpoint takes one of all that the sources had given when their barrier came, and completes it.
func (r *run) checkpoint() (*Snapshot, error) {
	live := slices.DeleteFunc(tasks(r.graph.Job), func(id job.TaskID) bool { return r.state(id) == thalwegv1.TaskState_TASK_STATE_FINISHED })
	if len(live) == 0 {
		return r.snapshot(), nil
	}
	r.counter++
	r.mu.Lock()
	clear(r.mu.acks)
	r.mu.Unlock()
	r.host.Trigger(epoch, &thalwegv1.Trigger{Job: r.id, Generation: r.generation.Proto(), Checkpoint: r.counter, Base: r.completed,
		AlignmentDeadlineMs: patience.Milliseconds()})
	if err := r.news.wait("take a snapshot", func() bool { return r.all(live, acknowledged) }); err != nil {
		return nil, err
	}
	s := r.snapshot()
	r.completed = r.counter
	r.host.Complete(r.generation, r.completed)
	return s, r.news.wait("commit a snapshot", func() bool { return r.all(live, settled) })
}

// snapshot is what the newest checkpoint consists of.
func (r *run) snapshot() *Snapshot {
	s := &Snapshot{id: r.counter, generation: r.generation, vertices: r.graph.Job.Vertices}
	r.mu.Lock()
	defer r.mu.Unlock()
	states := maps.Clone(r.mu.finished)
	for id, a := range r.mu.acks {
		states[id] = a.State
		if a.Ended {
			r.mu.finished[id] = a.State
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(states), job.TaskID.Compare) {
		state, err := checkpoint.DecodeSubtaskState(states[id])
		if err != nil {
			panic(fmt.Sprintf("flowtest: the state that %v acknowledged: %v", id, err)) // it was encoded in this process
		}
		s.subtasks = append(s.subtasks, state)
	}
	return s
}

// tasks are all subtasks of a job.
func tasks(g *thalwegv1.JobGraph) (all []job.TaskID) {
	for _, v := range g.Vertices {
		for i := range int(v.Parallelism) {
			all = append(all, job.TaskID{Vertex: v.Id, Subtask: i})
		}
	}
	return all
}

// readers are the subtasks that read the source of an operator.
func (r *run) readers(uid string) (all []job.TaskID) {
	for _, id := range tasks(r.graph.Job) {
		for _, v := range r.graph.Job.Vertices {
			if v.Id == id.Vertex && v.Operators[0].Uid == uid {
				all = append(all, id)
			}
		}
	}
	return all
}

func (r *run) state(id job.TaskID) thalwegv1.TaskState {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.states[id]
}

// all reports whether something is so of all tasks of a list, as far as they have reported.
func (r *run) all(ids []job.TaskID, is func(*run, job.TaskID) bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !slices.ContainsFunc(ids, func(id job.TaskID) bool { return !is(r, id) })
}

// What may be so of a task; mu is held.

func started(r *run, id job.TaskID) bool {
	return r.mu.states[id] == thalwegv1.TaskState_TASK_STATE_RUNNING || ended(r, id)
}

func ended(r *run, id job.TaskID) bool {
	return r.mu.states[id] == thalwegv1.TaskState_TASK_STATE_ENDED || finished(r, id)
}

func finished(r *run, id job.TaskID) bool {
	return r.mu.states[id] == thalwegv1.TaskState_TASK_STATE_FINISHED
}

func acknowledged(r *run, id job.TaskID) bool { return r.mu.acks[id] != nil }

// settled: nothing of the newest checkpoint remains to be done.
func settled(r *run, id job.TaskID) bool {
	if r.mu.confirmed[id] < r.counter {
		return false
	}
	return !r.mu.acks[id].Ended || finished(r, id)
}

// TaskState implements stream.Reporter.
func (r *run) TaskState(report *thalwegv1.TaskReport) {
	id := job.TaskIDOf(report.Task)
	r.mu.Lock()
	r.mu.states[id] = report.State
	r.mu.Unlock()
	if report.State == thalwegv1.TaskState_TASK_STATE_FAILED {
		r.news.fail(fmt.Errorf("%s: %s", r.name(id), report.Error))
		return
	}
	r.news.tell()
}

// name is a task as people know it.
func (r *run) name(id job.TaskID) string {
	for _, v := range r.graph.Job.Vertices {
		if v.Id == id.Vertex {
			return fmt.Sprintf("%s (%d of %d)", v.Name, id.Subtask+1, v.Parallelism)
		}
	}
	return id.String()
}

// Acknowledge implements stream.Reporter.
func (r *run) Acknowledge(a *thalwegv1.Acknowledge) {
	r.mu.Lock()
	r.mu.acks[job.TaskIDOf(a.Task)] = a
	r.mu.Unlock()
	r.news.tell()
}

// Decline implements stream.Reporter.
func (r *run) Decline(d *thalwegv1.Decline) {
	r.news.fail(fmt.Errorf("%s: it takes no snapshot: %s", r.name(job.TaskIDOf(d.Task)), d.Reason))
}

// Confirmed implements stream.Reporter.
func (r *run) Confirmed(c *thalwegv1.Confirmed) {
	r.mu.Lock()
	r.mu.confirmed[job.TaskIDOf(c.Task)] = c.Checkpoint
	r.mu.Unlock()
	r.news.tell()
}
