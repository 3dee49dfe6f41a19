// Package sim runs the whole control protocol, and the data plane of a small job, in one goroutine on simulated time: the real
// cores (election, scheduler.Term, taskmanager/core, barrier alignment) over a simulated ZooKeeper, network, storage, clocks and
// processes. One seed gives one history; a run that violates an invariant prints the line that replays it.
//
// What is real is decided by the cores alone; what is simulated here is what their shells do: carry out effects, answer them,
// deliver messages in order or lose them with their connection. The job is two sources, a keyed operator and a transactional
// sink in an external system that outlives everything (world.go draws the layout). Invariants (truth.go) are those of the
// reliability document, checked at the instant at which a write, a commit, a deploy or a deletion takes effect.
//
// It owns no protocol of its own: where a run fails, either a core is wrong or the shell modelled here is; both are bugs.
package sim

import (
	"container/heap"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/thalweg-io/thalweg/internal/ha/zkmodel"
)

// Mode says what a run shows.
type Mode string

const (
	// Safety: faults throughout; the invariants hold after every step.
	Safety Mode = "safety"
	// Liveness: the faults stop, and then the job must get on: five checkpoints in a row, or its end with all of its output.
	Liveness Mode = "liveness"
)

// Result is what a run came to.
type Result struct {
	Seed       uint64
	Mode       Mode
	Violation  string // empty: none
	Options    string
	Faults     []string
	Simulated  time.Duration
	Events     int
	Completed  int // checkpoints
	Adopted    int // changes of leader that kept the generation
	Restarted  int // generations after the first
	Leaderless int // tasks cancelled because no leader was there
	Finished   bool
}

// Sim is one run.
type Sim struct {
	o   options
	rng *rand.Rand

	now   time.Duration
	seq   uint64
	queue events
	count int

	zk     *zkmodel.Model
	zkConn map[int64]*zkClient // by client id
	zkSess map[int64]*zkClient // by session
	zkIDs  int64

	jms     []*jobmanager
	tms     []*taskmanager
	cuts    map[[2]int]int
	storage *storage
	ext     *external
	truth   truth
	faults  []string
	healed  bool
	trace   io.Writer
	failed  string
	names   int
}

// event is something that happens to one process, or to the world.
type event struct {
	at   time.Duration
	seq  uint64
	proc *proc
	life int
	run  func()
}

type events []*event

func (q events) Len() int { return len(q) }
func (q events) Less(i, j int) bool {
	if q[i].at != q[j].at {
		return q[i].at < q[j].at
	}
	return q[i].seq < q[j].seq
}
func (q events) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *events) Push(x any)   { *q = append(*q, x.(*event)) }
func (q *events) Pop() any {
	old := *q
	x := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return x
}

// proc is one process: it lives once per life, and may be paused. What happens to a paused process waits, in order.
type proc struct {
	name    string
	host    int
	life    int
	alive   bool
	paused  bool
	backlog []func()
	conns   []*conn
	died    func() // tells what hangs on it
}

// Run runs one seed to its end.
func Run(seed uint64, mode Mode, trace io.Writer) Result {
	s := &Sim{
		rng: rand.New(rand.NewPCG(seed, 0x7468616c776567)), zk: zkmodel.New(3), zkConn: map[int64]*zkClient{}, zkSess: map[int64]*zkClient{},
		cuts: map[[2]int]int{}, trace: trace,
	}
	s.o = s.draw(mode)
	s.build()
	end := s.o.horizon
	for s.failed == "" && len(s.queue) > 0 {
		e := heap.Pop(&s.queue).(*event)
		if e.at > end {
			break
		}
		s.now = e.at
		s.count++
		s.guarded(e)
		if s.count > maxEvents {
			s.fail("V2: %d events, and the run has come to %v only", s.count, s.now)
		}
		if s.truth.over() {
			break
		}
	}
	if s.failed == "" {
		s.finalCheck()
	}
	return Result{Seed: seed, Mode: mode, Violation: s.failed, Options: s.o.String(), Faults: s.faults, Simulated: s.now, Events: s.count,
		Completed: s.truth.completions, Adopted: s.truth.adoptions, Restarted: s.truth.generations - 1, Leaderless: s.truth.leaderless, Finished: s.truth.result != nil}
}

// guarded delivers an event. A core that refuses to go on, by a panic, has found something out as an invariant does, and the seed is worth knowing.
func (s *Sim) guarded(e *event) {
	defer func() {
		if r := recover(); r != nil {
			s.fail("panic: %v\n%s", r, debug.Stack())
		}
	}()
	s.deliver(e.proc, e.life, e.run)
}

// after schedules something; nil is the world, which is never paused.
func (s *Sim) after(d time.Duration, p *proc, run func()) {
	s.seq++
	e := &event{at: s.now + max(d, 0), seq: s.seq, proc: p, run: run}
	if p != nil {
		e.life = p.life
	}
	heap.Push(&s.queue, e)
}

// deliver runs something in a process, if it is the same life, or keeps it until the process runs again.
func (s *Sim) deliver(p *proc, life int, run func()) {
	switch {
	case p == nil:
	case !p.alive || p.life != life:
		return
	case p.paused:
		p.backlog = append(p.backlog, run)
		return
	}
	run()
}

func (s *Sim) pause(p *proc) { p.paused = true }

func (s *Sim) resume(p *proc) {
	if !p.paused {
		return
	}
	p.paused = false
	life := p.life
	backlog := p.backlog
	p.backlog = nil
	for i, run := range backlog {
		if !p.alive || p.life != life || s.failed != "" {
			return
		}
		if p.paused {
			p.backlog = append(backlog[i:len(backlog):len(backlog)], p.backlog...)
			return
		}
		run()
	}
}

// start begins a process's next life; kill ends one as kill -9 does.
func (s *Sim) start(p *proc) {
	p.life++
	p.alive, p.paused, p.backlog = true, false, nil
}

func (s *Sim) kill(p *proc) {
	if !p.alive {
		return
	}
	s.log("%s dies", p.name)
	p.alive, p.paused, p.backlog = false, false, nil
	conns := p.conns
	p.conns = nil
	for _, c := range conns {
		s.reset(c)
	}
	if p.died != nil {
		p.died()
	}
}

// fail records the first violation.
func (s *Sim) fail(format string, args ...any) {
	if s.failed == "" {
		s.failed = fmt.Sprintf(format, args...)
		s.log("VIOLATION %s", s.failed)
	}
}

func (s *Sim) log(format string, args ...any) {
	if s.trace != nil {
		fmt.Fprintf(s.trace, "%12.6f  %s\n", s.now.Seconds(), fmt.Sprintf(format, args...))
	}
}

func (s *Sim) fault(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.faults = append(s.faults, fmt.Sprintf("%.3fs %s", s.now.Seconds(), text))
	s.log("FAULT %s", text)
}

// between draws a time from [lo, hi).
func (s *Sim) between(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(s.rng.Int64N(int64(hi-lo)))
}

func (s *Sim) chance(percent int) bool { return s.rng.IntN(100) < percent }

// name gives each incarnation and file a name of its own.
func (s *Sim) name(prefix string) string {
	s.names++
	return fmt.Sprintf("%s%d", prefix, s.names)
}

// maxEvents is far more than a run has: one that gets there runs in circles.
const maxEvents = 5_000_000
