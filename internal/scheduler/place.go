package scheduler

import (
	"cmp"
	"fmt"
	"slices"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
)

// TaskManager is one registered taskmanager as a snapshot shows it.
type TaskManager struct {
	ID          string
	Incarnation string
	DataAddress string
	Slots       int
	Free        int // slots that no other job uses: the asking job's own count as free
}

// Cluster is an immutable snapshot of the registered taskmanagers, ordered by id, as one job sees it.
type Cluster []TaskManager

// Plan is the answer of Place: a placement of every subtask, or the reason why there is none.
type Plan struct {
	Placement []*thalwegv1.Placement // ordered by task; nil if Reason is set
	Reason    string                 // "needs 8 slots, 6 offered by 3 taskmanagers"
}

// Place assigns every subtask of the graph to a slot. A slot runs one subtask of each vertex of one slot-sharing group, so a
// group takes as many slots as its widest vertex has subtasks. Slots are taken where most are free, so that the job is spread
// and a lost taskmanager costs the least; ties go to the lower id, so that the same snapshot gives the same plan.
func Place(g *thalwegv1.JobGraph, c Cluster) Plan {
	need := groups(g)
	total, free := 0, 0
	for _, s := range need {
		total += s.slots
	}
	offers := slices.Clone(c)
	for _, t := range offers {
		free += max(t.Free, 0)
	}
	if free < total {
		return Plan{Reason: fmt.Sprintf("needs %s, %s offered by %s", count(total, "slot"), fmt.Sprint(free), count(len(c), "taskmanager"))}
	}
	var p []*thalwegv1.Placement
	for _, s := range need {
		slots := make([]TaskManager, s.slots)
		for i := range slots {
			best := 0
			for k := range offers {
				if offers[k].Free > offers[best].Free {
					best = k
				}
			}
			offers[best].Free--
			slots[i] = offers[best]
		}
		for _, v := range s.vertices {
			for i := range int(v.Parallelism) {
				// A narrow vertex is spread over its group's slots.
				t := slots[i*s.slots/int(v.Parallelism)]
				p = append(p, &thalwegv1.Placement{
					Task: job.TaskID{Vertex: v.Id, Subtask: i}.Proto(), Taskmanager: t.ID, Incarnation: t.Incarnation, DataAddress: t.DataAddress,
				})
			}
		}
	}
	slices.SortFunc(p, func(a, b *thalwegv1.Placement) int { return job.TaskIDOf(a.Task).Compare(job.TaskIDOf(b.Task)) })
	return Plan{Placement: p}
}

// SlotUse counts the slots that a placement takes on each taskmanager incarnation.
func SlotUse(g *thalwegv1.JobGraph, placement []*thalwegv1.Placement) map[string]int {
	on := map[string][]*thalwegv1.TaskID{}
	for _, p := range placement {
		on[p.Incarnation] = append(on[p.Incarnation], p.Task)
	}
	use := map[string]int{}
	for inc, tasks := range on {
		if n := job.Slots(g, tasks); n > 0 {
			use[inc] = n
		}
	}
	return use
}

// sharing is one slot-sharing group.
type sharing struct {
	name     string
	slots    int
	vertices []*thalwegv1.Vertex
}

func groups(g *thalwegv1.JobGraph) []sharing {
	var out []sharing
	for _, v := range g.GetVertices() {
		name := cmp.Or(v.SlotGroup, "default")
		i := slices.IndexFunc(out, func(s sharing) bool { return s.name == name })
		if i < 0 {
			i = len(out)
			out = append(out, sharing{name: name})
		}
		s := &out[i]
		s.vertices = append(s.vertices, v)
		s.slots = max(s.slots, int(v.Parallelism))
	}
	return out
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
