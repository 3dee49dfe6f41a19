package taskmanager

import (
	"context"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/queue"
	"github.com/thalweg-io/thalweg/internal/taskmanager/core"
)

const (
	welcomeTimeout = 5 * time.Second
	maxMessage     = 64 << 20
	goodbyeTimeout = time.Second
)

// session is one stream to one leader. It posts exactly one SessionEnded, as its last event, unless it was closed from here.
type session struct {
	request uint64
	out     *queue.Queue[*thalwegv1.FromTaskManager]
	cancel  context.CancelFunc
	done    chan struct{}
}

func openSession(e core.OpenSession, events *queue.Queue[core.Event]) *session {
	ctx, cancel := context.WithCancel(context.Background())
	s := &session{request: e.Request, out: queue.New[*thalwegv1.FromTaskManager](), cancel: cancel, done: make(chan struct{})}
	s.out.Push(&thalwegv1.FromTaskManager{Message: &thalwegv1.FromTaskManager_Register{Register: e.Register}})
	go func() {
		defer close(s.done)
		defer cancel()
		defer s.out.Close()
		refused, err := s.run(ctx, e.Leader.Address, events)
		if refused == nil && err == nil {
			err = io.EOF
		}
		cause := ""
		if err != nil {
			cause = err.Error()
		}
		events.Push(core.SessionEnded{Request: e.Request, Refused: refused, Cause: cause})
	}()
	return s
}

// run holds the stream until it ends. Everything received is posted in order.
func (s *session) run(ctx context.Context, address string, events *queue.Queue[core.Event]) (*thalwegv1.Refused, error) {
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: 500 * time.Millisecond,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: time.Minute, Timeout: time.Minute, PermitWithoutStream: true}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)))
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	late := time.AfterFunc(welcomeTimeout, cancel)
	defer late.Stop()
	stream, err := thalwegv1.NewTaskManagerGatewayClient(conn).Session(ctx)
	if err != nil {
		return nil, err
	}
	go s.send(stream) // ends with the queue or the stream
	first, err := stream.Recv()
	if !late.Stop() && err != nil {
		err = fmt.Errorf("no answer to the registration within %v", welcomeTimeout)
	}
	if err != nil {
		return nil, err
	}
	if r := first.GetRefused(); r != nil {
		return r, nil
	}
	if first.GetWelcome() == nil {
		return nil, fmt.Errorf("the leader at %s answered a registration with %T", address, first.Message)
	}
	events.Push(core.SessionWelcomed{Request: s.request, Welcome: first.GetWelcome()})
	for {
		m, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		if r := m.GetRefused(); r != nil {
			return r, nil
		}
		events.Push(core.Command{Request: s.request, Message: m})
	}
}

// send is the only sender on the stream. It ends when the queue is closed and empty, or the stream breaks.
func (s *session) send(stream grpc.BidiStreamingClient[thalwegv1.FromTaskManager, thalwegv1.ToTaskManager]) {
	for range s.out.Ready() {
		items, ok := s.out.Drain()
		for _, m := range items {
			if stream.Send(m) != nil {
				return // the receiver sees why
			}
		}
		if !ok {
			stream.CloseSend()
			return
		}
	}
}

// close says goodbye and lets the stream end in the background; no event of it matters any more.
func (s *session) close(goodbye *thalwegv1.Goodbye) {
	if goodbye != nil {
		s.out.Push(&thalwegv1.FromTaskManager{Message: &thalwegv1.FromTaskManager_Goodbye{Goodbye: goodbye}})
	}
	s.out.Close()
	go func() {
		select {
		case <-s.done:
		case <-time.After(goodbyeTimeout):
			s.cancel()
		}
	}()
}
