package leader

import (
	"context"
	"fmt"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/scheduler"
)

// NotFound: no job of this id runs, waits or has a kept result.
type NotFound struct{ ID job.ID }

func (e NotFound) Error() string {
	return fmt.Sprintf("job %s not found: thalweg list --all shows the jobs that this cluster knows", e.ID)
}

// Start runs a job whose record has been created.
func (l *Leader) Start(ctx context.Context, id job.ID) error {
	return l.do(ctx, func() { l.step(scheduler.JobFound{Job: string(id)}) })
}

// Info describes a job, or returns nil if the term does not know it.
func (l *Leader) Info(ctx context.Context, id job.ID) (*thalwegv1.JobInfo, error) {
	var i *thalwegv1.JobInfo
	err := l.answer(ctx, func() {
		if j := l.term.Job(string(id)); j != nil {
			i = j.Info()
		}
	})
	return i, err
}

// List summarises the jobs that the term knows, ordered by id.
func (l *Leader) List(ctx context.Context) ([]*thalwegv1.JobSummary, error) {
	var s []*thalwegv1.JobSummary
	err := l.answer(ctx, func() {
		for _, j := range l.term.Jobs() {
			s = append(s, j.Summary())
		}
	})
	return s, err
}

// TaskManagers lists the registered taskmanagers, ordered by id.
func (l *Leader) TaskManagers(ctx context.Context) ([]*thalwegv1.TaskManagerInfo, error) {
	var s []*thalwegv1.TaskManagerInfo
	err := l.do(ctx, func() { s = l.term.TaskManagers(l.now()) })
	return s, err
}

// Cancel returns when the intent is recorded.
func (l *Leader) Cancel(ctx context.Context, id job.ID, request string) (scheduler.Reply, error) {
	return l.ask(ctx, id, func(r scheduler.ReplyID) scheduler.JobEvent {
		return scheduler.CancelRequested{Reply: r, Request: request}
	})
}

// TriggerCheckpoint returns when the checkpoint has completed or failed.
func (l *Leader) TriggerCheckpoint(ctx context.Context, id job.ID) (scheduler.Reply, error) {
	return l.ask(ctx, id, func(r scheduler.ReplyID) scheduler.JobEvent { return scheduler.CheckpointRequested{Reply: r} })
}

// ask posts a client's request and waits for its Reply.
func (l *Leader) ask(ctx context.Context, id job.ID, event func(scheduler.ReplyID) scheduler.JobEvent) (scheduler.Reply, error) {
	r := scheduler.ReplyID(l.reply.Add(1))
	answer := make(chan scheduler.Reply, 1)
	known := false
	if err := l.answer(ctx, func() {
		if known = l.term.Job(string(id)) != nil; known {
			l.replies[r] = func(a scheduler.Reply) { answer <- a }
			l.forJob(id, event(r))
		}
	}); err != nil {
		return scheduler.Reply{}, err
	}
	if !known {
		return scheduler.Reply{}, NotFound{id}
	}
	select {
	case a := <-answer:
		return a, nil
	case <-l.ended:
		return scheduler.Reply{}, ErrEnded
	case <-ctx.Done():
		l.post(func() { delete(l.replies, r) })
		return scheduler.Reply{}, ctx.Err()
	}
}

// watcher is told by a full channel of one that something has changed since it looked.
type watcher struct{ changed chan struct{} }

// Watch signals on the channel at each change of a job, until stop is called or the term ends (Ended).
func (l *Leader) Watch(id job.ID) (changed <-chan struct{}, stop func()) {
	w := &watcher{make(chan struct{}, 1)}
	l.post(func() {
		if l.watchers[id] == nil {
			l.watchers[id] = map[*watcher]struct{}{}
		}
		l.watchers[id][w] = struct{}{}
	})
	return w.changed, func() {
		l.post(func() {
			delete(l.watchers[id], w)
			if len(l.watchers[id]) == 0 {
				delete(l.watchers, id)
			}
		})
	}
}

func (l *Leader) changed(id job.ID) {
	for w := range l.watchers[id] {
		select {
		case w.changed <- struct{}{}:
		default:
		}
	}
}

// Ended is closed when the term's work has ended.
func (l *Leader) Ended() <-chan struct{} { return l.ended }
