package sim

import (
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/ha"
	"github.com/thalweg-io/thalweg/internal/ha/zookeeper"
	"github.com/thalweg-io/thalweg/internal/planted"
	"github.com/thalweg-io/thalweg/internal/scheduler"
)

const base = "/thalweg/default"

// jobmanager is one jobmanager process: an election, and a term while it leads.
type jobmanager struct {
	s        *Sim
	p        *proc
	inc      ha.Incarnation
	zk       *zkClient
	election *zookeeper.Election
	wakes    int
	term     *term
	ending   bool // the last term is ending; Served follows
}

func (jm *jobmanager) start() {
	s := jm.s
	s.start(jm.p)
	jm.inc = ha.Incarnation(s.name("j"))
	jm.term, jm.ending = nil, false
	jm.election = zookeeper.NewElection(zookeeper.ElectionConfig{
		Base: base, Contender: ha.Contender{Incarnation: jm.inc, RPCAddress: jm.p.name}, NewCluster: "cluster", TolerateSuspended: s.o.tolerant,
	})
	s.log("%s starts as %s", jm.p.name, jm.inc)
	jm.zk = s.newZKClient(jm.p, s.o.session, func(e zookeeper.Event) { jm.step(zookeeper.Observed{Event: e}) })
}

// step feeds the election and carries out what it says, in the order that Effects states.
func (jm *jobmanager) step(in zookeeper.Input) {
	out := jm.election.Step(jm.s.now, jm.zk.contact, in)
	if ev, ok := in.(zookeeper.Observed); ok {
		jm.s.log("%s observes %v %s", jm.p.name, ev.Event.Kind, ev.Event.Path)
	}
	if out.End != nil && jm.term != nil {
		jm.endTerm(out.End.Error())
	}
	if out.Send != nil {
		id := out.ID
		jm.s.log("%s asks %v", jm.p.name, short(*out.Send))
		jm.zk.do(*out.Send, func(r zookeeper.Response, err error) {
			jm.s.log("%s is answered %v %v", jm.p.name, r.Children, err)
			jm.step(zookeeper.Answer{ID: id, Response: r, Err: err})
		})
	}
	if out.Lead != nil {
		jm.lead(*out.Lead)
	}
	jm.wakes++
	if n := jm.wakes; out.Wake != 0 {
		jm.s.after(out.Wake-jm.s.now, jm.p, func() {
			if n == jm.wakes {
				jm.step(zookeeper.Tick{})
			}
		})
	}
	if out.Done {
		jm.s.fail("the election of %s ends: %v", jm.p.name, out.Err)
	}
}

// term is what a leader's shell is while it leads.
type term struct {
	jm       *jobmanager
	s        *Sim
	grant    *zookeeper.Grant
	core     *scheduler.Term
	over     bool
	wakes    int
	sessions map[scheduler.SessionID]*conn
	last     scheduler.SessionID
}

func (jm *jobmanager) lead(g zookeeper.Grant) {
	s := jm.s
	t := &term{jm: jm, s: s, grant: &g, sessions: map[scheduler.SessionID]*conn{}}
	jm.term, jm.zk.term = t, t
	for _, other := range s.jms {
		if other != jm && other.term != nil && !other.term.over && uint64(other.term.grant.Epoch) == s.truth.epoch && g.Epoch == other.term.grant.Epoch {
			s.fail("L6: %s and %s lead epoch %d", jm.p.name, other.p.name, g.Epoch)
		}
	}
	if uint64(g.Epoch) == s.truth.epoch && string(jm.inc) != s.truth.grantee {
		s.fail("L9: %s (%s) leads epoch %d, which was granted to %s", jm.p.name, jm.inc, g.Epoch, s.truth.grantee)
	}
	s.log("%s leads epoch %d", jm.p.name, g.Epoch)
	t.core = scheduler.NewTerm(scheduler.TermConfig{
		Epoch: uint64(g.Epoch), Incarnation: string(jm.inc), ClusterIncarnation: g.Cluster,
		HeartbeatInterval: s.o.heartbeat, HeartbeatTimeout: s.o.timeout,
		Job: scheduler.JobConfig{Reconciliation: s.o.reconciliation},
	}, t.now())
	t.publish()
	t.step(scheduler.JobFound{Job: "job"})
	t.step(scheduler.JobsListed{})
}

func (t *term) now() scheduler.Instant {
	return scheduler.Instant{Now: t.s.now, Wall: int64(t.s.now / time.Millisecond)}
}

// endTerm: nothing of the term is carried out any more; serve returns a little later.
func (jm *jobmanager) endTerm(cause string) {
	t := jm.term
	if t == nil || t.over {
		return
	}
	if planted.On("deposed-leader-cancels") {
		for _, j := range t.core.Jobs() {
			for id := scheduler.SessionID(1); id <= t.last; id++ {
				if c := t.sessions[id]; c != nil {
					c.send(&thalwegv1.ToTaskManager{Epoch: uint64(t.grant.Epoch), Message: &thalwegv1.ToTaskManager_Cancel{Cancel: &thalwegv1.Cancel{Job: j.ID(), Upto: j.Info().Generation}}})
				}
			}
		}
	}
	t.over = true
	jm.s.log("%s ends its term of epoch %d: %s", jm.p.name, t.grant.Epoch, cause)
	for id := scheduler.SessionID(1); id <= t.last; id++ {
		if c := t.sessions[id]; c != nil {
			c.close("the leader's term ended")
		}
	}
	jm.s.after(jm.s.between(0, 5*time.Millisecond), jm.p, func() {
		jm.term = nil
		jm.step(zookeeper.Served{})
	})
}

