package scheduler

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/planted"
)

// ProtocolVersion of the taskmanagers' session.
const ProtocolVersion = 1

// Sessions knows the taskmanagers of one term: who is registered, and of the others whether they are missing, silent or dead.
// It is told of every message and of every stream's end, and judges nobody before it has read its input: a step that comes
// later than it asked to be woken shows that this process itself was paused, and then all waiting begins anew.
type Sessions struct {
	c   SessionsConfig
	now time.Duration
	out SessionsEffects

	open  map[SessionID]*session
	known map[string]*registered // by incarnation; without a session too, until given up

	beat   time.Duration // when heartbeats are due
	asked  time.Duration // when the last step asked to be woken
	paused time.Duration // until when a stream's end says nothing about its process
}

// SessionsConfig is what a term tells its taskmanagers about itself.
type SessionsConfig struct {
	Epoch              uint64
	ClusterIncarnation string
	HeartbeatInterval  time.Duration
	HeartbeatTimeout   time.Duration
	PingTimeout        time.Duration // how long an older incarnation under a wanted id may take to answer (1 s)
}

// SessionsEffects is what follows from one step, in the order of the fields: Down before Up, and the messages last.
type SessionsEffects struct {
	// EndTerm says why the term is over; the other fields are empty.
	EndTerm string
	// Changes are taskmanagers that registered or went, in order.
	Changes []SessionChange
	// Forward is a message for the jobs, of a registered taskmanager.
	Forward *FromTaskManager
	// Messages are those of the sessions themselves: heartbeats, pings, refusals. Welcome is the caller's, who knows the jobs.
	Messages []SessionMessage
	Notices  []Notice
	// Wake is when the next Tick is wanted.
	Wake time.Duration
}

// SessionChange is one taskmanager that registered (Register is set) or went (Down is set).
type SessionChange struct {
	Session     SessionID // of a registration: where Welcome goes
	Register    *thalwegv1.Register
	Incarnation string
	Down        Down
	Cause       string
}

// session is one stream.
type session struct {
	id          SessionID
	incarnation string // empty until accepted
	heard       time.Duration
	goodbye     *thalwegv1.Goodbye
	waits       *thalwegv1.Register // a registration that waits for an older incarnation to answer a ping
	until       time.Duration       // of waits
}

// registered is one taskmanager incarnation.
type registered struct {
	r       *thalwegv1.Register
	session *session // nil: missing
	missing time.Duration
	cause   string
	pinged  bool
}

// NewSessions makes the sessions of a term that begins now, without any.
func NewSessions(c SessionsConfig, now time.Duration) *Sessions {
	return &Sessions{c: c, now: now, open: map[SessionID]*session{}, known: map[string]*registered{}, beat: now + c.HeartbeatInterval}
}

// Step takes one event: Received, Closed or Tick; others are ignored.
func (s *Sessions) Step(now time.Duration, ev Event) SessionsEffects {
	s.now, s.out = now, SessionsEffects{}
	s.noticePause()
	switch ev := ev.(type) {
	case Received:
		s.received(ev)
	case Closed:
		s.closed(ev)
	}
	s.judge()
	s.heartbeats()
	if s.out.EndTerm != "" {
		return SessionsEffects{EndTerm: s.out.EndTerm}
	}
	s.out.Wake = s.nextWake()
	s.asked = s.out.Wake
	return s.out
}

// noticePause: a step later than asked for by half an interval shows that this process did not run. What the others sent
// meanwhile is still unread, so their silence says nothing, and a stream that ended may have been ended by our own silence.
func (s *Sessions) noticePause() {
	if !s.late(s.now) {
		return
	}
	s.notice("warn", fmt.Sprintf("this process was paused for about %v: nobody is judged by that time", (s.now-s.asked).Round(time.Millisecond)))
	for _, x := range s.open {
		x.heard = s.now
		if x.waits != nil {
			x.until = s.now + s.c.PingTimeout
		}
	}
	for _, r := range s.known {
		if r.session == nil {
			r.missing = s.now
		}
	}
	s.paused = s.now + s.c.HeartbeatInterval
}

// late reports whether a step at this time comes so late that this process has been paused.
func (s *Sessions) late(now time.Duration) bool {
	return s.asked != 0 && now-s.asked > s.c.HeartbeatInterval/2 && !planted.On("judged-after-own-pause")
}

func (s *Sessions) received(ev Received) {
	x := s.open[ev.Session]
	reg := ev.Message.GetRegister()
	if x == nil {
		x = &session{id: ev.Session}
		s.open[ev.Session] = x
		if reg == nil {
			s.refuse(x, thalwegv1.Refused_CODE_UNSPECIFIED, "the first message of a session must be Register")
			return
		}
		x.heard = s.now
		s.register(x, reg)
		return
	}
	x.heard = s.now
	r := s.known[x.incarnation]
	if x.incarnation == "" || r == nil || r.session != x {
		return // refused, given up or replaced: its messages say nothing any more
	}
	r.pinged = false
	switch m := ev.Message.Message.(type) {
	case *thalwegv1.FromTaskManager_Register:
		s.notice("warn", fmt.Sprintf("taskmanager %s registered twice on one session", r.r.Taskmanager))
	case *thalwegv1.FromTaskManager_Heartbeat:
	case *thalwegv1.FromTaskManager_Goodbye:
		x.goodbye = m.Goodbye
		if m.Goodbye.Reason == thalwegv1.Goodbye_REASON_SUPERSEDED && m.Goodbye.Epoch > s.c.Epoch {
			s.out.EndTerm = fmt.Sprintf("taskmanager %s has found the leader of epoch %d", r.r.Taskmanager, m.Goodbye.Epoch)
		}
	default:
		s.out.Forward = &FromTaskManager{Incarnation: x.incarnation, Message: ev.Message}
	}
}

