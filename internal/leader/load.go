package leader

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/ha"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/scheduler"
	"github.com/thalweg-io/thalweg/internal/storage"
)

// maxStored bounds the file with a job's graph and arguments, and maxMetadata a checkpoint's _metadata.
const (
	maxStored   = 256 << 20
	maxMetadata = 1 << 30
)

// load reads everything that the store holds of one job. A job that cannot be read concerns no other.
func (l *Leader) load(ctx context.Context, id job.ID) {
	ev, err := l.read(ctx, id)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		l.post(func() { l.forJob(id, scheduler.LoadFailed{Error: err.Error()}) })
		return
	}
	l.post(func() { l.forJob(id, *ev) })
}

// read takes the result first: a job that has one is never run again.
func (l *Leader) read(ctx context.Context, id job.ID) (*scheduler.Loaded, error) {
	s := l.c.Store
	ev := &scheduler.Loaded{CheckpointDir: l.checkpointDir(id)}
	var err error
	if ev.Result, err = ReadResult(ctx, s, id); err != nil {
		return nil, err
	}
	if ev.Graph, err = ReadGraphRecord(ctx, s, id); err != nil {
		return nil, err
	}
	execution := new(thalwegv1.Execution)
	if _, ok, err := readRecord(ctx, s, executionPath(id), execution); err != nil {
		return nil, err
	} else if ok {
		ev.Execution = execution
	}
	if ev.Counter, err = l.readCounter(ctx, id); err != nil {
		return nil, err
	}
	if ev.Pointers, err = l.readPointers(ctx, id); err != nil {
		return nil, err
	}
	if ev.Result != nil {
		return ev, nil // only to be cleaned up
	}
	if ev.Graph == nil {
		return nil, fmt.Errorf("the store has records of the job, but no graph and no result")
	}
	if ev.Stored, err = l.readStored(ctx, ev.Graph); err != nil {
		return nil, err
	}
	ev.Configuration = ev.Stored.Configuration
	if l.c.Effective != nil {
		if ev.Configuration, err = l.c.Effective(ev.Stored.Configuration); err != nil {
			return nil, err
		}
	}
	if n := len(ev.Pointers); n > 0 {
		if ev.Ended, err = l.readEnded(ctx, id, ev.Pointers[n-1]); err != nil {
			ev.EndedError = err.Error()
		}
	}
	return ev, nil
}

func (l *Leader) readCounter(ctx context.Context, id job.ID) (int64, error) {
	path := counterPath(id)
	v, err := l.c.Store.Get(ctx, path)
	if errors.Is(err, ha.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return decodeCounter(path, v.Data)
}

func (l *Leader) readPointers(ctx context.Context, id job.ID) ([]*thalwegv1.CheckpointPointer, error) {
	names, err := l.c.Store.List(ctx, checkpointsDir(id))
	if err != nil {
		return nil, err
	}
	var ps []*thalwegv1.CheckpointPointer
	for _, n := range names { // sorted, and of one width
		p := new(thalwegv1.CheckpointPointer)
		path := checkpointsDir(id) + "/" + n
		_, ok, err := readRecord(ctx, l.c.Store, path, p)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fmt.Errorf("record %s vanished while it was read", path)
		}
		ps = append(ps, p)
	}
	return ps, nil
}

func (l *Leader) readStored(ctx context.Context, r *thalwegv1.GraphRecord) (*thalwegv1.StoredJob, error) {
	fs, err := l.c.Storage.Resolve(ctx, r.GraphPath)
	if err != nil {
		return nil, err
	}
	b, err := storage.ReadFile(ctx, fs, r.GraphPath, maxStored)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != r.GraphSha256 {
		return nil, fmt.Errorf("the job graph %s is corrupt: its SHA-256 is %x, recorded is %s", r.GraphPath, sum, r.GraphSha256)
	}
	j := new(thalwegv1.StoredJob)
	if err := proto.Unmarshal(b, j); err != nil {
		return nil, fmt.Errorf("the job graph %s is unreadable: %w", r.GraphPath, err)
	}
	return j, nil
}

func (l *Leader) checkpointDir(id job.ID) string {
	if l.c.CheckpointDir == "" {
		return ""
	}
	return l.c.CheckpointDir + "/" + string(id)
}

func (l *Leader) jobDir(id job.ID) string { return l.c.StorageDir + "/jobs/" + string(id) }
