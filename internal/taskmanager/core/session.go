package core

import (
	"fmt"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = time.Second
	// refusedRetry follows a refusal that only a person can cure.
	refusedRetry = 10 * time.Second
)

func (c *Core) leaderChanged(l Leader) {
	if l == c.leader || l.Epoch < c.leader.Epoch && l.Epoch != 0 {
		return // an older record, read late
	}
	if l.Epoch == 0 {
		// The leader's record is gone. An open session goes on: only its end, or a newer leader, ends it.
		c.leader = Leader{}
		return
	}
	c.leader = l
	if l.Epoch < c.epoch {
		return
	}
	if c.phase != idle && c.target == l {
		return
	}
	if c.phase != idle {
		c.emit(CloseSession{&thalwegv1.Goodbye{Reason: thalwegv1.Goodbye_REASON_SUPERSEDED, Epoch: l.Epoch}})
		c.lost()
	}
	c.backoff, c.retry = 0, 0
	c.begin()
}

// begin sends the leader's epoch down every worker session; the registration follows their answers.
func (c *Core) begin() {
	c.epoch = max(c.epoch, c.leader.Epoch)
	c.target = c.leader
	c.request++
	c.phase = collecting
	c.due = c.now + c.c.ReportTimeout
	for _, j := range c.sorted() {
		j.answered = !j.running || !j.ready // a worker that is still starting has nothing to say that this core does not know
		if j.running {
			c.emit(ToWorker{j.id, &thalwegv1.ToWorker{Epoch: c.epoch, Message: &thalwegv1.ToWorker_Session{
				Session: &thalwegv1.SessionEpoch{Request: c.request}}}})
		}
	}
	c.registerIfAnswered()
}

func (c *Core) registerIfAnswered() {
	if c.phase != collecting {
		return
	}
	for _, j := range c.jobs {
		if !j.answered && c.now < c.due {
			return
		}
	}
	r := &thalwegv1.Register{
		ProtocolVersion: ProtocolVersion, Taskmanager: c.c.ID, Incarnation: c.c.Incarnation, ClusterIncarnation: c.cluster,
		Epoch: c.epoch, Host: c.c.Host, DataAddress: c.c.DataAddress, Slots: int32(c.c.Slots), OsArch: c.c.OSArch,
	}
	for _, j := range c.sorted() {
		if j.answered {
			r.Tasks = append(r.Tasks, j.reports()...)
		} else {
			r.SilentJobs = append(r.SilentJobs, j.id)
		}
	}
	c.phase = opening
	c.heard = c.now
	c.emit(OpenSession{Request: c.request, Leader: c.target, Register: r})
}

func (c *Core) welcomed(ev SessionWelcomed) {
	if ev.Request != c.request || c.phase != opening {
		return
	}
	c.phase = open
	c.complained = Leader{}
	c.served = c.target.Epoch
	c.heard, c.beat = c.now, c.now
	c.backoff = 0
	c.cancelled = false
	c.cluster = ev.Welcome.ClusterIncarnation
	if ms := ev.Welcome.HeartbeatIntervalMs; ms > 0 {
		c.interval = time.Duration(ms) * time.Millisecond
	}
	if ms := ev.Welcome.HeartbeatTimeoutMs; ms > 0 {
		c.timeout = time.Duration(ms) * time.Millisecond
	}
	c.emit(Log{Level: "info", Text: fmt.Sprintf("registered with the leader of epoch %d at %s", c.target.Epoch, c.target.Address)})
	for _, p := range ev.Welcome.Jobs {
		if j := c.jobs[p.Job]; j != nil && j.running {
			c.toWorker(j, &thalwegv1.ToWorker{Epoch: c.target.Epoch, Message: &thalwegv1.ToWorker_Position{Position: p}})
		}
	}
}

func (c *Core) sessionEnded(ev SessionEnded) {
	if ev.Request != c.request || c.phase != opening && c.phase != open {
		return
	}
	c.lost()
	switch code := ev.Refused.GetCode(); code {
	case thalwegv1.Refused_CODE_GIVEN_UP:
		c.retry = c.now
	case thalwegv1.Refused_CODE_CLUSTER_INCARNATION, thalwegv1.Refused_CODE_PROTOCOL_VERSION:
		// Tasks run on: someone may have pointed one side at the wrong place.
		c.emit(Log{Level: "error", Text: "the leader at " + c.target.Address + " refuses this taskmanager: " + ev.Refused.Reason})
		c.retry = c.now + refusedRetry
	default:
		why := ev.Cause
		if ev.Refused != nil {
			why = ev.Refused.Reason
		}
		c.backoff = min(max(2*c.backoff, firstRetry), lastRetry)
		c.retry = c.now + c.backoff
		if c.complained != c.target { // once for each leader: it is redialled until discovery names another
			c.complained = c.target
			c.emit(Log{Level: "warn", Text: fmt.Sprintf("no session with the leader of epoch %d at %s; tasks run on: %s", c.target.Epoch, c.target.Address, why)})
		}
	}
	c.redial()
}