// register decides about a newcomer.
func (s *Sessions) register(x *session, r *thalwegv1.Register) {
	switch {
	case r.ProtocolVersion != ProtocolVersion:
		s.refuse(x, thalwegv1.Refused_CODE_PROTOCOL_VERSION, fmt.Sprintf("protocol version %d of taskmanager %s: this jobmanager speaks %d", r.ProtocolVersion, r.Taskmanager, ProtocolVersion))
		return
	case r.Epoch > s.c.Epoch:
		s.out.EndTerm = fmt.Sprintf("taskmanager %s has seen epoch %d", r.Taskmanager, r.Epoch)
		return
	case r.ClusterIncarnation != "" && r.ClusterIncarnation != s.c.ClusterIncarnation:
		s.refuse(x, thalwegv1.Refused_CODE_CLUSTER_INCARNATION, fmt.Sprintf("taskmanager %s belongs to the cluster %s, this is %s: its high-availability settings point elsewhere, or the metadata store was wiped",
			r.Taskmanager, r.ClusterIncarnation, s.c.ClusterIncarnation))
		return
	case r.Taskmanager == "" || r.Incarnation == "" || r.Slots < 0:
		s.refuse(x, thalwegv1.Refused_CODE_UNSPECIFIED, fmt.Sprintf("registration of %q, incarnation %q with %d slots is not valid", r.Taskmanager, r.Incarnation, r.Slots))
		return
	}
	if old := s.known[r.Incarnation]; old != nil {
		if old.session != nil {
			s.drop(old.session, "replaced by a newer session of the same process")
		}
		s.accept(x, r)
		return
	}
	older := s.holder(r.Taskmanager)
	switch {
	case older == nil:
		s.accept(x, r)
	case older.session == nil:
		// It was gone already; a process of the same id in its place says that it is not coming back.
		s.down(older, Dead, "another process has taken its place")
		s.accept(x, r)
	default:
		x.waits, x.until = r, s.now+s.c.PingTimeout
		older.pinged = true
		s.message(older.session.id, &thalwegv1.ToTaskManager{Message: &thalwegv1.ToTaskManager_Ping{Ping: &thalwegv1.Ping{}}})
	}
}

// holder is the incarnation that has the id.
func (s *Sessions) holder(id string) *registered {
	for _, r := range s.sorted() {
		if r.r.Taskmanager == id {
			return r
		}
	}
	return nil
}

func (s *Sessions) accept(x *session, r *thalwegv1.Register) {
	x.incarnation, x.waits = r.Incarnation, nil
	s.known[r.Incarnation] = &registered{r: r, session: x}
	s.out.Changes = append(s.out.Changes, SessionChange{Session: x.id, Register: r, Incarnation: r.Incarnation})
}

func (s *Sessions) refuse(x *session, code thalwegv1.Refused_Code, why string) {
	s.notice("warn", "refused a session: "+why)
	s.out.Messages = append(s.out.Messages, SessionMessage{Session: x.id, Close: true, Message: &thalwegv1.ToTaskManager{
		Epoch: s.c.Epoch, Message: &thalwegv1.ToTaskManager_Refused{Refused: &thalwegv1.Refused{Code: code, Reason: why}}}})
	x.waits = nil
}

// drop closes a session whose taskmanager has been given up or has a newer one.
func (s *Sessions) drop(x *session, why string) {
	s.out.Messages = append(s.out.Messages, SessionMessage{Session: x.id, Close: true, Message: &thalwegv1.ToTaskManager{
		Epoch: s.c.Epoch, Message: &thalwegv1.ToTaskManager_Refused{Refused: &thalwegv1.Refused{Code: thalwegv1.Refused_CODE_GIVEN_UP, Reason: why}}}})
	x.incarnation = ""
}

// closed tells a dead process from one that is only out of reach.
func (s *Sessions) closed(ev Closed) {
	x := s.open[ev.Session]
	delete(s.open, ev.Session)
	if x == nil || x.incarnation == "" {
		return
	}
	r := s.known[x.incarnation]
	if r == nil || r.session != x {
		return
	}
	r.session, r.missing, r.cause = nil, s.now, orElse(ev.Cause, "its session ended")
	switch reason := x.goodbye.GetReason(); {
	case reason == thalwegv1.Goodbye_REASON_SHUTDOWN:
		s.down(r, Dead, "it was shut down")
	case reason == thalwegv1.Goodbye_REASON_SILENT:
		s.missing(r, "it gave this leader up as silent")
	case reason != thalwegv1.Goodbye_REASON_UNSPECIFIED:
		s.missing(r, "it closed its session")
	case s.now < s.paused:
		s.missing(r, "its session ended while this process was paused: "+r.cause)
	default:
		s.down(r, Dead, r.cause)
	}
}

