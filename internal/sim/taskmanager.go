package sim

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/ha"
	"github.com/thalweg-io/thalweg/internal/ha/zookeeper"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/taskmanager/core"
)

// taskmanager is one taskmanager process around the real core, and its one job's worker.
type taskmanager struct {
	s       *Sim
	p       *proc
	id      string
	inc     string
	slots   int
	core    *core.Core
	zk      *zkClient
	known   ha.LeaderInfo
	session *conn
	request uint64
	worker  *worker

	// For X4: what an onlooker knows of its contact with leaders.
	without time.Duration                // since when the core has no session
	newest  uint64                       // epoch of the newest leader that discovery has shown it; 0: it shows none
	served  uint64                       // epoch of the leader that it had a session with last
	ticked  time.Duration                // when it looked last whether it has been without for too long
	overdue time.Duration                // since when, running all the time, it has been, and has tasks that live; negative: it has not
	own     map[*thalwegv1.ToWorker]bool // commands that no leader gave
}

func (tm *taskmanager) start() {
	s := tm.s
	s.start(tm.p)
	tm.inc = s.name(tm.id + "-")
	tm.known, tm.session, tm.worker = ha.LeaderInfo{}, nil, nil
	tm.without, tm.newest, tm.served, tm.ticked, tm.overdue, tm.own = s.now, 0, 0, s.now, -1, map[*thalwegv1.ToWorker]bool{}
	tm.core = core.New(core.Config{
		ID: tm.id, Incarnation: tm.inc, Host: tm.p.name, DataAddress: tm.inc, Slots: tm.slots, OSArch: "linux/amd64",
		HeartbeatInterval: s.o.heartbeat, HeartbeatTimeout: s.o.timeout,
		LeaderlessTimeout: s.o.leaderless, UnreachableTimeout: s.o.unreachable, ReportTimeout: time.Second, CancelTimeout: 10 * time.Second,
	}, s.now)
	s.log("%s starts as %s", tm.p.name, tm.inc)
	tm.zk = s.newZKClient(tm.p, s.o.session, func(zookeeper.Event) {})
	tm.tick()
	tm.discover()
}

func (tm *taskmanager) tick() {
	tm.step(core.Tick{})
	tm.leaderless()
	tm.s.after(tm.core.TickInterval(), tm.p, tm.tick)
}

// discover asks its server who leads. The answer may be old, or not come.
func (tm *taskmanager) discover() {
	tm.s.after(tm.s.between(30*time.Millisecond, 150*time.Millisecond), tm.p, func() {
		tm.zk.do(zookeeper.Request{Kind: zookeeper.Get, Path: base + "/leader/connection_info"}, func(r zookeeper.Response, err error) {
			var l ha.LeaderInfo
			switch {
			case err == nil:
				must(json.Unmarshal(r.Data, &l))
			case !errors.Is(err, zookeeper.ErrNoNode):
				tm.discover()
				return
			}
			if l != tm.known {
				tm.known = l
				if tm.newest = max(tm.newest, uint64(l.Epoch)); l.Epoch == 0 {
					tm.newest = 0
				}
				tm.step(core.LeaderChanged{Leader: core.Leader{Epoch: uint64(l.Epoch), Incarnation: string(l.Incarnation), Address: l.RPCAddress}})
			}
			tm.discover()
		})
	})
}

func (tm *taskmanager) step(ev core.Event) {
	was := tm.core.Connected()
	effects := tm.core.Step(tm.s.now, ev)
	if was && !tm.core.Connected() {
		tm.without = tm.s.now
	}
	for _, e := range effects {
		tm.carryOut(e)
	}
}

