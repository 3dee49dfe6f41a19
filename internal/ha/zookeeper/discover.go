package zookeeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/thalweg-io/thalweg/internal/ha"
)

// Discover implements ha.Services.
func (s *Services) Discover(ctx context.Context) <-chan ha.Sighting {
	updates := make(chan ha.Sighting, 1)
	if !s.enter() {
		close(updates)
		return updates
	}
	changed := make(chan struct{}, 1)
	poke := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	leave := s.hub.join(func(ev Event) {
		switch ev.Kind {
		case Connected, Disconnected, Expired:
			poke()
		default:
			if ev.Path == s.paths.connectionInfo() {
				poke()
			}
		}
	})
	go func() {
		defer s.work.Done()
		defer close(updates)
		defer leave()
		ctx, cancel := mergeCancel(ctx, s.closed)
		defer cancel()
		d := discovery{Services: s, updates: updates, started: time.Now()}
		for ctx.Err() == nil {
			pause := d.look(ctx)
			timer := time.NewTimer(pause)
			select {
			case <-changed:
			case <-timer.C:
			case <-ctx.Done():
			}
			timer.Stop()
		}
	}()
	return updates
}

// discovery is one Discover's view.
type discovery struct {
	*Services
	updates chan ha.Sighting
	started time.Time
	last    ha.Sighting
	said    bool
}

// look asks once and tells what is new. It returns how long to wait for an event before looking again anyway.
func (d *discovery) look(ctx context.Context) time.Duration {
	path := d.paths.connectionInfo()
	// The Exists sets the watch also where there is no node yet; the Get may see a newer node than it, never an older one.
	r, err := d.client.Do(ctx, Request{Kind: Exists, Path: path, Watch: true})
	exists := r.Exists
	if err == nil && exists {
		r, err = d.client.Do(ctx, Request{Kind: Get, Path: path, Watch: true})
	}
	switch {
	case errors.Is(err, ErrNoNode):
		return retryDelay
	case errors.Is(err, ErrNotSent), errors.Is(err, ErrLost), errors.Is(err, ErrSession):
		d.unreachable(err)
		return 4 * retryDelay
	case ctx.Err() != nil, errors.Is(err, ErrClosed):
		return retryDelay
	case err != nil:
		d.tell(ha.Sighting{Leader: d.last.Leader, Err: fmt.Errorf("zookeeper: %s: %w", path, err)})
		return d.cfg.SessionTimeout
	case !exists:
		d.tell(ha.Sighting{})
		return d.cfg.SessionTimeout
	}
	var info ha.LeaderInfo
	if err := json.Unmarshal(r.Data, &info); err != nil || !info.Present() {
		d.tell(ha.Sighting{Leader: d.last.Leader, Err: fmt.Errorf("zookeeper: %s: not a leader's address: %q", path, r.Data[:min(len(r.Data), 100)])})
		return d.cfg.SessionTimeout
	}
	d.tell(ha.Sighting{Leader: info})
	return d.cfg.SessionTimeout
}

// unreachable tells that the ensemble cannot be asked: at once if it could be before, else when two servers had their time.
func (d *discovery) unreachable(err error) {
	if !d.said && time.Since(d.started) < 2*d.cfg.ConnectionTimeout {
		return
	}
	if st := d.client.Status(); st.Err != nil {
		err = st.Err
	}
	d.tell(ha.Sighting{Leader: d.last.Leader, Err: fmt.Errorf("zookeeper %s: %w: %w", d.cfg.Quorum, ha.ErrUnavailable, err)})
}

// tell replaces what the reader has not taken yet. A repetition is not told.
func (d *discovery) tell(s ha.Sighting) {
	if d.said && s.Leader == d.last.Leader && (s.Err == nil) == (d.last.Err == nil) {
		return
	}
	d.said, d.last = true, s
	select {
	case <-d.updates:
	default:
	}
	d.updates <- s // the only sender: there is room
}
