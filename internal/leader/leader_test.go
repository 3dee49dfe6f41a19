package leader

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thalweg-io/thalweg/internal/ha"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/scheduler"
)

// hesitant is a store without jobs that is listed when it is ready.
type hesitant struct {
	ha.Store
	ready chan struct{}
}

func (h hesitant) List(ctx context.Context, _ string) ([]string, error) {
	select {
	case <-h.ready:
		return nil, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// hesitating leads with that store until ctx ends.
func hesitating(ctx context.Context, ready chan struct{}) *Leader {
	l := New(Config{
		Term:  scheduler.TermConfig{Epoch: 1, HeartbeatInterval: time.Hour, HeartbeatTimeout: 2 * time.Hour},
		Store: hesitant{ready: ready}, Log: slog.New(slog.DiscardHandler), EndTerm: func(string) {},
	})
	go l.Run(ctx)
	return l
}

// TestNoJobIsMissingBeforeAllAreListed: who asks a leader of a moment ago for a job is not told that there is none.
func TestNoJobIsMissingBeforeAllAreListed(t *testing.T) {
	questions := map[string]func(*Leader, context.Context, job.ID) error{
		"info": func(l *Leader, ctx context.Context, id job.ID) error {
			i, err := l.Info(ctx, id)
			if err == nil && i == nil {
				err = NotFound{id}
			}
			return err
		},
		"list": func(l *Leader, ctx context.Context, id job.ID) error {
			all, err := l.List(ctx)
			if err == nil && len(all) == 0 {
				err = NotFound{id}
			}
			return err
		},
		"cancel": func(l *Leader, ctx context.Context, id job.ID) error { _, err := l.Cancel(ctx, id, "q"); return err },
		"checkpoint": func(l *Leader, ctx context.Context, id job.ID) error {
			_, err := l.TriggerCheckpoint(ctx, id)
			return err
		},
	}
	for name, ask := range questions {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ready := make(chan struct{})
				ctx, end := context.WithCancel(t.Context())
				l := hesitating(ctx, ready)
				id := job.NewID()

				soon, cancel := context.WithTimeout(ctx, time.Minute)
				defer cancel()
				if err := ask(l, soon, id); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("within a minute: %v", err)
				}
				answered := make(chan error, 1)
				go func() { answered <- ask(l, ctx, id) }()
				synctest.Wait()
				select {
				case err := <-answered:
					t.Fatalf("before the jobs were listed: %v", err)
				default:
				}
				close(ready)
				if err := <-answered; err != (NotFound{id}) {
					t.Errorf("when the jobs were listed: %v", err)
				}
				end()
				<-l.Ended()
				if err := ask(l, t.Context(), id); !errors.Is(err, ErrEnded) {
					t.Errorf("when the term had ended: %v", err)
				}
			})
		})
	}
}

// TestAnEndedTermAnswers also if the jobs have never been listed.
func TestAnEndedTermAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		l := hesitating(ctx, make(chan struct{}))
		answered := make(chan error, 1)
		go func() { _, err := l.Info(t.Context(), job.NewID()); answered <- err }()
		synctest.Wait()
		end()
		if err := <-answered; !errors.Is(err, ErrEnded) {
			t.Error(err)
		}
	})
}
