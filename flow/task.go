package flow

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/thalweg-io/thalweg/internal/storage"
	"github.com/thalweg-io/thalweg/internal/stream"
)

// Task is what a source or a sink may ask of the subtask that it runs in. Its methods may be called from any goroutine.
type Task interface {
	// Context ends with the task. Whatever blocks, blocks no longer than that.
	Context() context.Context
	JobID() string
	JobName() string
	// Operator is the uid of the source or sink.
	Operator() string
	Subtask() int
	Parallelism() int
	Generation() Generation
	Logger() *slog.Logger
	// FileSystem is the one that a path or URI belongs to. It is shared: do not close it.
	FileSystem(name string) (storage.FileSystem, error)
	// TempDir is a local directory of the process for what need not outlive it.
	TempDir() string
	// Wake lets the subtask look at its reader again, after it was told WaitWake.
	Wake()
}

// Generation is one run of the job's tasks. Generations of a job are totally ordered, across leaders too: by Epoch, then by N.
type Generation struct{ Epoch, N uint64 }

// Less reports whether g is an earlier generation than o.
func (g Generation) Less(o Generation) bool {
	return g.Epoch < o.Epoch || g.Epoch == o.Epoch && g.N < o.N
}

// String gives "epoch.n".
func (g Generation) String() string { return fmt.Sprintf("%d.%d", g.Epoch, g.N) }

// taskOf gives a subtask's context to one operator.
type taskOf struct {
	*stream.TaskContext
	uid string
}

func (t taskOf) Operator() string { return t.uid }
func (t taskOf) JobID() string    { return string(t.TaskContext.JobID()) }

func (t taskOf) Generation() Generation {
	g := t.TaskContext.Generation()
	return Generation{Epoch: g.Epoch, N: g.N}
}
