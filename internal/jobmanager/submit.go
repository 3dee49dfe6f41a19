package jobmanager

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/ha"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/leader"
	"github.com/thalweg-io/thalweg/internal/storage"
)

// maxBinary bounds a job's binary: a length from an unauthenticated client is never trusted with more disk than this.
const maxBinary = 2 << 30

type submitStream = grpc.ClientStreamingServer[thalwegv1.SubmitRequest, thalwegv1.SubmitResponse]

// submit stores the job's files, then makes it known by one fenced write, then starts it. What an interrupted submission leaves
// is files that no record names: they carry the submission's own random name and are removed with the job's directory.
func (t *term) submit(stream submitStream) error {
	ctx := stream.Context()
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	h := first.GetHeader()
	if h == nil {
		return status.Error(codes.InvalidArgument, "a submission begins with its header")
	}
	if err := checkHeader(h); err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	id := job.ID(h.Id)
	if r, err := t.existing(ctx, id, h.Digest); err != nil || r != nil {
		if err != nil {
			return err
		}
		return stream.SendAndClose(r)
	}
	dir := t.m.jobDir(id)
	record, err := t.store(ctx, stream, h, dir)
	if err != nil {
		return err
	}
	err = leader.CreateJob(ctx, t.ha, id, record)
	if errors.Is(err, ha.ErrConflict) {
		// The same id was submitted at the same time, or by an earlier attempt: its record decides, ours names nothing.
		t.m.discard(record.Binary.Path, record.GraphPath)
		r, err := t.existing(ctx, id, h.Digest)
		if err == nil && r == nil {
			err = status.Error(codes.Aborted, "the job was removed while it was submitted")
		}
		if err != nil {
			return err
		}
		return stream.SendAndClose(r)
	}
	if err != nil {
		return unavailable(err)
	}
	t.log.Info("job submitted", "job", id, "name", h.Graph.Name)
	if err := t.Start(ctx, id); err != nil {
		return answer(err)
	}
	return stream.SendAndClose(&thalwegv1.SubmitResponse{Id: h.Id, Status: thalwegv1.JobStatus_JOB_STATUS_INITIALIZING})
}

// existing answers for an id that is known: the present state for the same submission, an error for another one, nil for none.
func (t *term) existing(ctx context.Context, id job.ID, digest string) (*thalwegv1.SubmitResponse, error) {
	known, state := "", thalwegv1.JobStatus_JOB_STATUS_INITIALIZING
	result, err := leader.ReadResult(ctx, t.ha, id)
	if err != nil {
		return nil, unavailable(err)
	}
	if result != nil {
		known, state = result.Digest, result.Status
	} else {
		record, err := leader.ReadGraphRecord(ctx, t.ha, id)
		if err != nil {
			return nil, unavailable(err)
		}
		if record == nil {
			return nil, nil
		}
		known = record.Digest
		i, err := t.Leader.Info(ctx, id)
		if err != nil {
			return nil, answer(err)
		}
		if i != nil {
			state = i.Summary.Status
		}
	}
	if known != digest {
		return nil, status.Errorf(codes.AlreadyExists, "job id %s is taken by another submission (digest %.12s, this one has %.12s): submit under a new id", id, known, digest)
	}
	return &thalwegv1.SubmitResponse{Id: string(id), Status: state, Existing: true}, nil
}

