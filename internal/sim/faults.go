package sim

import (
	"time"

	"github.com/thalweg-io/thalweg/internal/ha/zkmodel"
	"github.com/thalweg-io/thalweg/internal/scheduler"
)

// faultKind is one kind of fault. do inflicts it once and sees to its end.
type faultKind struct {
	name string
	do   func(*Sim)
}

var faultKinds = []faultKind{
	{"kill-leader", func(s *Sim) {
		for _, jm := range s.jms {
			if jm.p.alive && jm.term != nil {
				s.fault("kill -9 %s, the leader", jm.p.name)
				s.killJM(jm)
				return
			}
		}
	}},
	{"kill-jobmanager", func(s *Sim) {
		if jm := s.jms[s.rng.IntN(len(s.jms))]; jm.p.alive {
			s.fault("kill -9 %s", jm.p.name)
			s.killJM(jm)
		}
	}},
	{"pause-leader", func(s *Sim) {
		for _, jm := range s.jms {
			if jm.p.alive && jm.term != nil && !jm.p.paused {
				s.pauseFor(jm.p, s.between(200*time.Millisecond, 20*time.Second))
				return
			}
		}
	}},
	{"kill-taskmanager", func(s *Sim) {
		if tm := s.tms[s.rng.IntN(len(s.tms))]; tm.p.alive {
			s.fault("kill -9 %s", tm.p.name)
			s.truth.woundTM(tm, "a taskmanager was killed")
			s.kill(tm.p)
			s.after(s.between(100*time.Millisecond, 6*time.Second), nil, tm.start)
		}
	}},
	{"kill-finished", func(s *Sim) {
		for _, tm := range s.tms {
			if tm.p.alive && tm.finished() {
				s.fault("kill -9 %s, on which everything is FINISHED", tm.p.name)
				s.kill(tm.p)
				s.after(s.between(100*time.Millisecond, 6*time.Second), nil, tm.start)
				return
			}
		}
	}},
	{"pause-taskmanager", func(s *Sim) {
		if tm := s.tms[s.rng.IntN(len(s.tms))]; tm.p.alive && !tm.p.paused {
			s.truth.woundTM(tm, "a taskmanager was paused")
			s.pauseFor(tm.p, s.between(100*time.Millisecond, 18*time.Second))
			if w := tm.worker; w != nil && s.chance(50) && !w.p.paused {
				s.pauseFor(w.p, s.between(100*time.Millisecond, 18*time.Second))
			}
		}
	}},
	{"kill-worker", func(s *Sim) {
		if tm := s.tms[s.rng.IntN(len(s.tms))]; tm.worker != nil && tm.worker.p.alive {
			w := tm.worker
			s.fault("kill -9 %s", w.p.name)
			s.truth.woundTM(tm, "a worker was killed")
			s.kill(w.p)
		}
	}},
	{"pause-worker", func(s *Sim) {
		if tm := s.tms[s.rng.IntN(len(s.tms))]; tm.worker != nil && tm.worker.p.alive && !tm.worker.p.paused {
			w := tm.worker
			s.truth.woundTM(tm, "a worker was paused")
			s.pauseFor(w.p, s.between(100*time.Millisecond, 15*time.Second))
		}
	}},
	{"fail-task", func(s *Sim) {
		if w := s.tms[s.rng.IntN(len(s.tms))].worker; w != nil && len(w.tasks) > 0 && w.p.alive {
			t := w.tasks[s.rng.IntN(len(w.tasks))]
			s.deliver(w.p, w.p.life, func() {
				if !t.over() {
					s.fault("%v of %v fails", t.id, t.generation)
					s.truth.wound("a task failed")
					t.fail("the user function panics")
				}
			})
		}
	}},
	{"cut-leader-taskmanager", func(s *Sim) {
		a, b := s.rng.IntN(len(s.jms)), 10+s.rng.IntN(len(s.tms))
		d := s.between(100*time.Millisecond, 15*time.Second)
		if d > min(s.o.timeout, s.o.reconciliation)*6/10 || s.cut(a, b) || s.cut(b, a) {
			s.truth.wound("a taskmanager was cut from the leader for as long as it is waited for")
		}
		s.cutFor(a, b, d)
	}},
	{"break-session", func(s *Sim) {
		for _, jm := range s.jms {
			if jm.p.alive && jm.term != nil && !jm.term.over {
				for id := scheduler.SessionID(1); id <= jm.term.last; id++ {
					if c := jm.term.sessions[id]; c != nil && s.chance(50) {
						s.fault("session %d breaks", id)
						s.truth.wound("a session broke without a word")
						c.break_("connection reset by peer")
					}
				}
			}
		}
	}},
	{"cut-taskmanagers", func(s *Sim) {
		a, b := 10+s.rng.IntN(len(s.tms)), 10+s.rng.IntN(len(s.tms))
		if a != b {
			s.truth.wound("a taskmanager was cut from another")
			s.cutFor(a, b, s.between(100*time.Millisecond, 15*time.Second))
		}
	}},
	{"cut-leader-zookeeper", func(s *Sim) {
		s.cutFor(s.rng.IntN(len(s.jms)), zkHost, s.between(100*time.Millisecond, 15*time.Second))
	}},
	{"cut-taskmanager-zookeeper", func(s *Sim) {
		s.truth.wound("a taskmanager could not find a new leader")
		s.cutFor(10+s.rng.IntN(len(s.tms)), zkHost, s.between(100*time.Millisecond, 15*time.Second))
	}},
	{"zookeeper-server", func(s *Sim) {
		i := s.rng.IntN(3)
		s.fault("ZooKeeper server %d is down", i)
		s.zkStep(zkmodel.Down{Server: i})
		s.after(s.between(200*time.Millisecond, 8*time.Second), nil, func() { s.zkStep(zkmodel.Up{Server: i}) })
	}},
	{"zookeeper-quorum", func(s *Sim) {
		s.fault("ZooKeeper has no quorum")
		s.zkStep(zkmodel.Down{Server: 0})
		s.zkStep(zkmodel.Down{Server: 2})
		s.after(s.between(200*time.Millisecond, 12*time.Second), nil, func() {
			s.zkStep(zkmodel.Up{Server: 0})
			s.zkStep(zkmodel.Up{Server: 2})
		})
	}},
	{"zookeeper-lag", func(s *Sim) {
		i := s.rng.IntN(3)
		s.fault("ZooKeeper server %d lags", i)
		s.zkStep(zkmodel.Lag{Server: i, Lags: true})
		s.after(s.between(200*time.Millisecond, 5*time.Second), nil, func() { s.zkStep(zkmodel.Lag{Server: i}) })
	}},
	{"expire", func(s *Sim) {
		if jm := s.jms[s.rng.IntN(len(s.jms))]; jm.p.alive && jm.zk != nil && jm.zk.session != 0 {
			s.fault("%s's ZooKeeper session expires", jm.p.name)
			s.zkStep(zkmodel.Expire{Session: jm.zk.session})
		}
	}},
	{"delete-latch", func(s *Sim) {
		for _, jm := range s.jms {
			if jm.p.alive && jm.term != nil && !jm.term.over {
				s.fault("the latch of %s, which leads, is deleted", jm.p.name)
				s.deleteLatch(jm.term.grant.Latch)
				return
			}
		}
	}},
	{"storage-fails", func(s *Sim) {
		s.fault("storage fails")
		s.storage.failing = true
		d := s.between(50*time.Millisecond, 5*time.Second)
		if d > 500*time.Millisecond {
			s.truth.wound("storage failed for long")
		}
		s.after(d, nil, func() { s.storage.failing = false })
	}},
	{"storage-stalls", func(s *Sim) {
		s.fault("storage stalls")
		s.storage.stall(true)
		s.after(s.between(50*time.Millisecond, 10*time.Second), nil, func() { s.storage.stall(false) })
	}},
	{"sink-fails", func(s *Sim) {
		s.fault("the external system does not answer")
		s.ext.failing = true
		s.after(s.between(50*time.Millisecond, 5*time.Second), nil, func() { s.ext.failing = false })
	}},
	{"cancel-job", func(s *Sim) {
		if s.rng.IntN(8) > 0 {
			return
		}
		for _, jm := range s.jms {
			if jm.p.alive && !jm.p.paused && jm.term != nil && !jm.term.over {
				s.fault("a client cancels the job")
				s.truth.cancel = true
				jm.term.step(scheduler.ForJob{Job: "job", Event: scheduler.CancelRequested{Reply: 1, Request: "r"}})
				return
			}
		}
	}},
	{"trigger-checkpoint", func(s *Sim) {
		for _, jm := range s.jms {
			if jm.p.alive && !jm.p.paused && jm.term != nil && !jm.term.over {
				jm.term.step(scheduler.ForJob{Job: "job", Event: scheduler.CheckpointRequested{Reply: 2}})
				return
			}
		}
	}},
}

