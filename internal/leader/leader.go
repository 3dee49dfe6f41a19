// Package leader is the shell around scheduler.Term: the work of one term of leadership. One loop owns the core; sessions,
// clients and finished I/O post to it, and it carries out the core's effects: fenced writes, checkpoint metadata, deletions,
// messages. The jobmanager runs one Leader per grant; a job in a single process runs one on a store in memory. It decides
// nothing, knows no election and no transport, and does nothing after its term has ended.
package leader

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/ha"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/queue"
	"github.com/thalweg-io/thalweg/internal/scheduler"
	"github.com/thalweg-io/thalweg/internal/storage"
)

// Config is what one term is given.
type Config struct {
	Term          scheduler.TermConfig
	Store         ha.Store
	Storage       *storage.Registry
	StorageDir    string // high-availability.storageDir of this cluster: <dir>/jobs/<job-id>/ holds a job's graph and binary
	CheckpointDir string // <dir>/<job-id>/chk-<n>/...; empty: no checkpoint can be taken
	// Effective merges what a job was submitted with into the cluster's configuration, for the workers. nil: the job's own is all.
	Effective func(job map[string]string) (map[string]string, error)
	Log       *slog.Logger
	// EndTerm is called once, from the loop, when the core finds that the term is over.
	EndTerm func(reason string)
	// Reached, if set, is told the named points of the protocol as they are passed: where a test kills the leader.
	Reached func(point, job string)
}

// Leader is one term's work. Its methods may be called from any goroutine.
type Leader struct {
	c       Config
	started time.Time
	loop    *queue.Queue[func()]
	listed  chan struct{} // closed when the term knows which jobs the store has
	ended   chan struct{} // closed when the loop has ended
	io      sync.WaitGroup
	ctx     context.Context // of the term; ends before ended is closed

	// Owned by the loop.
	term     *scheduler.Term
	sessions map[scheduler.SessionID]*Session
	replies  map[scheduler.ReplyID]func(scheduler.Reply)
	watchers map[job.ID]map[*watcher]struct{}
	wake     *time.Timer
	over     bool

	session atomic.Uint64
	reply   atomic.Uint64
}

// New makes a Leader; Run must be called.
func New(c Config) *Leader {
	l := &Leader{
		c: c, started: time.Now(), loop: queue.New[func()](), listed: make(chan struct{}), ended: make(chan struct{}),
		sessions: map[scheduler.SessionID]*Session{}, replies: map[scheduler.ReplyID]func(scheduler.Reply){},
		watchers: map[job.ID]map[*watcher]struct{}{}, wake: time.NewTimer(0),
	}
	l.term = scheduler.NewTerm(c.Term, l.now())
	return l
}

// Run is the loop. It recovers the jobs that the store knows and serves until ctx, the term's context, ends; it returns when
// everything that it started has ended.
func (l *Leader) Run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	l.ctx = ctx
	defer l.finish(cancel)
	l.async(l.recover)
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.loop.Ready():
			items, _ := l.loop.Drain()
			for _, f := range items {
				if ctx.Err() != nil || l.over {
					return
				}
				f()
			}
		case <-l.wake.C:
			// What has arrived goes first: a tick may judge by silence.
			items, _ := l.loop.Drain()
			for _, f := range items {
				if ctx.Err() != nil || l.over {
					return
				}
				f()
			}
			l.step(scheduler.Tick{})
		}
		if l.over {
			return
		}
	}
}

func (l *Leader) finish(cancel context.CancelFunc) {
	cancel()
	l.wake.Stop()
	for _, s := range l.sessions {
		s.end()
	}
	close(l.ended)
	l.io.Wait()
}

func (l *Leader) now() scheduler.Instant {
	return scheduler.Instant{Now: time.Since(l.started), Wall: time.Now().UnixMilli()}
}

// async runs f beside the loop. Its context ends with the term.
func (l *Leader) async(f func(context.Context)) {
	l.io.Go(func() { f(l.ctx) })
}

// post runs f on the loop, unless the term has ended before its turn.
func (l *Leader) post(f func()) { l.loop.Push(f) }

// do runs f on the loop and waits for it.
func (l *Leader) do(ctx context.Context, f func()) error {
	done := make(chan struct{})
	l.post(func() { f(); close(done) })
	select {
	case <-done:
		return nil
	case <-l.ended:
		return ErrEnded
	case <-ctx.Done():
		return ctx.Err()
	}
}

