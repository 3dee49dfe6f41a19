package state

import (
	"math/rand/v2"
	"testing"

	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
)

// takenSnapshots are the checkpoints of a random test of one subtask: taken while it goes on, as bases and as deltas, and given up now and then.
type takenSnapshots[K comparable] struct {
	t      testing.TB
	random *rand.Rand
	id     int64
	taking *takenSnapshot // nil: none is being taken
	last   *takenSnapshot // the newest complete one; nil: none
}

type takenSnapshot struct {
	id     int64
	base   *takenSnapshot
	w      *checkpoint.FileWriter
	files  []checkpoint.File
	revert func() // brings the test's own idea of the state back to what it was
}

// step goes on in some way. It reports whether k is to be left for one that restore fills.
func (s *takenSnapshots[K]) step(k *Keyed[K], revert func()) (restore bool) {
	switch n := s.random.IntN(12); {
	case n < 2:
		s.begin(k, revert)
	case n < 8 && s.taking != nil:
		if k.Sweep([]int{1, 50, 1 << 30}[s.random.IntN(3)]) {
			s.finish()
		}
	case n == 8:
		return s.last != nil
	}
	return false
}

func (s *takenSnapshots[K]) begin(k *Keyed[K], revert func()) {
	if s.taking != nil {
		s.taking.w.Abort()
	}
	s.id++
	n := &takenSnapshot{id: s.id, revert: revert}
	n.w = checkpoint.NewFileWriter(s.t.Context(), checkpoint.FileConfig{InlineThreshold: 1 << 30, Checkpoint: s.id, Task: job.TaskID{Vertex: "v"}})
	p := Plan{Checkpoint: s.id, Out: n.w, Operator: "op"}
	if s.last != nil && s.random.IntN(4) > 0 {
		n.base, p.Base = s.last, s.last.id
		p.Rebase = func(group int) bool { return group == 1 }
	}
	if err := k.Begin(p); err != nil {
		s.t.Fatal(err)
	}
	s.taking = n
}

func (s *takenSnapshots[K]) finish() {
	n := s.taking
	f, err := n.w.Finish(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	var base []checkpoint.File
	if n.base != nil {
		base = n.base.files
	}
	n.files = n.w.Chain(base, f)
	s.last, s.taking = n, nil
}

// restore brings the newest complete checkpoint back into new state. What follows is a base: the new state knows of no changes.
func (s *takenSnapshots[K]) restore(k *Keyed[K]) {
	if s.taking != nil {
		s.taking.w.Abort()
	}
	r, err := checkpoint.Open(s.t.Context(), nil, "mem:///job", &checkpoint.SubtaskState{Vertex: "v", Files: s.last.files})
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Close()
	if err := k.Restore(r, "op"); err != nil {
		s.t.Fatal(err)
	}
	s.last.revert()
	s.taking, s.last = nil, nil
}