// accept takes a taskmanager's stream; without a term it refuses.
func (jm *jobmanager) accept(c *conn) {
	t := jm.term
	if t == nil || t.over {
		c.send(&thalwegv1.ToTaskManager{Message: &thalwegv1.ToTaskManager_Refused{Refused: &thalwegv1.Refused{Code: thalwegv1.Refused_CODE_NOT_LEADER, Reason: "not the leader"}}})
		c.close("not the leader")
		return
	}
	t.last++
	id := t.last
	t.sessions[id] = c
	c.message = func(m any) {
		t.step(scheduler.Received{Session: id, Message: m.(*thalwegv1.FromTaskManager)})
	}
	c.ended = func(cause string) {
		delete(t.sessions, id)
		t.step(scheduler.Closed{Session: id, Cause: cause})
	}
	c.open()
}

func (t *term) step(ev scheduler.Event) {
	if t.over {
		return
	}
	before := t.status()
	out := t.core.Step(t.now(), ev)
	if before == thalwegv1.JobStatus_JOB_STATUS_RECONCILING && t.status() == thalwegv1.JobStatus_JOB_STATUS_RUNNING {
		t.s.truth.adopted(t.s.truth.exec)
	}
	if out.EndTerm != "" {
		t.s.log("%s: end of term: %s", t.jm.p.name, out.EndTerm)
		t.jm.endTerm(out.EndTerm)
		t.jm.step(zookeeper.Resign{Epoch: t.grant.Epoch})
		return
	}
	if t.s.trace != nil {
		for _, n := range out.Notices {
			t.s.log("%s e%d: %s", t.jm.p.name, t.grant.Epoch, n.Text)
		}
	}
	if t.struck(out) {
		return
	}
	t.send(out.Messages)
	for _, j := range out.Jobs {
		t.carryOut(j.Effects)
	}
	t.wakes++
	n := t.wakes
	t.s.after(out.Wake-t.s.now, t.jm.p, func() {
		if n == t.wakes {
			t.step(scheduler.Tick{})
		}
	})
}

func (t *term) status() thalwegv1.JobStatus {
	if j := t.core.Job("job"); j != nil {
		return j.Status()
	}
	return 0
}

func (t *term) send(ms []scheduler.SessionMessage) {
	for _, m := range ms {
		c := t.sessions[m.Session]
		if c == nil {
			continue
		}
		if m.Message != nil {
			if m.Message.GetHeartbeat() == nil {
				t.s.log("%s e%d -> session %d: %v", t.jm.p.name, t.grant.Epoch, m.Session, short(m.Message))
			}
			c.send(m.Message)
		}
		if m.Close {
			c.close("closed by the leader")
			delete(t.sessions, m.Session)
			t.s.after(0, t.jm.p, func() { t.step(scheduler.Closed{Session: m.Session, Cause: "closed"}) })
		}
	}
}

// struck kills the leader at a named point, with some of the step's messages sent and nothing else done.
func (t *term) struck(out scheduler.TermEffects) bool {
	if t.s.o.killAtPoints == 0 || t.s.healed {
		return false
	}
	for _, j := range out.Jobs {
		for _, point := range j.Effects.Reached {
			if t.s.rng.IntN(1000) < t.s.o.killAtPoints {
				n := t.s.rng.IntN(len(out.Messages) + 1)
				t.send(out.Messages[:n])
				t.s.fault("kill -9 %s at %s, %d of %d messages sent", t.jm.p.name, point, n, len(out.Messages))
				t.s.killJM(t.jm)
				return true
			}
		}
	}
	return false
}

func (t *term) carryOut(e scheduler.Effects) {
	answer := func(ev scheduler.JobEvent) { t.step(scheduler.ForJob{Job: "job", Event: ev}) }
	if e.Load {
		t.load(answer)
	}
	if w := e.Write; w != nil {
		token := w.Token
		t.write(w, func(o scheduler.Outcome, why string) { answer(scheduler.Written{Token: token, Outcome: o, Error: why}) })
	}
	if m := e.Metadata; m != nil {
		content := &metadata{id: m.Checkpoint}
		for _, x := range m.States {
			content.entries = append(content.entries, metadataEntry{x.Task, string(x.State)})
		}
		path := metadataPath(m.Checkpoint)
		t.s.storage.write(t.jm.p, path, content, func(err error) {
			ev := scheduler.MetadataWritten{Checkpoint: m.Checkpoint, Path: path}
			if err != nil {
				ev.Error = err.Error()
			}
			answer(ev)
		})
	}
	for _, d := range e.Delete {
		var retained []int64
		for _, p := range d.Retained {
			retained = append(retained, p.Id)
		}
		chosen := func(id int64) bool {
			return d.Job || d.Removed != nil && id == d.Removed.Id || id < d.Below
		}
		t.s.storage.deleteCheckpoints(t.jm.p, chosen, retained, func(err error) {
			ev := scheduler.FilesDeleted{Token: d.Token}
			if err != nil {
				ev.Error = err.Error()
			}
			answer(ev)
		})
	}
}