// scheduleFaults inflicts the drawn kinds at random times, until they stop.
func (s *Sim) scheduleFaults() {
	var kinds []faultKind
	for _, k := range faultKinds {
		for _, name := range s.o.kinds {
			if k.name == name {
				kinds = append(kinds, k)
			}
		}
	}
	var next func()
	next = func() {
		if s.now >= s.o.faultsUntil {
			return
		}
		kinds[s.rng.IntN(len(kinds))].do(s)
		s.after(s.between(s.o.mean/10, s.o.mean*2), nil, next)
	}
	if len(kinds) > 0 {
		s.after(s.between(0, 3*time.Second), nil, next)
	}
	s.after(s.o.faultsUntil, nil, s.heal)
}

// heal ends every fault; what was killed is started again by its own schedule.
func (s *Sim) heal() {
	if s.o.mode == Safety {
		return
	}
	s.log("the faults stop")
	s.healed = true
	for k := range s.cuts { // each pair alone: flush orders nothing between pairs
		_ = k
	}
	for from := 0; from < 100; from++ {
		for to := 0; to < 100; to++ {
			if s.cuts[[2]int{from, to}] > 0 {
				s.cuts[[2]int{from, to}] = 1
				s.setCut(from, to, false)
			}
		}
	}
	for _, p := range s.procs() {
		s.resume(p)
	}
	for i := range 3 {
		s.zkStep(zkmodel.Up{Server: i})
		s.zkStep(zkmodel.Lag{Server: i})
	}
	s.storage.failing, s.ext.failing = false, false
	s.storage.stall(false)
	s.truth.calmSince = int64(s.truth.completions)
}

