package leader

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/ha"
	"github.com/thalweg-io/thalweg/internal/job"
)

// Paths of a job's records in the metadata store. Records are protojson, so that zkCli shows them.
const jobsDir = "jobs"

func jobDir(id job.ID) string         { return jobsDir + "/" + string(id) }
func graphPath(id job.ID) string      { return jobDir(id) + "/graph" }
func executionPath(id job.ID) string  { return jobDir(id) + "/execution" }
func resultPath(id job.ID) string     { return jobDir(id) + "/result" }
func counterPath(id job.ID) string    { return jobDir(id) + "/checkpoint_id_counter" }
func checkpointsDir(id job.ID) string { return jobDir(id) + "/checkpoints" }

func pointerPath(id job.ID, checkpoint int64) string {
	return fmt.Sprintf("%s/%019d", checkpointsDir(id), checkpoint)
}

func encodeRecord(m proto.Message) []byte {
	b, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("encode %T: %v", m, err)) // no record holds anything that protojson refuses
	}
	return b
}

func decodeRecord(path string, b []byte, m proto.Message) error {
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(b, m); err != nil {
		return fmt.Errorf("record %s is unreadable: %w", path, err)
	}
	return nil
}

// readRecord reads one record into m and returns its version; ok is false if there is none.
func readRecord(ctx context.Context, s ha.Store, path string, m proto.Message) (version int64, ok bool, err error) {
	v, err := s.Get(ctx, path)
	if errors.Is(err, ha.ErrNotFound) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	return v.Version, true, decodeRecord(path, v.Data, m)
}

// counter reads or encodes the checkpoint id counter, a decimal number.
func decodeCounter(path string, b []byte) (int64, error) {
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("record %s is unreadable: %q is not a checkpoint id", path, b)
	}
	return n, nil
}

// Jobs lists the ids of all jobs that the store knows, ended ones with a kept result included.
func Jobs(ctx context.Context, s ha.Store) ([]job.ID, error) {
	names, err := s.List(ctx, jobsDir)
	if err != nil {
		return nil, fmt.Errorf("list the jobs: %w", err)
	}
	ids := make([]job.ID, 0, len(names))
	for _, n := range names {
		id, err := job.ParseID(n)
		if err != nil {
			continue // not ours
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// ReadResult returns a job's result, or nil if it has none.
func ReadResult(ctx context.Context, s ha.Store, id job.ID) (*thalwegv1.JobResult, error) {
	r := new(thalwegv1.JobResult)
	_, ok, err := readRecord(ctx, s, resultPath(id), r)
	if err != nil || !ok {
		return nil, err
	}
	return r, nil
}

// ReadGraphRecord returns a job's graph record, or nil if the job is unknown or cleaned up.
func ReadGraphRecord(ctx context.Context, s ha.Store, id job.ID) (*thalwegv1.GraphRecord, error) {
	r := new(thalwegv1.GraphRecord)
	_, ok, err := readRecord(ctx, s, graphPath(id), r)
	if err != nil || !ok {
		return nil, err
	}
	return r, nil
}

// CreateJob makes a job known, by one fenced step: after it the job will run, whoever leads. ha.ErrConflict: it is known already.
func CreateJob(ctx context.Context, s ha.Store, id job.ID, r *thalwegv1.GraphRecord) error {
	return s.Settle(ctx, ha.Create(graphPath(id), encodeRecord(r)), ha.Create(counterPath(id), []byte("0")))
}

// Results reads every kept result.
func Results(ctx context.Context, s ha.Store) ([]*thalwegv1.JobResult, error) {
	ids, err := Jobs(ctx, s)
	if err != nil {
		return nil, err
	}
	var rs []*thalwegv1.JobResult
	for _, id := range ids {
		r, err := ReadResult(ctx, s, id)
		if err != nil {
			return nil, err
		}
		if r != nil {
			rs = append(rs, r)
		}
	}
	return rs, nil
}

// ExpireResults removes what is left of jobs that ended, and were cleaned up, before the given time.
func ExpireResults(ctx context.Context, s ha.Store, before time.Time) error {
	rs, err := Results(ctx, s)
	if err != nil {
		return err
	}
	for _, r := range rs {
		if r.Cleaned && r.EndedMs < before.UnixMilli() {
			if err := s.DeleteTree(ctx, jobDir(job.ID(r.Id))); err != nil {
				return err
			}
		}
	}
	return nil
}
