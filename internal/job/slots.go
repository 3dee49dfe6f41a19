package job

import (
	"cmp"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

// Slots is how many slots these subtasks of a graph take: vertices of one slot-sharing group share slots, and the widest vertex of a group, the
// first among equals, has a subtask in each of them.
func Slots(g *thalwegv1.JobGraph, tasks []*thalwegv1.TaskID) int {
	widest := map[string]*thalwegv1.Vertex{} // by group
	for _, v := range g.GetVertices() {
		group := cmp.Or(v.SlotGroup, "default")
		if w := widest[group]; w == nil || v.Parallelism > w.Parallelism {
			widest[group] = v
		}
	}
	counts := map[string]bool{}
	for _, v := range widest {
		counts[v.Id] = true
	}
	n := 0
	for _, t := range tasks {
		if counts[t.Vertex] {
			n++
		}
	}
	return n
}
