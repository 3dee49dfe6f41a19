package align

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A net is a small job: two roots, two tasks that read both, one that joins them; each in one of three workers. It carries
// records, so that a cut can be checked, and delivers in whatever order is drawn.
type net struct {
	t       *rapid.T
	tasks   []*node
	session []uint64 // of each worker
	acks    map[int64]map[int]cut
	next    int64
}

type node struct {
	worker   int
	a        *Aligner
	in, out  []*wire
	position cut
	pending  []int64
	cuts     map[int64]cut
	timer    int64
	begun    map[int64]bool // aligned for, or a snapshot taken
	told     map[int64]bool // the leader has an acknowledgement or a decline of it
	aborted  int64          // it has given up everything up to this one itself
}

// cut is how many records a task has sent and received on each of its channels.
type cut struct{ in, out [2]int }

type wire struct {
	q       []item
	channel int // at the receiver
	to      *node
}

type item struct {
	record  bool
	marker  int64
	barrier Barrier
}

func newNet(t *rapid.T) *net {
	n := &net{t: t, session: []uint64{1, 1, 1}, acks: map[int64]map[int]cut{}}
	for i, channels := range []int{0, 0, 2, 2, 2} {
		n.tasks = append(n.tasks, &node{worker: i % 3, a: New(channels, 0), cuts: map[int64]cut{}, begun: map[int64]bool{}, told: map[int64]bool{}})
	}
	join := func(from, to int) {
		w := &wire{to: n.tasks[to], channel: len(n.tasks[to].in)}
		n.tasks[from].out = append(n.tasks[from].out, w)
		n.tasks[to].in = append(n.tasks[to].in, w)
	}
	join(0, 2)
	join(0, 3)
	join(1, 2)
	join(1, 3)
	join(2, 4)
	join(3, 4)
	return n
}

func (x *node) send(i item) {
	for c, w := range x.out {
		w.q = append(w.q, i)
		if i.record {
			x.position.out[c]++
		}
	}
}

func (n *net) carry(i int, e Effects) {
	x := n.tasks[i]
	if e.Cancel != 0 {
		x.send(item{marker: e.Cancel})
		if x.timer <= e.Cancel {
			x.timer = 0
		}
	}
	for _, id := range append(e.Earlier, e.Decline) {
		x.told[id] = true
	}
	if e.Deadline != 0 {
		x.timer = e.Deadline
		x.begun[e.Deadline] = true
	}
	if e.Snapshot != nil {
		id := e.Snapshot.ID
		if x.timer == id {
			x.timer = 0
		}
		x.begun[id] = true
		x.cuts[id] = x.position
		x.pending = append(x.pending, id)
		x.send(item{barrier: *e.Snapshot})
	}
}

func (n *net) acknowledge(i int, id int64) {
	x := n.tasks[i]
	x.told[id] = true
	if n.acks[id] == nil {
		n.acks[id] = map[int]cut{}
	}
	n.acks[id][i] = x.cuts[id]
	n.check(id)
}

// check: what all have acknowledged is a consistent cut. Every record sent before the snapshot of its sender was received before
// that of its receiver, and no other.
func (n *net) check(id int64) {
	if len(n.acks[id]) < len(n.tasks) {
		return
	}
	for i, x := range n.tasks {
		for c, w := range x.out {
			for j, y := range n.tasks {
				if w.to == y && n.acks[id][i].out[c] != n.acks[id][j].in[w.channel] {
					n.t.Fatalf("checkpoint %d: task %d sent %d records, task %d received %d", id, i, n.acks[id][i].out[c], j, n.acks[id][j].in[w.channel])
				}
			}
		}
	}
}

// deliver gives task i one element of channel c, if it may be read.
func (n *net) deliver(i, c int) bool {
	x := n.tasks[i]
	if len(x.in[c].q) == 0 || x.a.Blocked(c) {
		return false
	}
	e := x.in[c].q[0]
	x.in[c].q = x.in[c].q[1:]
	switch {
	case e.record:
		x.position.in[c]++
		x.send(item{record: true})
	case e.marker != 0:
		n.carry(i, x.a.Step(Event{Kind: CancelMarker, ID: e.marker}))
	default:
		n.carry(i, x.a.Step(Event{Kind: Arrived, Channel: c, Barrier: e.barrier, Session: n.session[x.worker]}))
	}
	return true
}

func (n *net) setSession(worker int, epoch uint64) {
	old := n.session[worker]
	n.session[worker] = epoch
	if old == 0 || old == epoch {
		return
	}
	for i, x := range n.tasks {
		if x.worker == worker {
			n.carry(i, x.a.Step(Event{Kind: Lost}))
		}
	}
}

