package worker

import (
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/queue"
	"github.com/thalweg-io/thalweg/internal/stream"
)

// A worker's own time without a leader begins when one spoke last. A taskmanager that dials one in vain asks its workers each time what they run, and takes
// that back: no leader has spoken.
func TestWorkerWithoutALeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = time.Minute
		w := &worker{out: queue.New[*thalwegv1.FromWorker](), log: slog.New(slog.NewTextHandler(io.Discard, nil)),
			start: &thalwegv1.WorkerStart{LeaderlessTimeoutMs: limit.Milliseconds(), HeartbeatTimeoutMs: 10_000}}
		w.host = stream.NewHost(&stream.Graph{Job: &thalwegv1.JobGraph{}}, stream.HostConfig{}, w)
		defer w.host.Close()
		now := time.Now()
		w.heard, w.ticked, w.without = now, now, now
		say := func(m *thalwegv1.ToWorker) {
			t.Helper()
			w.heard = time.Now()
			if err := w.take(m); err != nil {
				t.Fatal(err)
			}
		}
		session := func() {
			say(&thalwegv1.ToWorker{Epoch: 1, Message: &thalwegv1.ToWorker_Session{Session: &thalwegv1.SessionEpoch{}}})
		}
		welcomed := func() {
			say(&thalwegv1.ToWorker{Epoch: 1, Message: &thalwegv1.ToWorker_Position{Position: &thalwegv1.JobPosition{}}})
		}
		lost := func() {
			say(&thalwegv1.ToWorker{Message: &thalwegv1.ToWorker_SessionLost{SessionLost: &thalwegv1.SessionLost{}}})
		}
		second := func() {
			time.Sleep(time.Second)
			w.judge(time.Now(), time.Second)
		}

		session()
		welcomed()
		for range 3 * int(limit/time.Second) {
			say(&thalwegv1.ToWorker{Message: &thalwegv1.ToWorker_Heartbeat{Heartbeat: &thalwegv1.Heartbeat{}}})
			second()
		}
		if w.canceled {
			t.Fatal("the tasks are cancelled, and there is a leader")
		}
		lost()
		for i := range int(limit / time.Second) {
			session()
			lost()
			second()
			if w.canceled {
				t.Fatalf("the tasks are cancelled %d s after the leader was lost", i+1)
			}
		}
		session()
		lost()
		second()
		if !w.canceled {
			t.Fatalf("no leader has spoken for more than %v, and the tasks go on", limit)
		}
	})
}
