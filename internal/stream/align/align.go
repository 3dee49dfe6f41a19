// Package align is the pure core of barrier alignment in one task: which channels a checkpoint's barrier blocks, when the task
// takes its snapshot, and what becomes of a checkpoint that nobody will complete. It owns no channel and no timer: an Event goes
// in, Effects come out, and the task carries them out in the order of the fields.
//
// A barrier never waits for a leader: one whose epoch is not that of the worker's present session, or whose id has been
// abandoned, becomes a cancel marker; so does every checkpoint not acknowledged when the session is lost.
package align

import (
	"slices"
	"time"
)

// Barrier is what travels with the records. All fields but Epoch and ID are the trigger's, handed on unchanged.
type Barrier struct {
	Epoch    uint64 // of the leader that triggered it
	ID       int64
	Base     int64         // completed checkpoint that snapshots may refer to; 0: none
	Deadline time.Duration // how long an alignment may take
	Final    bool          // every source has ended
}

// Kind is the kind of an Event.
type Kind uint8

// The kinds of Event, with the fields that they use.
const (
	Arrived      Kind = iota + 1 // Channel, Barrier, Session: a barrier was received
	Triggered                    // Barrier, Session: a root was told to start it
	CancelMarker                 // Channel, ID: an upstream task has given up this checkpoint
	Finished                     // Channel: no element will come any more; it counts as aligned from now on
	Lost                         // the session with the leader is lost
	Aborted                      // ID: the leader has given up every checkpoint up to this one
	Expired                      // ID: its alignment deadline has passed
	Acknowledged                 // ID: this task's snapshot is durable and acknowledged
	Failed                       // ID: this task's snapshot could not be made durable
)

// Event is what happens to a task.
type Event struct {
	Kind    Kind
	Channel int
	Barrier Barrier
	ID      int64
	Session uint64 // epoch of the worker's present session; 0: none
}

// Effects are carried out in this order: Cancel goes downstream before anything newer, and the snapshot is taken before its
// barrier is forwarded.
type Effects struct {
	Cancel   int64    // > 0: send a cancel marker for this id downstream
	Earlier  []int64  // decline these as well: their snapshots were taken and not acknowledged, and they go with the one given up
	Decline  int64    // > 0: tell the leader that this task does not take part in this id
	Late     bool     // the decline is for the alignment deadline
	Reason   string   // of the decline
	Deadline int64    // > 0: have Expired come for this id after Barrier.Deadline, unless a later one replaces it
	Snapshot *Barrier // take the snapshot, then forward this barrier
}

// Aligner is the state of one task with a fixed number of input channels; a root has none.
type Aligner struct {
	channels  int
	blocked   []bool
	finished  []bool
	aligning  Barrier // ID 0: none
	taken     int64   // highest id of which a snapshot was taken
	pending   []int64 // ids of which one was taken and is neither acknowledged nor given up, rising; mostly none or one
	acked     int64   // highest id acknowledged
	abandoned int64   // highest id given up
}

// New makes the aligner of a task that was restored from checkpoint id restored (0: none): nothing up to it is taken again.
func New(channels int, restored int64) *Aligner {
	return &Aligner{channels: channels, blocked: make([]bool, channels), finished: make([]bool, channels),
		taken: restored, acked: restored, abandoned: restored}
}

// Blocked reports whether a channel must not be read: its barrier has arrived and others have not.
func (a *Aligner) Blocked(channel int) bool { return a.blocked[channel] }

// Aligning is the id of the checkpoint that channels are blocked for; 0: none.
func (a *Aligner) Aligning() int64 { return a.aligning.ID }

// Acknowledged is the highest id that was acknowledged.
func (a *Aligner) Acknowledged() int64 { return a.acked }

// Abandoned reports whether a checkpoint has been given up, so that a late result of its snapshot is to be dropped.
func (a *Aligner) Abandoned(id int64) bool { return id <= a.abandoned }

