package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"google.golang.org/grpc"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

const chunkSize = 256 << 10

// Submit sends a job and its binary. It may be repeated: the id and the digest say whether it is the same submission.
func (c *Client) Submit(ctx context.Context, h *thalwegv1.SubmitHeader, binary string) (*thalwegv1.SubmitResponse, error) {
	var answer *thalwegv1.SubmitResponse
	err := c.call(ctx, func(ctx context.Context, leader thalwegv1.JobServiceClient) (err error) {
		answer, err = submit(ctx, leader, h, binary)
		return err
	})
	return answer, err
}

func submit(ctx context.Context, leader thalwegv1.JobServiceClient, h *thalwegv1.SubmitHeader, binary string) (*thalwegv1.SubmitResponse, error) {
	f, err := os.Open(binary)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	stream, err := leader.Submit(ctx)
	if err != nil {
		return nil, err
	}
	if err := stream.Send(&thalwegv1.SubmitRequest{Part: &thalwegv1.SubmitRequest_Header{Header: h}}); err != nil {
		return stream.CloseAndRecv() // the answer says why the stream broke
	}
	buf := make([]byte, chunkSize)
	for {
		n, err := io.ReadFull(f, buf)
		if n > 0 {
			if stream.Send(&thalwegv1.SubmitRequest{Part: &thalwegv1.SubmitRequest_Chunk{Chunk: buf[:n]}}) != nil {
				break // the leader has its answer already: the same submission, or a refusal
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", binary, err)
		}
	}
	return stream.CloseAndRecv()
}

// List returns the jobs that run or wait, and with all those whose result is kept, too.
func (c *Client) List(ctx context.Context, all bool) (*thalwegv1.ListResponse, error) {
	return unary(c, ctx, &thalwegv1.ListRequest{All: all}, thalwegv1.JobServiceClient.List)
}

// Info describes one job.
func (c *Client) Info(ctx context.Context, id string) (*thalwegv1.JobInfo, error) {
	return unary(c, ctx, &thalwegv1.InfoRequest{Id: id}, thalwegv1.JobServiceClient.Info)
}

// Cancel asks that a job be cancelled. When it returns the intent is recorded, and any leader carries it on.
func (c *Client) Cancel(ctx context.Context, id, request string) (*thalwegv1.CancelResponse, error) {
	return unary(c, ctx, &thalwegv1.CancelRequest{Id: id, Request: request}, thalwegv1.JobServiceClient.Cancel)
}

// TriggerCheckpoint takes a checkpoint and waits for it.
func (c *Client) TriggerCheckpoint(ctx context.Context, id, request string) (*thalwegv1.TriggerCheckpointResponse, error) {
	return unary(c, ctx, &thalwegv1.TriggerCheckpointRequest{Id: id, Request: request}, thalwegv1.JobServiceClient.TriggerCheckpoint)
}

// Cluster describes the leader and its taskmanagers.
func (c *Client) Cluster(ctx context.Context) (*thalwegv1.ClusterResponse, error) {
	return unary(c, ctx, &thalwegv1.ClusterRequest{}, thalwegv1.JobServiceClient.Cluster)
}

func unary[Q, R any](c *Client, ctx context.Context, q *Q, f func(thalwegv1.JobServiceClient, context.Context, *Q, ...grpc.CallOption) (*R, error)) (*R, error) {
	var r *R
	err := c.call(ctx, func(ctx context.Context, leader thalwegv1.JobServiceClient) (err error) {
		r, err = f(leader, ctx, q)
		return err
	})
	return r, err
}

// Watch calls f with the job's state now and at each change, across leaders, until the job has ended, f returns false or ctx ends.
func (c *Client) Watch(ctx context.Context, id string, f func(*thalwegv1.JobInfo) bool) error {
	for {
		ended := false
		err := c.call(ctx, func(ctx context.Context, leader thalwegv1.JobServiceClient) error {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			stream, err := leader.Watch(ctx, &thalwegv1.WatchRequest{Id: id})
			if err != nil {
				return err
			}
			for {
				info, err := stream.Recv()
				if errors.Is(err, io.EOF) {
					return nil
				}
				if err != nil {
					return err
				}
				c.tell("")
				ended = Ended(info.Summary.Status)
				if !f(info) || ended {
					ended = true
					return nil
				}
			}
		})
		if err != nil || ended {
			return err
		}
		select { // a leader that steps down ends the stream properly
		case <-time.After(retryPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Ended reports whether a job's status is one that nothing follows.
func Ended(s thalwegv1.JobStatus) bool {
	switch s {
	case thalwegv1.JobStatus_JOB_STATUS_FINISHED, thalwegv1.JobStatus_JOB_STATUS_CANCELED, thalwegv1.JobStatus_JOB_STATUS_FAILED:
		return true
	}
	return false
}