func (tm *taskmanager) carryOut(e core.Effect) {
	s := tm.s
	switch e := e.(type) {
	case core.OpenSession:
		tm.open(e)
	case core.CloseSession:
		if c := tm.session; c != nil {
			if e.Goodbye != nil {
				c.send(&thalwegv1.FromTaskManager{Message: &thalwegv1.FromTaskManager_Goodbye{Goodbye: e.Goodbye}})
			}
			c.close("closed by the taskmanager")
			tm.session = nil
		}
	case core.ToLeader:
		if tm.session != nil {
			if e.Message.GetHeartbeat() == nil {
				s.log("%s -> leader: %v", tm.p.name, short(e.Message))
			}
			tm.session.send(e.Message)
		}
	case core.StartWorker:
		tm.worker = newWorker(tm)
		w := tm.worker
		s.after(s.between(5*time.Millisecond, 60*time.Millisecond), tm.p, func() {
			if tm.worker == w && w.p.alive {
				w.open()
				tm.step(core.WorkerStarted{Job: e.Job})
			}
		})
	case core.ToWorker:
		if d := e.Message.GetDeploy(); d != nil {
			s.truth.accepted(d)
		}
		if e.Message.GetCancel() != nil && !tm.core.Connected() {
			tm.gaveUp(e.Message)
		}
		if w := tm.worker; w != nil {
			w.post(e.Message)
		}
	case core.KillWorker:
		if w := tm.worker; w != nil {
			s.log("%s kills its worker: %s", tm.p.name, e.Why)
			s.kill(w.p)
		}
	case core.ForgetJob:
		if w := tm.worker; w != nil {
			s.log("%s forgets the job", tm.p.name)
			s.kill(w.p)
		}
	case core.Log:
		s.log("%s: %s", tm.p.name, e.Text)
	}
}

// open dials the leader. Register is the first message; the answer says whether the session is welcome.
func (tm *taskmanager) open(e core.OpenSession) {
	s := tm.s
	tm.request = e.Request
	tm.session = nil
	var jm *jobmanager
	for _, x := range s.jms {
		if x.p.name == e.Leader.Address {
			jm = x
		}
	}
	ended := func(cause string, r *thalwegv1.Refused) {
		tm.step(core.SessionEnded{Request: e.Request, Cause: cause, Refused: r})
	}
	if s.cut(tm.p.host, jm.p.host) || s.cut(jm.p.host, tm.p.host) {
		s.after(2*time.Second, tm.p, func() { ended("dial: timed out", nil) })
		return
	}
	if !jm.p.alive {
		s.after(time.Millisecond, tm.p, func() { ended("dial: connection refused", nil) })
		return
	}
	mine, its := s.connect(tm.p, jm.p)
	tm.session = mine
	welcomed := false
	mine.message = func(m any) {
		switch x := m.(*thalwegv1.ToTaskManager).Message.(type) {
		case *thalwegv1.ToTaskManager_Welcome:
			welcomed = true
			tm.served = uint64(e.Leader.Epoch)
			tm.step(core.SessionWelcomed{Request: e.Request, Welcome: x.Welcome})
		case *thalwegv1.ToTaskManager_Refused:
			mine.close("refused")
			if tm.session == mine {
				tm.session = nil
			}
			ended("refused", x.Refused)
		default:
			if welcomed {
				tm.step(core.Command{Request: e.Request, Message: m.(*thalwegv1.ToTaskManager)})
			}
		}
	}
	mine.ended = func(cause string) {
		if tm.session == mine {
			tm.session = nil
		}
		ended(cause, nil)
	}
	life := jm.p.life
	s.after(s.delay(tm.p, jm.p), nil, func() { s.deliver(jm.p, life, func() { jm.accept(its) }) })
	s.log("%s registers with %s: epoch %d, %d tasks, silent %v", tm.p.name, jm.p.name, e.Register.Epoch, len(e.Register.Tasks), e.Register.SilentJobs)
	mine.send(&thalwegv1.FromTaskManager{Message: &thalwegv1.FromTaskManager_Register{Register: e.Register}})
}

// finished reports whether all that it has of the recorded generation is FINISHED, and none of it a sink: whether a sink has
// confirmed, only it knows.
func (tm *taskmanager) finished() bool {
	w := tm.worker
	if w == nil || len(w.tasks) == 0 || w.generation != job.GenerationOf(tm.s.truth.exec.GetGeneration()) {
		return false
	}
	return !slices.ContainsFunc(w.tasks, func(x *task) bool {
		return x.state != thalwegv1.TaskState_TASK_STATE_FINISHED || x.id.Vertex == "sink"
	})
}

// workerExited: the wait status of its worker has come.
func (tm *taskmanager) workerExited(w *worker) {
	tm.s.after(tm.s.between(time.Millisecond, 5*time.Millisecond), tm.p, func() {
		if tm.worker == w {
			tm.worker = nil
			tm.step(core.WorkerExited{Job: "job", Cause: "the worker has exited: signal: killed"})
		}
	})
}

// died: its worker follows within 100 ms, its session with ZooKeeper when that times out.
func (tm *taskmanager) died() {
	w := tm.worker
	tm.worker = nil
	if w != nil {
		life := w.p.life
		tm.s.after(tm.s.between(time.Millisecond, 100*time.Millisecond), nil, func() {
			if w.p.life == life {
				tm.s.kill(w.p)
			}
		})
	}
}