// lost forgets the session and tells every worker, which abandons at once whatever it has not acknowledged.
func (c *Core) lost() {
	if c.phase == open {
		c.without = c.now
	}
	c.phase = idle
	for _, j := range c.sorted() {
		if j.running {
			c.toWorker(j, &thalwegv1.ToWorker{Message: &thalwegv1.ToWorker_SessionLost{SessionLost: &thalwegv1.SessionLost{}}})
		}
	}
}

func (c *Core) redial() {
	if c.phase == idle && c.leader.Epoch != 0 && c.leader.Epoch >= c.epoch && c.now >= c.retry {
		c.begin()
	}
}

func (c *Core) toLeader(m *thalwegv1.FromTaskManager) {
	if c.phase == opening || c.phase == open {
		c.emit(ToLeader{m})
	}
}

func (c *Core) tick() {
	if late := c.now - c.ticked; late > c.TickInterval()+c.c.HeartbeatInterval/2 {
		// This process was paused, so silence says nothing about the others: what they sent meanwhile is still unread.
		c.emit(Log{Level: "warn", Text: fmt.Sprintf("this process was paused for about %v", late.Round(time.Millisecond))})
		c.heard, c.due = c.now, max(c.due, c.now+c.c.ReportTimeout/2)
		for _, j := range c.jobs {
			j.heard = c.now
			if j.endBy != 0 {
				j.endBy = c.now + c.c.CancelTimeout
			}
		}
	}
	c.ticked = c.now
	c.registerIfAnswered()
	if (c.phase == open || c.phase == opening) && c.now-c.heard > c.timeout {
		c.emit(CloseSession{&thalwegv1.Goodbye{Reason: thalwegv1.Goodbye_REASON_SILENT, Epoch: c.epoch}})
		c.emit(Log{Level: "warn", Text: fmt.Sprintf("the leader of epoch %d was silent for %v", c.target.Epoch, (c.now - c.heard).Round(time.Millisecond))})
		c.lost()
		c.backoff = min(max(2*c.backoff, firstRetry), lastRetry)
		c.retry = c.now + c.backoff
	}
	if c.now-c.beat >= c.interval {
		c.beat = c.now
		c.sequence++
		beat := &thalwegv1.Heartbeat{Sequence: c.sequence}
		if c.phase == open {
			c.emit(ToLeader{&thalwegv1.FromTaskManager{Message: &thalwegv1.FromTaskManager_Heartbeat{Heartbeat: beat}}})
		}
		for _, j := range c.sorted() {
			if j.running {
				c.toWorker(j, &thalwegv1.ToWorker{Message: &thalwegv1.ToWorker_Heartbeat{Heartbeat: beat}})
			}
		}
	}
	c.judgeWorkers()
	c.leaderless()
	c.redial()
}

// leaderless ends tasks that no leader has spoken for in a long time: their successors may run elsewhere.
func (c *Core) leaderless() {
	if c.phase == open || c.cancelled {
		return
	}
	limit := c.c.LeaderlessTimeout
	if c.leader.Epoch > c.served { // a newer leader is there, and cannot be reached
		limit = min(limit, c.c.UnreachableTimeout)
	}
	if c.now-c.without <= limit {
		return
	}
	c.cancelled = true
	for _, j := range c.sorted() {
		if j.running {
			c.emit(Log{Level: "error", Job: j.id, Text: fmt.Sprintf("no leader for %v: cancelling the tasks of generation %v", limit, j.generation)})
			c.cancelTasks(j, j.generation)
		}
	}
}

func (c *Core) stop() {
	if c.phase == opening || c.phase == open {
		c.emit(CloseSession{&thalwegv1.Goodbye{Reason: thalwegv1.Goodbye_REASON_SHUTDOWN, Epoch: c.epoch}})
	}
	c.phase = idle
	c.leader = Leader{}
	for _, j := range c.sorted() {
		c.emit(ForgetJob{j.id})
	}
	c.jobs = map[string]*jobState{}
}
