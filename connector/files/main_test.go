package files

import (
	"context"
	"log/slog"
	"testing"

	"go.uber.org/goleak"

	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/internal/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeTask is a subtask that nothing runs in.
type fakeTask struct {
	ctx         context.Context
	fs          storage.FileSystem
	dir         string
	subtask     int
	parallelism int
	generation  flow.Generation
	wake        chan struct{}
}

func newTask(t *testing.T, fs storage.FileSystem) *fakeTask {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	return &fakeTask{ctx: ctx, fs: fs, dir: t.TempDir(), parallelism: 1, generation: flow.Generation{Epoch: 1, N: 1}, wake: make(chan struct{}, 1)}
}

// in is the same subtask in another generation.
func (f *fakeTask) in(epoch, n uint64) *fakeTask {
	g := *f
	g.generation = flow.Generation{Epoch: epoch, N: n}
	return &g
}

func (f *fakeTask) Context() context.Context                      { return f.ctx }
func (f *fakeTask) JobID() string                                 { return "0123456789abcdef0123456789abcdef" }
func (f *fakeTask) JobName() string                               { return "test" }
func (f *fakeTask) Operator() string                              { return "a sink" }
func (f *fakeTask) Subtask() int                                  { return f.subtask }
func (f *fakeTask) Parallelism() int                              { return f.parallelism }
func (f *fakeTask) Generation() flow.Generation                   { return f.generation }
func (f *fakeTask) Logger() *slog.Logger                          { return slog.New(slog.DiscardHandler) }
func (f *fakeTask) FileSystem(string) (storage.FileSystem, error) { return f.fs, nil }
func (f *fakeTask) TempDir() string                               { return f.dir }
func (f *fakeTask) Wake() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}