func (s *Sessions) missing(r *registered, cause string) {
	r.cause = cause
	s.out.Changes = append(s.out.Changes, SessionChange{Incarnation: r.r.Incarnation, Down: Missing, Cause: cause})
	s.notice("warn", fmt.Sprintf("taskmanager %s is missing: %s", r.r.Taskmanager, cause))
}

func (s *Sessions) down(r *registered, d Down, cause string) {
	delete(s.known, r.r.Incarnation)
	s.out.Changes = append(s.out.Changes, SessionChange{Incarnation: r.r.Incarnation, Down: d, Cause: cause})
	s.notice("warn", fmt.Sprintf("taskmanager %s is %v: %s", r.r.Taskmanager, d, cause))
}

// judge gives up who has been silent or missing for the heartbeat timeout, and decides about newcomers under a taken id.
func (s *Sessions) judge() {
	for _, x := range s.waiting() {
		older := s.holder(x.waits.Taskmanager)
		switch {
		case older == nil:
			s.accept(x, x.waits)
		case older.session == nil || s.now >= x.until && older.pinged:
			if older.session != nil {
				s.drop(older.session, "another incarnation has the id, and this one did not answer a ping")
			}
			s.down(older, Silent, fmt.Sprintf("it did not answer a ping within %v while another process wanted its id", s.c.PingTimeout))
			s.accept(x, x.waits)
		case !older.pinged:
			s.refuse(x, thalwegv1.Refused_CODE_ID_TAKEN, fmt.Sprintf("the id %s is taken by a living taskmanager on %s (incarnation %s): set taskmanager.resource-id",
				x.waits.Taskmanager, older.r.Host, older.r.Incarnation))
		}
	}
	for _, r := range s.sorted() {
		switch {
		case r.session != nil && s.now-r.session.heard > s.c.HeartbeatTimeout:
			s.drop(r.session, fmt.Sprintf("silent for %v", s.c.HeartbeatTimeout))
			s.down(r, Silent, fmt.Sprintf("silent for %v", s.c.HeartbeatTimeout))
		case r.session == nil && s.now-r.missing > s.c.HeartbeatTimeout:
			s.down(r, Silent, fmt.Sprintf("%s, and it has not come back within %v", r.cause, s.c.HeartbeatTimeout))
		}
	}
}

func (s *Sessions) heartbeats() {
	if s.now < s.beat {
		return
	}
	s.beat = s.now + s.c.HeartbeatInterval
	for _, r := range s.sorted() {
		if r.session != nil {
			s.message(r.session.id, &thalwegv1.ToTaskManager{Message: &thalwegv1.ToTaskManager_Heartbeat{Heartbeat: &thalwegv1.Heartbeat{}}})
		}
	}
}

func (s *Sessions) nextWake() time.Duration {
	at := min(s.beat, s.now+s.c.HeartbeatInterval/4) // often enough to notice a pause of a small part of any timeout
	for _, x := range s.waiting() {
		at = min(at, x.until)
	}
	for _, r := range s.known {
		since := r.missing
		if r.session != nil {
			since = r.session.heard
		}
		at = min(at, since+s.c.HeartbeatTimeout+1)
	}
	return at
}

func (s *Sessions) message(id SessionID, m *thalwegv1.ToTaskManager) {
	m.Epoch = s.c.Epoch
	s.out.Messages = append(s.out.Messages, SessionMessage{Session: id, Message: m})
}

func (s *Sessions) notice(level, text string) {
	s.out.Notices = append(s.out.Notices, Notice{Level: level, Text: text})
}

// sorted are the known taskmanagers by id, then incarnation.
func (s *Sessions) sorted() []*registered {
	rs := make([]*registered, 0, len(s.known))
	for _, r := range s.known {
		rs = append(rs, r)
	}
	slices.SortFunc(rs, func(a, b *registered) int {
		return cmp.Or(cmp.Compare(a.r.Taskmanager, b.r.Taskmanager), cmp.Compare(a.r.Incarnation, b.r.Incarnation))
	})
	return rs
}

// waiting are the newcomers that wait for an older incarnation's answer, oldest first.
func (s *Sessions) waiting() []*session {
	var xs []*session
	for _, x := range s.open {
		if x.waits != nil {
			xs = append(xs, x)
		}
	}
	slices.SortFunc(xs, func(a, b *session) int { return cmp.Compare(a.id, b.id) })
	return xs
}

// live are the registered taskmanagers with a session, by id.
func (s *Sessions) live() []*registered {
	return slices.DeleteFunc(s.sorted(), func(r *registered) bool { return r.session == nil })
}

// session finds where to send what is for an incarnation.
func (s *Sessions) session(incarnation string) (SessionID, bool) {
	if r := s.known[incarnation]; r != nil && r.session != nil {
		return r.session.id, true
	}
	return 0, false
}