func checkHeader(h *thalwegv1.SubmitHeader) error {
	if _, err := job.ParseID(h.Id); err != nil {
		return err
	}
	g := h.Graph
	switch {
	case len(g.GetVertices()) == 0:
		return errors.New("the job graph has no vertex")
	case h.Digest == "" || len(h.BinarySha256) != 64:
		return errors.New("the submission lacks its digest or the binary's")
	case h.BinarySize <= 0 || h.BinarySize > maxBinary:
		return fmt.Errorf("the binary has %d bytes; allowed are 1 to %d", h.BinarySize, int64(maxBinary))
	}
	ids := map[string]bool{}
	for _, v := range g.Vertices {
		if v.Parallelism < 1 || v.MaxParallelism < v.Parallelism {
			return fmt.Errorf("vertex %q: parallelism %d with max parallelism %d: want 1 <= parallelism <= max parallelism", v.Name, v.Parallelism, v.MaxParallelism)
		}
		if v.Id == "" || ids[v.Id] {
			return fmt.Errorf("vertex %q: its id %q is empty or not unique", v.Name, v.Id)
		}
		ids[v.Id] = true
	}
	for i, e := range g.Edges {
		if int(e.Id) != i || !ids[e.From] || !ids[e.To] {
			return fmt.Errorf("edge %d from %q to %q does not fit the graph", e.Id, e.From, e.To)
		}
	}
	return nil
}

// store writes the binary and the stored job into storageDir and returns the record that names them.
func (t *term) store(ctx context.Context, stream submitStream, h *thalwegv1.SubmitHeader, dir string) (*thalwegv1.GraphRecord, error) {
	fs, err := t.m.c.Storage.Resolve(ctx, dir)
	if err != nil {
		return nil, unavailable(err)
	}
	unique := job.RandomHex()[:12]
	binary := &thalwegv1.BinaryRef{Path: dir + "/binary-" + unique, Sha256: h.BinarySha256, Size: h.BinarySize}
	if err := receiveBinary(ctx, fs, stream, binary); err != nil {
		return nil, err
	}
	stored, err := proto.Marshal(&thalwegv1.StoredJob{Id: h.Id, Graph: h.Graph, Arguments: h.Arguments, Configuration: h.Configuration, Binary: binary, Digest: h.Digest})
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	path := dir + "/graph-" + unique
	if err := storage.WriteFile(ctx, fs, path, stored); err != nil {
		t.m.discard(binary.Path)
		return nil, unavailable(err)
	}
	sum := sha256.Sum256(stored)
	return &thalwegv1.GraphRecord{GraphPath: path, GraphSha256: hex.EncodeToString(sum[:]), Binary: binary, Digest: h.Digest,
		SubmittedMs: time.Now().UnixMilli(), GraphVersion: 1}, nil
}

func receiveBinary(ctx context.Context, fs storage.FileSystem, stream submitStream, ref *thalwegv1.BinaryRef) error {
	w, err := fs.Create(ctx, ref.Path)
	if err != nil {
		return unavailable(err)
	}
	defer w.Abort()
	var sum hash.Hash = sha256.New()
	size := int64(0)
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		chunk := m.GetChunk()
		if size += int64(len(chunk)); size > ref.Size {
			return status.Errorf(codes.InvalidArgument, "the binary has more than the %d bytes announced", ref.Size)
		}
		sum.Write(chunk)
		if _, err := w.Write(chunk); err != nil {
			return unavailable(err)
		}
	}
	if got := hex.EncodeToString(sum.Sum(nil)); size != ref.Size || got != ref.Sha256 {
		return status.Errorf(codes.InvalidArgument, "the binary arrived with %d bytes and SHA-256 %s, announced were %d and %s: it changed while it was sent", size, got, ref.Size, ref.Sha256)
	}
	if err := w.Close(); err != nil {
		return unavailable(err)
	}
	return nil
}

// unavailable gives an error of a seam to the client as one that passes: another leader, or this one later, may do better.
func unavailable(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	code := codes.Internal
	switch {
	case errors.Is(err, ha.ErrFenced), errors.Is(err, ha.ErrUnknown), errors.Is(err, ha.ErrUnavailable), errors.Is(err, storage.ErrUnavailable),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, ha.ErrSessionLost), errors.Is(err, ha.ErrLeaseExpired), errors.Is(err, ha.ErrResigned), errors.Is(err, ha.ErrStopped), errors.Is(err, ha.ErrSuspended):
		code = codes.Unavailable
	}
	return status.Error(code, strings.TrimSpace(err.Error()))
}