func (s *Sim) killJM(jm *jobmanager) {
	if jm.term != nil {
		jm.term.over = true
	}
	jm.term = nil
	s.kill(jm.p)
	s.after(s.between(100*time.Millisecond, 8*time.Second), nil, jm.start)
}

func (s *Sim) pauseFor(p *proc, d time.Duration) {
	s.fault("SIGSTOP %s for %v", p.name, d.Round(time.Millisecond))
	s.pause(p)
	life := p.life
	s.after(d, nil, func() {
		if p.life == life && p.paused {
			s.log("%s runs again", p.name)
			s.resume(p)
		}
	})
}

// cutFor cuts two hosts, in one direction or both.
func (s *Sim) cutFor(a, b int, d time.Duration) {
	way := s.rng.IntN(3)
	s.fault("cut %d %s %d for %v", a, [...]string{"->", "<-", "<->"}[way], b, d.Round(time.Millisecond))
	if way != 1 {
		s.setCut(a, b, true)
		s.after(d, nil, func() { s.uncut(a, b) })
	}
	if way != 0 {
		s.setCut(b, a, true)
		s.after(d, nil, func() { s.uncut(b, a) })
	}
}

func (s *Sim) uncut(from, to int) {
	if s.cut(from, to) {
		s.setCut(from, to, false)
	}
}