// answer runs f, which looks for jobs, on the loop. Until the store's jobs are listed it waits: one that is not found is not there then.
func (l *Leader) answer(ctx context.Context, f func()) error {
	select {
	case <-l.listed:
		return l.do(ctx, f)
	case <-l.ended:
		return ErrEnded
	case <-ctx.Done():
		return fmt.Errorf("the jobs have not been listed yet: %w", ctx.Err())
	}
}

func (l *Leader) step(ev scheduler.Event) {
	if l.over {
		return
	}
	e := l.term.Step(l.now(), ev)
	if e.EndTerm != "" {
		l.over = true
		l.c.Log.Warn("the term is over", "reason", e.EndTerm)
		l.c.EndTerm(e.EndTerm)
		return
	}
	for _, n := range e.Notices {
		l.notice(n)
	}
	for _, m := range e.Messages {
		if s := l.sessions[m.Session]; s != nil {
			if m.Message != nil {
				s.out.Push(m.Message)
				if t := m.Message.GetTrigger(); t != nil && l.c.Reached != nil {
					l.c.Reached("trigger", t.Job) // with two sources, between the first and the last
				}
			}
			if m.Close {
				s.end()
			}
		}
	}
	for _, j := range e.Jobs {
		l.carryOut(job.ID(j.Job), j.Effects)
	}
	l.wake.Reset(max(e.Wake-l.now().Now, 0))
}

func (l *Leader) notice(n scheduler.Notice) {
	level := map[string]slog.Level{"warn": slog.LevelWarn, "error": slog.LevelError}[n.Level]
	args := []any{}
	if n.Job != "" {
		args = append(args, "job", n.Job)
	}
	if n.Task != "" {
		args = append(args, "task", n.Task)
	}
	l.c.Log.Log(context.Background(), level, n.Text, args...)
}

func (l *Leader) forJob(id job.ID, ev scheduler.JobEvent) {
	l.step(scheduler.ForJob{Job: string(id), Event: ev})
}

// recover finds the jobs of the store. It repeats what fails until the term ends: a store that cannot be listed hides jobs.
func (l *Leader) recover(ctx context.Context) {
	for {
		ids, err := Jobs(ctx, l.c.Store)
		if err == nil {
			l.post(func() {
				for _, id := range ids {
					l.step(scheduler.JobFound{Job: string(id)})
				}
				l.step(scheduler.JobsListed{})
				close(l.listed)
			})
			return
		}
		if ctx.Err() != nil {
			return
		}
		l.c.Log.Warn("the jobs cannot be listed yet", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(retryPause):
		}
	}
}

const retryPause = 200 * time.Millisecond

// ErrEnded: the term has ended; another leader may answer.
var ErrEnded = fmt.Errorf("this jobmanager does not lead any more")

// Session is one taskmanager's stream, whatever carries it.
type Session struct {
	l   *Leader
	id  scheduler.SessionID
	out *queue.Queue[*thalwegv1.ToTaskManager]
}

// Open takes a new session. The caller sends what Outgoing yields, in order, until it is closed, and then ends the stream; it
// reports what it receives, and at last the end, by Receive and Closed.
func (l *Leader) Open() *Session {
	s := &Session{l: l, id: scheduler.SessionID(l.session.Add(1)), out: queue.New[*thalwegv1.ToTaskManager]()}
	l.post(func() { l.sessions[s.id] = s })
	return s
}

// Outgoing is what is to be sent.
func (s *Session) Outgoing() *queue.Queue[*thalwegv1.ToTaskManager] { return s.out }

// Receive hands a message to the term.
func (s *Session) Receive(m *thalwegv1.FromTaskManager) {
	s.l.post(func() { s.l.step(scheduler.Received{Session: s.id, Message: m}) })
}

// Closed says that the stream is over.
func (s *Session) Closed(cause string) {
	s.l.post(func() {
		delete(s.l.sessions, s.id)
		s.l.step(scheduler.Closed{Session: s.id, Cause: cause})
	})
	s.out.Close()
}

// Ended is closed when the term has ended.
func (s *Session) Ended() <-chan struct{} { return s.l.ended }

func (s *Session) end() { s.out.Close() }
