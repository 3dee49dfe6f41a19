package jobmanager

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/leader"
)

// jobService is the clients' front end.
type jobService struct {
	thalwegv1.UnimplementedJobServiceServer
	m *JobManager
}

// term is the running term, or the error that tells a client to look for the leader.
func (s *jobService) term() (*term, error) {
	t, known := s.m.current()
	if t != nil {
		return t, nil
	}
	if known.Present() {
		return nil, status.Errorf(codes.Unavailable, "the jobmanager at %s does not lead; the leader is at %s", s.m.address, known.RPCAddress)
	}
	return nil, status.Errorf(codes.Unavailable, "the jobmanager at %s does not lead, and no leader is known", s.m.address)
}

func (s *jobService) Submit(stream submitStream) error {
	t, err := s.term()
	if err != nil {
		return err
	}
	return t.submit(stream)
}

func (s *jobService) List(ctx context.Context, q *thalwegv1.ListRequest) (*thalwegv1.ListResponse, error) {
	t, err := s.term()
	if err != nil {
		return nil, err
	}
	jobs, err := t.Leader.List(ctx)
	if err != nil {
		return nil, answer(err)
	}
	if q.All {
		ended, err := leader.Results(ctx, t.ha)
		if err != nil {
			return nil, unavailable(err)
		}
		known := map[string]bool{}
		for _, j := range jobs {
			known[j.Id] = true
		}
		for _, r := range ended {
			if !known[r.Id] {
				jobs = append(jobs, summaryOf(r))
			}
		}
	}
	return &thalwegv1.ListResponse{Jobs: jobs, Leader: t.identity()}, nil
}

func (t *term) identity() *thalwegv1.LeaderIdentity {
	return &thalwegv1.LeaderIdentity{Epoch: uint64(t.ha.Epoch()), Incarnation: string(t.m.incarnation), Address: t.m.address}
}

func summaryOf(r *thalwegv1.JobResult) *thalwegv1.JobSummary {
	return &thalwegv1.JobSummary{Id: r.Id, Name: r.Name, Status: r.Status, StartedMs: r.StartedMs, EndedMs: r.EndedMs}
}

// of is the term that a request about a job is for, and the job.
func (s *jobService) of(name string) (t *term, id job.ID, err error) {
	if t, err = s.term(); err != nil {
		return nil, id, err
	}
	if id, err = job.ParseID(name); err != nil {
		return nil, id, status.Error(codes.InvalidArgument, err.Error())
	}
	return t, id, nil
}

func (s *jobService) Info(ctx context.Context, q *thalwegv1.InfoRequest) (*thalwegv1.JobInfo, error) {
	t, id, err := s.of(q.Id)
	if err != nil {
		return nil, err
	}
	return t.info(ctx, id)
}

// info describes a job that the term knows, or one of which only the result is left.
func (t *term) info(ctx context.Context, id job.ID) (*thalwegv1.JobInfo, error) {
	i, err := t.Leader.Info(ctx, id)
	if err != nil {
		return nil, answer(err)
	}
	if i == nil {
		r, err := leader.ReadResult(ctx, t.ha, id)
		if err != nil {
			return nil, unavailable(err)
		}
		if r == nil {
			return nil, answer(leader.NotFound{ID: id})
		}
		i = &thalwegv1.JobInfo{Summary: summaryOf(r), Restarts: r.Restarts, Checkpoints: &thalwegv1.CheckpointStats{LatestId: r.LastCheckpoint}}
		if r.Cause != "" {
			i.Exceptions = []*thalwegv1.ExceptionInfo{{TimeMs: r.EndedMs, Message: r.Cause}}
		}
	}
	i.Leader = t.identity()
	return i, nil
}

func (s *jobService) Cancel(ctx context.Context, q *thalwegv1.CancelRequest) (*thalwegv1.CancelResponse, error) {
	t, id, err := s.of(q.Id)
	if err != nil {
		return nil, err
	}
	r, err := t.Leader.Cancel(ctx, id, q.Request)
	if errors.Is(err, leader.NotFound{ID: id}) {
		i, e := t.info(ctx, id)
		if e != nil {
			return nil, e
		}
		return nil, status.Errorf(codes.FailedPrecondition, "job %s has ended already: %s", id, statusName(i.Summary.Status))
	}
	if err != nil {
		return nil, answer(err)
	}
	if r.Error != "" {
		return nil, status.Error(codes.FailedPrecondition, r.Error)
	}
	return &thalwegv1.CancelResponse{Status: r.Status}, nil
}

func (s *jobService) TriggerCheckpoint(ctx context.Context, q *thalwegv1.TriggerCheckpointRequest) (*thalwegv1.TriggerCheckpointResponse, error) {
	t, id, err := s.of(q.Id)
	if err != nil {
		return nil, err
	}
	r, err := t.Leader.TriggerCheckpoint(ctx, id)
	if err != nil {
		return nil, answer(err)
	}
	if r.Error != "" {
		return nil, status.Error(codes.FailedPrecondition, r.Error)
	}
	return &thalwegv1.TriggerCheckpointResponse{Checkpoint: r.Checkpoint, Path: r.Path}, nil
}

// watchPause is the least time between two states sent to one client, and watchIdle the longest: counters change without a sign.
const (
	watchPause = 100 * time.Millisecond
	watchIdle  = time.Second
)

func (s *jobService) Watch(q *thalwegv1.WatchRequest, stream grpc.ServerStreamingServer[thalwegv1.JobInfo]) error {
	t, id, err := s.of(q.Id)
	if err != nil {
		return err
	}
	changed, stop := t.Leader.Watch(id)
	defer stop()
	idle := time.NewTicker(watchIdle)
	defer idle.Stop()
	for {
		i, err := t.info(stream.Context(), id)
		if err != nil {
			return err
		}
		if err := stream.Send(i); err != nil {
			return err
		}
		switch i.Summary.Status {
		case thalwegv1.JobStatus_JOB_STATUS_FINISHED, thalwegv1.JobStatus_JOB_STATUS_CANCELED, thalwegv1.JobStatus_JOB_STATUS_FAILED:
			return nil
		}
		select {
		case <-time.After(watchPause):
		case <-stream.Context().Done():
			return nil
		}
		select {
		case <-changed:
		case <-idle.C:
		case <-t.Ended():
			return status.Error(codes.Unavailable, leader.ErrEnded.Error())
		case <-stream.Context().Done():
			return nil
		}
	}
}

func (s *jobService) Cluster(ctx context.Context, _ *thalwegv1.ClusterRequest) (*thalwegv1.ClusterResponse, error) {
	t, err := s.term()
	if err != nil {
		return nil, err
	}
	tms, err := t.TaskManagers(ctx)
	if err != nil {
		return nil, answer(err)
	}
	return &thalwegv1.ClusterResponse{Leader: t.identity(), Taskmanagers: tms}, nil
}

// answer gives an error of the term to a client.
func answer(err error) error {
	var missing leader.NotFound
	switch {
	case errors.As(err, &missing):
		return status.Error(codes.NotFound, err.Error())
	case errors.Is(err, leader.ErrEnded):
		return status.Error(codes.Unavailable, err.Error())
	}
	return unavailable(err)
}

func statusName(s thalwegv1.JobStatus) string {
	return s.String()[len("JOB_STATUS_"):]
}
