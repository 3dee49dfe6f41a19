package scheduler

import (
	"fmt"
	"strings"
	"testing"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

// TestSessionsScripts drives Sessions alone.
func TestSessionsScripts(t *testing.T) {
	runScripts(t, "sessions", func() func(string, []string) string {
		s := &sessionsScript{now: time.Second}
		return s.run
	})
}

type sessionsScript struct {
	now  time.Duration
	s    *Sessions
	wake time.Duration
}

func fromTM(kind string, options map[string]string) *thalwegv1.FromTaskManager {
	switch kind {
	case "register":
		return &thalwegv1.FromTaskManager{Message: &thalwegv1.FromTaskManager_Register{Register: &thalwegv1.Register{
			ProtocolVersion: uint32(atoi(options["version"], ProtocolVersion)), Taskmanager: options["id"], Incarnation: options["incarnation"],
			ClusterIncarnation: options["cluster"], Epoch: uint64(atoi(options["epoch"], 0)), Host: "host", Slots: 2, DataAddress: options["id"] + ":1",
		}}}
	case "goodbye":
		return &thalwegv1.FromTaskManager{Message: &thalwegv1.FromTaskManager_Goodbye{Goodbye: &thalwegv1.Goodbye{
			Reason: thalwegv1.Goodbye_Reason(thalwegv1.Goodbye_Reason_value["REASON_"+options["reason"]]), Epoch: uint64(atoi(options["epoch"], 0))}}}
	}
	return &thalwegv1.FromTaskManager{Message: &thalwegv1.FromTaskManager_Heartbeat{Heartbeat: &thalwegv1.Heartbeat{}}}
}

func (s *sessionsScript) run(command string, args []string) string {
	plain, options := keyValues(args)
	id := SessionID(0)
	if len(plain) > 0 && strings.HasPrefix(plain[0], "s") {
		id = SessionID(atoi(plain[0][1:], 0))
	}
	switch command {
	case "new": // new: a term of epoch 5 in the cluster c
		s.s = NewSessions(SessionsConfig{Epoch: 5, ClusterIncarnation: "c", HeartbeatInterval: 3 * time.Second, HeartbeatTimeout: 10 * time.Second, PingTimeout: time.Second}, s.now)
		return s.step(Tick{})
	case "register", "goodbye", "heartbeat": // register s1 id=a incarnation=a1 [epoch=] [cluster=] [version=]; goodbye s1 reason=SILENT
		return s.step(Received{id, fromTM(command, options)})
	case "state": // state s1: a message for the jobs
		return s.step(Received{id, &thalwegv1.FromTaskManager{Message: &thalwegv1.FromTaskManager_TaskState{TaskState: &thalwegv1.TaskStateChanged{}}}})
	case "closed": // closed s1 cause
		return s.step(Closed{id, strings.Join(plain[1:], " ")})
	case "after": // after 10s [alive=s1,s2]: time passes with ticks on time; those alive send heartbeats
		d, _ := time.ParseDuration(plain[0])
		var out string
		for end := s.now + d; ; {
			if s.wake > end {
				s.now = end
				return out
			}
			s.now = max(s.now, s.wake)
			got := ""
			for _, a := range strings.Split(options["alive"], ",") {
				if a != "" {
					got += s.step(Received{SessionID(atoi(a[1:], 0)), fromTM("heartbeat", nil)})
				}
			}
			if got += s.step(Tick{}); got != "" {
				out += fmt.Sprintf("at %v\n%s", (s.now - time.Second).Round(time.Millisecond), got)
			}
		}
	case "pause": // pause 30s: this process does not run
		d, _ := time.ParseDuration(plain[0])
		s.now += d
		return ""
	case "tick":
		return s.step(Tick{})
	}
	return "unknown command " + command
}

func (s *sessionsScript) step(ev Event) string {
	e := s.s.Step(s.now, ev)
	s.wake = e.Wake
	var b strings.Builder
	if e.EndTerm != "" {
		return "END OF TERM: " + e.EndTerm + "\n"
	}
	for _, n := range e.Notices {
		fmt.Fprintf(&b, "%s: %s\n", n.Level, n.Text)
	}
	for _, c := range e.Changes {
		if c.Register != nil {
			fmt.Fprintf(&b, "up %s on session %d\n", c.Incarnation, c.Session)
		} else {
			fmt.Fprintf(&b, "down %s %v: %s\n", c.Incarnation, c.Down, c.Cause)
		}
	}
	if e.Forward != nil {
		fmt.Fprintf(&b, "for the jobs, from %s\n", e.Forward.Incarnation)
	}
	for _, m := range e.Messages {
		if m.Message.GetHeartbeat() != nil {
			continue
		}
		fmt.Fprintf(&b, "-> session %d: %s", m.Session, describeCommand(m.Message))
		if m.Close {
			b.WriteString(" (closed)")
		}
		b.WriteString("\n")
	}
	return b.String()
}
