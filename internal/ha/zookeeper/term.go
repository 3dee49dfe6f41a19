package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/thalweg-io/thalweg/internal/ha"
	"github.com/thalweg-io/thalweg/internal/queue"
)

// term implements ha.Term. Everything it asks is pinned to the granted session.
type term struct {
	*Services
	me     ha.Contender
	grant  Grant
	ctx    context.Context
	cancel context.CancelCauseFunc
	inputs *queue.Queue[Input] // of the election

	known struct { // directories that exist: only this term makes and removes them
		sync.Mutex
		dirs map[string]bool
	}
}

func newTerm(s *Services, me ha.Contender, g Grant, inputs *queue.Queue[Input]) *term {
	t := &term{Services: s, me: me, grant: g, inputs: inputs}
	t.ctx, t.cancel = context.WithCancelCause(context.Background())
	t.known.dirs = map[string]bool{}
	return t
}

func (t *term) Context() context.Context   { return t.ctx }
func (t *term) Epoch() ha.Epoch            { return t.grant.Epoch }
func (t *term) ClusterIncarnation() string { return t.grant.Cluster }
func (t *term) end(cause error)            { t.cancel(cause) }

// Resign implements ha.Term. The context ends at once, so that nothing more is sent for the term; the election does the rest.
func (t *term) Resign() {
	t.end(ha.ErrResigned)
	t.inputs.Push(Resign{t.grant.Epoch})
}

// fenced ends the term because a write was refused.
func (t *term) fenced(err error) error {
	err = fmt.Errorf("%w (epoch %d): %w", ha.ErrFenced, t.grant.Epoch, err)
	t.log.Warn("write refused by the fence", "epoch", t.grant.Epoch, "error", err)
	t.end(err)
	t.inputs.Push(Fenced{t.grant.Epoch})
	return err
}

// over is the error of everything after the term's end, nil before.
func (t *term) over() error {
	if t.ctx.Err() != nil {
		return fmt.Errorf("zookeeper: epoch %d is over: %w", t.grant.Epoch, context.Cause(t.ctx))
	}
	return nil
}

// check is the operation that fences a multi.
func (t *term) check() Request {
	return Request{Kind: Check, Path: t.paths.epoch(), Version: t.grant.Version}
}

// multi performs ops fenced. Its errors are nil, ha.ErrFenced, ha.ErrUnknown, ha.ErrUnavailable, the term's end, or a *refusal
// that names the operation.
func (t *term) multi(ctx context.Context, ops ...Request) error {
	if err := t.over(); err != nil {
		return err
	}
	r, err := t.client.Do(ctx, Request{Kind: Multi, Session: t.grant.Session, Ops: append([]Request{t.check()}, ops...)})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrLost):
		return fmt.Errorf("zookeeper: %w: %w", ha.ErrUnknown, err)
	case errors.Is(err, ErrNotSent), errors.Is(err, ErrClosed):
		return fmt.Errorf("zookeeper: %w: %w", ha.ErrUnavailable, err)
	case errors.Is(err, ErrSession):
		return t.sessionGone(err)
	case r.Failed == 0 && (errors.Is(err, ErrBadVersion) || errors.Is(err, ErrNoNode)):
		return t.fenced(err)
	case r.Failed < 0 || r.Failed > len(ops):
		return fmt.Errorf("zookeeper: multi: %w", err)
	case r.Failed == 0:
		return fmt.Errorf("zookeeper: %s: %w", t.paths.epoch(), err)
	}
	return &refusal{op: r.Failed - 1, err: err}
}

// sessionGone: the session of the grant is not the client's any more, so the latch is gone with it. The election hears of it
// too, but a caller must not be the last to know.
func (t *term) sessionGone(err error) error {
	t.end(fmt.Errorf("%w: %w", ha.ErrSessionLost, err))
	return t.over()
}

// refusal is the servers' word that one operation of a multi, and so the whole, was not done.
type refusal struct {
	op  int // index without the fence
	err error
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// read asks until it is answered, or ctx or the term ends.
func (t *term) read(ctx context.Context, r Request) (Response, error) {
	r.Session = t.grant.Session
	for delay := retryDelay / 2; ; delay = min(2*delay, 4*retryDelay) {
		if err := t.over(); err != nil {
			return Response{}, err
		}
		resp, err := t.client.Do(ctx, r)
		switch {
		case errors.Is(err, ErrSession):
			return Response{}, t.sessionGone(err)
		case !errors.Is(err, ErrLost) && !errors.Is(err, ErrNotSent):
			return resp, err
		}
		if err := t.pause(ctx, delay); err != nil {
			return Response{}, err
		}
	}
}

// pause waits, at most until ctx or the term ends, which is then the error.
func (t *term) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return fmt.Errorf("zookeeper: %w", context.Cause(ctx))
	case <-t.ctx.Done():
		return t.over()
	case <-timer.C:
		return nil
	}
}

// barrier returns once everything that this session sent before has happened or never will. It goes through the servers'
// leader like a write, and checks the fence.
func (t *term) barrier(ctx context.Context) error {
	for {
		err := t.multi(ctx)
		if !errors.Is(err, ha.ErrUnknown) && !errors.Is(err, ha.ErrUnavailable) {
			return err
		}
		if err := t.pause(ctx, retryDelay); err != nil {
			return err
		}
	}
}

// Publish implements ha.Term.
func (t *term) Publish(ctx context.Context) error {
	info := encode(ha.LeaderInfo{
		Epoch: t.grant.Epoch, Incarnation: t.me.Incarnation, RPCAddress: t.me.RPCAddress, RESTAddress: t.me.RESTAddress,
		ClusterIncarnation: t.grant.Cluster,
	})
	path := t.paths.connectionInfo()
	for {
		r, err := t.read(ctx, Request{Kind: Get, Path: path})
		if err != nil && !errors.Is(err, ErrNoNode) {
			return fmt.Errorf("publish: %w", err)
		}
		create := Request{Kind: Create, Path: path, Data: info, Ephemeral: true}
		switch {
		case err != nil:
			err = t.multi(ctx, create)
		case string(r.Data) == string(info) && (t.grant.Session == 0 || r.Stat.EphemeralOwner == t.grant.Session):
			return t.barrier(ctx) // there already; fenced all the same
		default:
			err = t.multi(ctx, Request{Kind: Delete, Path: path, Version: -1}, create)
		}
		var refused *refusal
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ha.ErrUnknown):
			if err := t.barrier(ctx); err != nil {
				return fmt.Errorf("publish: %w", err)
			}
		case errors.As(err, &refused), errors.Is(err, ha.ErrUnavailable): // somebody else's node came or went
			if err := t.pause(ctx, retryDelay); err != nil {
				return fmt.Errorf("publish: %w", err)
			}
		default:
			return fmt.Errorf("publish: %w", err)
		}
	}
}