// Step takes one event.
func (a *Aligner) Step(ev Event) Effects {
	switch ev.Kind {
	case Arrived:
		return a.arrived(ev)
	case Triggered:
		if ev.Barrier.ID <= a.taken {
			return Effects{} // told a second time
		}
		if !a.current(ev) { // another root may have sent its barrier: the marker releases who waits for this one's
			return a.abandon(ev.Barrier.ID, "triggered by a leader without a session, or too late", false)
		}
		return a.take(ev.Barrier)
	case CancelMarker:
		return a.abandon(ev.ID, "", false)
	case Finished:
		a.finished[ev.Channel] = true
		a.blocked[ev.Channel] = false
		if a.aligning.ID != 0 && a.complete() {
			return a.take(a.aligning)
		}
	case Lost:
		return a.abandon(max(a.aligning.ID, a.newest()), "", false)
	case Aborted:
		return a.aborted(ev.ID)
	case Expired:
		if a.aligning.ID == ev.ID && ev.ID != 0 {
			return a.abandon(ev.ID, "the barriers of its channels did not arrive within the alignment deadline", true)
		}
	case Acknowledged:
		a.acked = max(a.acked, ev.ID)
		a.pending = slices.DeleteFunc(a.pending, func(id int64) bool { return id == ev.ID })
	case Failed:
		return a.abandon(ev.ID, "", false)
	}
	return Effects{}
}

// current: the barrier is of the leader whose session the worker has, and nobody has given it up.
func (a *Aligner) current(ev Event) bool {
	return ev.Session != 0 && ev.Session == ev.Barrier.Epoch && ev.Barrier.ID > a.abandoned
}

// newest is the highest id that is pending; 0: none.
func (a *Aligner) newest() int64 {
	if len(a.pending) == 0 {
		return 0
	}
	return a.pending[len(a.pending)-1]
}

func (a *Aligner) arrived(ev Event) Effects {
	b := ev.Barrier
	switch {
	case !a.current(ev):
		return a.abandon(b.ID, "", false)
	case b.ID <= a.taken || b.ID < a.aligning.ID:
		return Effects{} // a straggler: its checkpoint was given up for a higher one, or taken without this channel
	case b.ID == a.aligning.ID:
		a.blocked[ev.Channel] = true
		if a.complete() {
			return a.take(a.aligning)
		}
		return Effects{}
	}
	var e Effects
	if a.aligning.ID != 0 { // a newer checkpoint has begun: the one before will never be whole
		e = a.abandon(a.aligning.ID, "a newer checkpoint began before its barriers had arrived", false)
	}
	a.aligning = b
	a.blocked[ev.Channel] = true
	if a.complete() {
		t := a.take(b)
		e.Snapshot = t.Snapshot
		return e
	}
	e.Deadline = b.ID
	return e
}

func (a *Aligner) complete() bool {
	for c := range a.channels {
		if !a.blocked[c] && !a.finished[c] {
			return false
		}
	}
	return true
}

func (a *Aligner) take(b Barrier) Effects {
	a.taken = b.ID
	a.pending = append(a.pending, b.ID)
	a.release()
	return Effects{Snapshot: &b}
}

func (a *Aligner) release() {
	a.aligning = Barrier{}
	clear(a.blocked)
}

// abandon gives up everything up to id; a marker makes the tasks downstream do the same. The leader is told of each checkpoint that this
// task was to acknowledge and now will not, or it would wait for that until the checkpoint's timeout.
func (a *Aligner) abandon(id int64, reason string, late bool) Effects {
	if id <= a.abandoned {
		return Effects{}
	}
	given := a.giveUp(id)
	if id <= a.acked { // it, or one above it, may yet complete; what was overtaken here does not
		if len(given) == 0 {
			return Effects{}
		}
		id = given[len(given)-1]
	}
	a.abandoned = id
	if a.aligning.ID != 0 && a.aligning.ID <= id {
		given = append(given, a.aligning.ID)
		a.release()
	}
	given = slices.DeleteFunc(given, func(g int64) bool { return g == id })
	return Effects{Cancel: id, Earlier: given, Decline: id, Reason: reason, Late: late}
}

// giveUp takes out what is pending up to id.
func (a *Aligner) giveUp(id int64) (given []int64) {
	a.pending = slices.DeleteFunc(a.pending, func(p int64) bool {
		if p <= id {
			given = append(given, p)
		}
		return p <= id
	})
	return given
}

// aborted is the leader's own decision: it needs no decline. What was never begun here has sent nothing downstream.
func (a *Aligner) aborted(id int64) Effects {
	if id <= a.abandoned {
		return Effects{}
	}
	if a.aligning.ID == 0 && len(a.pending) == 0 || id <= a.acked {
		a.giveUp(id)
		a.abandoned = id
		return Effects{}
	}
	e := a.abandon(id, "", false)
	e.Earlier, e.Decline, e.Reason = nil, 0, ""
	return e
}

// Deadline is how long the alignment under way may take.
func (a *Aligner) Deadline() time.Duration { return a.aligning.Deadline }
