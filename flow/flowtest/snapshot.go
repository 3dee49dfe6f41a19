package flowtest

import (
	"slices"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
)

// Snapshot is a completed checkpoint of a job, and what its sinks had by then. It does not change.
type Snapshot struct {
	id         int64
	generation job.Generation
	vertices   []*thalwegv1.Vertex // of the graph that it is of
	subtasks   []*checkpoint.SubtaskState
	covered    []any // what each sink of the harness had
}

// onto is the snapshot as one of another graph of the same operators: at another parallelism they may be chained otherwise, so that an operator
// is in a vertex of another name. State belongs to an operator by its uid; subtask i has that of the former subtasks i, and of keyed state every
// subtask finds its key groups in that of all.
func (s *Snapshot) onto(g *thalwegv1.JobGraph) (states []*checkpoint.SubtaskState) {
	for _, v := range g.Vertices {
		before := s.former(v)
		states = append(states, s.merge(v, before)...)
	}
	return states
}

// former are the vertices that the operators of a vertex were in.
func (s *Snapshot) former(v *thalwegv1.Vertex) (before []*thalwegv1.Vertex) {
	for _, old := range s.vertices {
		if slices.ContainsFunc(old.Operators, func(o *thalwegv1.Operator) bool { return has(v, o.Uid) }) {
			before = append(before, old)
		}
	}
	return before
}

func has(v *thalwegv1.Vertex, uid string) bool {
	return slices.ContainsFunc(v.Operators, func(o *thalwegv1.Operator) bool { return o.Uid == uid })
}

// merge is the states of a vertex out of those of the vertices that its operators were in.
func (s *Snapshot) merge(v *thalwegv1.Vertex, before []*thalwegv1.Vertex) []*checkpoint.SubtaskState {
	var merged []*checkpoint.SubtaskState
	for _, old := range s.subtasks {
		if !slices.ContainsFunc(before, func(b *thalwegv1.Vertex) bool { return b.Id == old.Vertex }) {
			continue
		}
		at := slices.IndexFunc(merged, func(m *checkpoint.SubtaskState) bool { return m.Subtask == old.Subtask })
		if at < 0 {
			at = len(merged)
			merged = append(merged, &checkpoint.SubtaskState{Vertex: v.Id, Subtask: old.Subtask, Generation: old.Generation})
		}
		m := merged[at]
		m.Files = append(m.Files, old.Files...)
		for _, o := range old.Operators {
			if has(v, o.UID) {
				m.Operators = append(m.Operators, o)
			}
		}
	}
	return merged
}

// ended are the subtasks of a graph whose end the snapshot covers. In a vertex that had other subtasks, or other operators, all have ended if all
// had; else they find out again, where a reader that had nothing to read ends at once.
func (s *Snapshot) ended(g *thalwegv1.JobGraph) (all []*thalwegv1.TaskID) {
	for _, v := range g.Vertices {
		before := s.former(v)
		same := len(before) == 1 && before[0].Id == v.Id && before[0].Parallelism == v.Parallelism && len(before[0].Operators) == len(v.Operators)
		every := len(before) > 0 && !slices.ContainsFunc(before, func(old *thalwegv1.Vertex) bool { return len(s.over(old.Id)) < int(old.Parallelism) })
		over := s.over(v.Id)
		for i := range int(v.Parallelism) {
			if every || same && slices.Contains(over, i) {
				all = append(all, job.TaskID{Vertex: v.Id, Subtask: i}.Proto())
			}
		}
	}
	return all
}

// over are the subtasks of a vertex whose end the snapshot covers.
func (s *Snapshot) over(vertex string) (subtasks []int) {
	for _, state := range s.subtasks {
		if state.Vertex == vertex && state.Ended {
			subtasks = append(subtasks, state.Subtask)
		}
	}
	return subtasks
}
