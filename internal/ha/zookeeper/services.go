package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/thalweg-io/thalweg/internal/ha"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/queue"
)

// Services implements ha.Services over one Client.
type Services struct {
	cfg    Config
	paths  paths
	log    *slog.Logger
	client Client
	origin time.Time // of the election's clock
	hub    hub
	closed context.Context // with ErrClosed
	close  context.CancelCauseFunc
	work   sync.WaitGroup // Lead and every Discover
	once   sync.Once

	mu struct {
		sync.Mutex
		leading bool
		closed  bool
		cluster string // of the first grant
	}
}

// OpenWith is Open over any Client: the tests' and the simulator's entrance.
func OpenWith(c Config, connect Connect) (*Services, error) {
	full, p, err := c.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("zookeeper: %w", err)
	}
	s := &Services{cfg: full, paths: p, log: full.Logger, origin: time.Now()}
	s.closed, s.close = context.WithCancelCause(context.Background())
	if s.client, err = connect(s.hub.tell); err != nil {
		return nil, fmt.Errorf("zookeeper: %w", err)
	}
	return s, nil
}

// Close implements ha.Services.
func (s *Services) Close() error {
	s.mu.Lock()
	s.mu.closed = true
	s.mu.Unlock()
	s.close(ha.ErrClosed)
	s.work.Wait()
	var err error
	s.once.Do(func() { err = s.client.Close() })
	return err
}

// enter counts a Lead or Discover; it fails once Close was called.
func (s *Services) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return false
	}
	s.work.Add(1)
	return true
}

// Lead implements ha.Services. This goroutine owns the election; everything else posts to its queue.
func (s *Services) Lead(ctx context.Context, me ha.Contender, serve func(ha.Term)) error {
	if !s.enter() {
		return ha.ErrClosed
	}
	defer s.work.Done()
	if me.Incarnation == "" || me.RPCAddress == "" {
		return fmt.Errorf("zookeeper: lead: the contender needs an incarnation and an RPC address, have %+v", me)
	}
	s.mu.Lock()
	if s.mu.leading {
		s.mu.Unlock()
		return errors.New("zookeeper: lead: this process contends already")
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
	l := &leadership{
		Services: s, me: me, serve: serve, inputs: queue.New[Input](),
		election: NewElection(ElectionConfig{
			Base: s.paths.base, Contender: me, NewCluster: job.RandomHex(), TolerateSuspended: !s.cfg.EndOnSuspended, Blind: leaseOff(),
		}),
	}
	return l.run(ctx)
}

// leadership is the shell of one Election.
type leadership struct {
	*Services
	me       ha.Contender
	serve    func(ha.Term)
	election *Election
	inputs   *queue.Queue[Input]
	term     *term
	running  sync.WaitGroup // requests and serve
}

// run is the event loop. It returns when the election is done, and nothing that it started is left then.
func (l *leadership) run(ctx context.Context) error {
	ctx, cancel := mergeCancel(ctx, l.closed)
	defer cancel()
	leave := l.hub.join(func(ev Event) { l.inputs.Push(Observed{ev}) })
	defer leave()
	if st := l.client.Status(); st.Connected {
		l.inputs.Push(Observed{Event{Kind: Connected, Session: st.Session, Timeout: st.Timeout}})
	}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	ending := ctx.Done()
	for {
		var inputs []Input
		select {
		case <-l.inputs.Ready():
			inputs, _ = l.inputs.Drain()
		case <-timer.C:
			inputs = []Input{Tick{}}
		case <-ending:
			ending, inputs = nil, []Input{Stop{}}
		}
		for _, in := range inputs {
			out := l.step(in)
			if out.Done {
				l.running.Wait()
				return out.Err
			}
			if out.Wake != 0 {
				timer.Reset(max(out.Wake-time.Since(l.origin), 0))
			} else {
				timer.Stop()
			}
		}
	}
}

// step feeds the election and carries out what it says, in order.
func (l *leadership) step(in Input) Effects {
	contact := l.client.Status().Contact
	out := l.election.Step(time.Since(l.origin), contact.Sub(l.origin), in)
	if out.End != nil {
		l.log.Info("term ended", "epoch", l.term.grant.Epoch, "cause", out.End)
		l.term.end(out.End)
	}
	if out.Send != nil {
		l.running.Add(1)
		go l.ask(out.ID, *out.Send)
	}
	if out.Lead != nil {
		l.lead(*out.Lead)
	}
	return out
}

// ask performs a request beside the loop. The client bounds it, so it needs no context of its own.
func (l *leadership) ask(id uint64, r Request) {
	defer l.running.Done()
	resp, err := l.client.Do(context.Background(), r)
	l.log.Debug("election request", "request", r.String(), "error", err)
	l.inputs.Push(Answer{id, resp, err})
}

// lead starts serve for a grant.
func (l *leadership) lead(g Grant) {
	l.mu.Lock()
	l.mu.cluster = g.Cluster
	l.mu.Unlock()
	l.log.Info("leadership granted", "epoch", g.Epoch, "latch", g.Latch, "cluster", g.Cluster)
	t := newTerm(l.Services, l.me, g, l.inputs)
	l.term = t
	l.running.Add(1)
	go func() {
		defer l.running.Done()
		defer l.inputs.Push(Served{})
		defer t.end(ha.ErrResigned) // if serve returned by itself
		l.serve(t)
	}()
}

// hub hands the client's events to those who follow them. Followers must not block.
type hub struct {
	mu        sync.Mutex
	followers map[int]func(Event)
	next      int
}

func (h *hub) tell(ev Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.followers {
		f(ev)
	}
}

// join adds a follower; the returned function removes it.
func (h *hub) join(f func(Event)) (leave func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.followers == nil {
		h.followers = map[int]func(Event){}
	}
	id := h.next
	h.next++
	h.followers[id] = f
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.followers, id)
	}
}

// mergeCancel is a context that ends with either.
func mergeCancel(ctx, other context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(other, func() { cancel(context.Cause(other)) })
	return ctx, func() { stop(); cancel(nil) }
}
