package zookeeper_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/internal/ha"
	"github.com/thalweg-io/thalweg/internal/ha/zookeeper"
	"github.com/thalweg-io/thalweg/test/services"
)

// TestUnreachable: nobody listens. Discovery says which servers and why; contending waits.
func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	s, err := zookeeper.Open(zookeeper.Config{Quorum: addr, ConnectionTimeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- s.Lead(ctx, ha.Contender{Incarnation: "x", RPCAddress: "x:1"}, func(ha.Term) { t.Error("served without a server") })
	}()
	got := <-s.Discover(t.Context())
	if !errors.Is(got.Err, ha.ErrUnavailable) || !strings.Contains(got.Err.Error(), addr) || !strings.Contains(got.Err.Error(), "refused") {
		t.Errorf("discovery: %+v", got)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("lead: %v", err)
	}
}

// TestHungEnsemble: the whole ensemble stops without closing anything (matrix row 23). The leader's term ends by its own lease;
// after the ensemble has come back the same process leads again, and what was written is there. The library alone would go on
// for ever, believing in its session.
func TestHungEnsemble(t *testing.T) {
	ensemble := services.ZooKeeperForTest(t, services.ZooKeeperOptions{})
	const session = 2 * time.Second
	s, err := zookeeper.Open(zookeeper.Config{Quorum: ensemble.ConnectString(), SessionTimeout: session, Logger: logger(t, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	terms := make(chan ha.Term, 10)
	ended := make(chan error, 1)
	go func() {
		ended <- s.Lead(ctx, ha.Contender{Incarnation: ha.NewIncarnation(), RPCAddress: "x:1"}, func(term ha.Term) {
			terms <- term
			<-term.Context().Done()
		})
	}()
	first := <-terms
	if err := first.Settle(ctx, ha.Create("x", []byte("kept"))); err != nil {
		t.Fatal(err)
	}
	if err := first.Publish(ctx); err != nil {
		t.Fatal(err)
	}
	sightings := s.Discover(ctx)
	if got := <-sightings; got.Leader.Epoch != first.Epoch() {
		t.Fatalf("discovered %+v", got)
	}
	for i := range ensemble.Len() {
		if err := ensemble.Node(i).Pause(); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Now()
	write := make(chan error, 1)
	go func() { write <- first.Settle(ctx, ha.Create("y", nil)) }()
	select {
	case <-first.Context().Done():
	case <-time.After(30 * time.Second):
		t.Fatal("the term goes on although nobody answers")
	}
	took := time.Since(start)
	t.Logf("stopped to ended: %v", took)
	if cause := context.Cause(first.Context()); !errors.Is(cause, ha.ErrLeaseExpired) {
		t.Errorf("ended with %v", cause)
	}
	if took > session+500*time.Millisecond {
		t.Errorf("took %v with a session of %v", took, session)
	}
	if err := <-write; !errors.Is(err, ha.ErrUnknown) && !errors.Is(err, ha.ErrLeaseExpired) {
		t.Errorf("the write in flight: %v", err)
	}
	if got := <-sightings; got.Err == nil || got.Leader.Epoch != first.Epoch() {
		t.Errorf("discovery meanwhile: %+v", got)
	}
	for i := range ensemble.Len() {
		if err := ensemble.Node(i).Continue(); err != nil {
			t.Fatal(err)
		}
	}
	start = time.Now()
	second := <-terms
	t.Logf("went on to led: %v", time.Since(start))
	if v, err := second.Get(ctx, "x"); err != nil || string(v.Data) != "kept" {
		t.Errorf("x: %q, %v", v.Data, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestStoppedServer: the ensemble's own leader is stopped, not killed. The client's session survives although it may be connected
// to it: with the library's own handshake deadline it would not.
func TestStoppedServer(t *testing.T) {
	ensemble := services.ZooKeeperForTest(t, services.ZooKeeperOptions{Config: map[string]string{"syncLimit": "4"}})
	s, err := zookeeper.Open(zookeeper.Config{Quorum: ensemble.ConnectString(), SessionTimeout: 6 * time.Second, Logger: logger(t, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	served := 0
	err = s.Lead(ctx, ha.Contender{Incarnation: ha.NewIncarnation(), RPCAddress: "x:1"}, func(term ha.Term) {
		served++
		if served > 1 {
			t.Errorf("a second term, epoch %d", term.Epoch())
			return
		}
		if err := term.Settle(ctx, ha.Create("before", nil)); err != nil {
			t.Error(err)
		}
		i, err := ensemble.Leader(ctx)
		if err == nil {
			err = ensemble.Node(i).Pause()
		}
		if err != nil {
			t.Error(err)
		}
		start := time.Now()
		if err := term.Settle(ctx, ha.Create("after", nil)); err != nil {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		t.Logf("stopped to written: %v", time.Since(start))
		if err := ensemble.Node(i).Continue(); err != nil {
			t.Error(err)
		}
		cancel()
	})
	if err != nil {
		t.Error(err)
	}
}
