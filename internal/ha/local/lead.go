package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/thalweg-io/thalweg/internal/ha"
	"github.com/thalweg-io/thalweg/internal/job"
)

// Lead implements ha.Services. This goroutine takes the lock, grants itself the next epoch, watches over the term and gives the
// lock back; serve runs beside it.
func (s *Services) Lead(ctx context.Context, me ha.Contender, serve func(ha.Term)) error {
	if !s.enter() {
		return ha.ErrClosed
	}
	defer s.work.Done()
	if me.Incarnation == "" || me.RPCAddress == "" {
		return fmt.Errorf("local: lead: the contender needs an incarnation and an RPC address, have %+v", me)
	}
	s.mu.Lock()
	if s.mu.leading {
		s.mu.Unlock()
		return errors.New("local: lead: this process contends already")
	}
	s.mu.leading = true
	if me.Cluster == "" {
		me.Cluster = s.mu.cluster
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.mu.leading = false
		s.mu.Unlock()
	}()
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	rest := 0 // polls to leave out, so that a leader that resigned is not the next one
	for {
		if rest > 0 {
			rest--
		} else {
			t, err := s.contend(me)
			if err != nil {
				return fmt.Errorf("local: %w", err)
			}
			if t != nil {
				me.Cluster = t.epoch.Cluster
				if s.serve(ctx, t, serve) {
					return nil
				}
				rest = 3
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		case <-s.closed.Done():
			return nil
		}
	}
}

// contend tries to take the lock and, if it gets it, makes the next epoch. nil: another leads.
func (s *Services) contend(me ha.Contender) (*term, error) {
	if me.Cluster == "" { // else somebody removed it, and making it again would invent a state
		if err := makeDir(s.dir); err != nil {
			return nil, err
		}
	}
	if me.Cluster != "" { // a standby need not lead to see that it is in the wrong place
		if e, err := s.readEpoch(); err == nil && e.Cluster != me.Cluster {
			return nil, otherCluster(s.path("epoch"), me.Cluster, e.Cluster)
		}
	}
	l, err := tryLock(s.path("lock"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, otherCluster(s.dir, me.Cluster, "")
	}
	if err != nil || l == nil {
		return nil, err
	}
	t, err := s.grant(me, l)
	if err != nil {
		l.unlock()
		return nil, err
	}
	return t, nil
}

// grant makes the next epoch under the lock.
func (s *Services) grant(me ha.Contender, l *lock) (*term, error) {
	last, err := s.readEpoch()
	switch {
	case errors.Is(err, os.ErrNotExist) && me.Cluster != "":
		return nil, otherCluster(s.path("epoch"), me.Cluster, "")
	case errors.Is(err, os.ErrNotExist):
		last = epochFile{Cluster: job.RandomHex()}
	case err != nil:
		return nil, err
	case me.Cluster != "" && me.Cluster != last.Cluster:
		return nil, otherCluster(s.path("epoch"), me.Cluster, last.Cluster)
	}
	if err := s.recover(); err != nil {
		return nil, fmt.Errorf("finish the previous leader's last step: %w", err)
	}
	epoch := epochFile{last.Cluster, last.Epoch + 1, me.Incarnation}
	b, err := json.Marshal(epoch)
	if err != nil {
		return nil, err
	}
	if err := replaceFile(s.path("epoch"), b); err != nil {
		return nil, fmt.Errorf("grant epoch %d: %w", epoch.Epoch, err)
	}
	t := newTerm(s, me, epoch, l)
	s.mu.Lock()
	s.mu.cluster, s.mu.term = epoch.Cluster, t
	s.mu.Unlock()
	s.log.Info("leadership granted", "epoch", epoch.Epoch, "cluster", epoch.Cluster)
	return t, nil
}

// serve runs one term to its end. It reports whether Lead is to end too.
func (s *Services) serve(ctx context.Context, t *term, serve func(ha.Term)) (stop bool) {
	served := make(chan struct{})
	go func() {
		defer close(served)
		defer t.cancel(ha.ErrResigned) // if it returned by itself
		serve(t)
	}()
	tick := time.NewTicker(fencePoll)
	defer tick.Stop()
	for t.ctx.Err() == nil {
		select {
		case <-t.ctx.Done():
		case <-tick.C:
			t.watch()
		case <-ctx.Done():
			t.cancel(ha.ErrStopped)
		case <-s.closed.Done():
			t.cancel(ha.ErrStopped)
		}
	}
	s.log.Info("term ended", "epoch", t.epoch.Epoch, "cause", context.Cause(t.ctx))
	t.release() // before serve has returned: a standby leads at once, and nothing of this term can be written any more
	<-served
	return ctx.Err() != nil || s.closed.Err() != nil
}

func otherCluster(path, want, have string) error {
	found := "it is gone"
	if have != "" {
		found = "the directory belongs to cluster " + have
	}
	return fmt.Errorf("%s: %w: this process belongs to cluster %s, but %s; running tasks are left alone. "+
		"Check high-availability.local.dir and cluster-id; if the state was removed on purpose, "+
		"restart the jobmanagers and restore the jobs from named checkpoints", path, ha.ErrOtherCluster, want, found)
}
