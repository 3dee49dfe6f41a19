package jobmanager

import (
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/leader"
)

// gateway is the taskmanagers' front end.
type gateway struct {
	thalwegv1.UnimplementedTaskManagerGatewayServer
	m *JobManager
}

type sessionStream = grpc.BidiStreamingServer[thalwegv1.FromTaskManager, thalwegv1.ToTaskManager]

// Session carries one taskmanager's stream to and from the term that was running when it began. It ends with the term.
func (g *gateway) Session(stream sessionStream) error {
	t, known := g.m.current()
	if t == nil {
		reason := "this jobmanager does not lead"
		if known.Present() {
			reason += "; known is " + known.String()
		}
		return stream.Send(&thalwegv1.ToTaskManager{Message: &thalwegv1.ToTaskManager_Refused{
			Refused: &thalwegv1.Refused{Code: thalwegv1.Refused_CODE_NOT_LEADER, Reason: reason}}})
	}
	s := t.Open()
	go receive(stream, s)
	return send(stream, s)
}

// receive posts what comes until the stream ends, which it does at the latest when send returns.
func receive(stream sessionStream, s *leader.Session) {
	for {
		m, err := stream.Recv()
		if err != nil {
			cause := "the stream broke: " + status.Convert(err).Message()
			if errors.Is(err, io.EOF) {
				cause = "the stream ended"
			}
			s.Closed(cause)
			return
		}
		s.Receive(m)
	}
}

// send is the stream's only sender. A closed queue or the end of the term ends the stream.
func send(stream sessionStream, s *leader.Session) error {
	out := s.Outgoing()
	for {
		select {
		case <-out.Ready():
		case <-stream.Context().Done():
			return nil
		case <-s.Ended():
			return nil
		}
		items, ok := out.Drain()
		for _, m := range items {
			if err := stream.Send(m); err != nil {
				return nil // the receiver tells why
			}
		}
		if !ok {
			return nil
		}
	}
}