func (n *net) trigger(epoch uint64, roots ...int) {
	n.next++
	for _, r := range roots {
		n.carry(r, n.tasks[r].a.Step(Event{Kind: Triggered, Session: n.session[n.tasks[r].worker], Barrier: Barrier{Epoch: epoch, ID: n.next, Deadline: time.Second}}))
	}
}

// durable is the end of the upload of one of a task's snapshots; a later one may overtake.
func (n *net) durable(i, which int, failed bool) {
	x := n.tasks[i]
	if len(x.pending) == 0 {
		return
	}
	which %= len(x.pending)
	id := x.pending[which]
	x.pending = slices.Delete(x.pending, which, which+1)
	switch {
	case x.a.Abandoned(id):
	case failed:
		n.carry(i, x.a.Step(Event{Kind: Failed, ID: id}))
	default:
		x.a.Step(Event{Kind: Acknowledged, ID: id})
		n.acknowledge(i, id)
	}
}

func (n *net) step() {
	t := n.t
	pick := func(what string, of int) int { return rapid.IntRange(0, of-1).Draw(t, what) }
	switch pick("what", 12) {
	case 0:
		n.tasks[pick("root", 2)].send(item{record: true})
	case 1:
		n.trigger(uint64(1+pick("epoch", 3)), [][]int{{0, 1}, {0}, {1}}[pick("roots", 3)]...)
	case 2:
		n.setSession(pick("worker", 3), uint64(pick("epoch", 4)))
	case 3:
		id := int64(1 + pick("id", int(n.next)+1))
		if id <= n.next {
			i := pick("task", len(n.tasks))
			n.tasks[i].aborted = max(n.tasks[i].aborted, id)
			n.carry(i, n.tasks[i].a.Step(Event{Kind: Aborted, ID: id}))
		}
	case 4:
		if x := n.tasks[2+pick("task", 3)]; x.timer != 0 {
			id := x.timer
			x.timer = 0
			for i := range n.tasks {
				if n.tasks[i] == x {
					n.carry(i, x.a.Step(Event{Kind: Expired, ID: id}))
				}
			}
		}
	case 5, 6:
		n.durable(pick("task", len(n.tasks)), pick("upload", 3), pick("failed", 6) == 0)
	default:
		n.deliver(2+pick("task", 3), pick("channel", 2))
	}
}

// run delivers and makes durable until nothing is left to do.
func (n *net) run() {
	for worked := true; worked; {
		worked = false
		for i, x := range n.tasks {
			for len(x.pending) > 0 {
				n.durable(i, 0, false)
				worked = true
			}
			for c := range x.in {
				for n.deliver(i, c) {
					worked = true
				}
			}
		}
	}
}

// expire has the deadlines of all alignments pass that are under way; it reports whether there were any.
func (n *net) expire() (some bool) {
	for i, x := range n.tasks {
		if x.a.Aligning() != 0 && x.timer != x.a.Aligning() {
			n.t.Fatalf("task %d is blocked for %d, and its timer is for %d", i, x.a.Aligning(), x.timer)
		}
		if x.timer != 0 {
			some = true
			n.carry(i, x.a.Step(Event{Kind: Expired, ID: x.timer}))
		}
	}
	return some
}

// TestCutsAreConsistent: whatever was lost, aborted or late before, what all tasks acknowledge is a consistent cut; when the faults
// stop and the alignment deadlines have passed, nothing stays blocked, no checkpoint that a task has begun is without its
// acknowledgement or decline, and the next checkpoint succeeds.
func TestCutsAreConsistent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := newNet(t)
		for range rapid.IntRange(0, 150).Draw(t, "steps") {
			n.step()
		}
		for n.run(); n.expire(); n.run() {
		}
		for i, x := range n.tasks {
			for id := range x.begun {
				if !x.told[id] && id > x.aborted {
					t.Fatalf("task %d has begun checkpoint %d, and the leader waits for its answer", i, id)
				}
			}
		}
		for w := range n.session {
			n.setSession(w, 5)
		}
		n.run()
		for range 2 {
			n.tasks[0].send(item{record: true})
			n.tasks[1].send(item{record: true})
			n.trigger(5, 0, 1)
			n.run()
			if len(n.acks[n.next]) != len(n.tasks) {
				t.Fatalf("checkpoint %d of a job without faults was acknowledged by %d of %d tasks", n.next, len(n.acks[n.next]), len(n.tasks))
			}
		}
	})
}
