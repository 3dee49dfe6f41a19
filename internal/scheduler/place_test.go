package scheduler

import (
	"math/rand/v2"
	"testing"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
)

func TestPlaceReason(t *testing.T) {
	g := testGraph(map[string]string{"parallelism": "8"})
	p := Place(g, Cluster{{ID: "a", Slots: 2, Free: 2}, {ID: "b", Slots: 2, Free: 2}, {ID: "c", Slots: 4, Free: 2}})
	if want := "needs 8 slots, 6 offered by 3 taskmanagers"; p.Reason != want || p.Placement != nil {
		t.Errorf("have %q, want %q", p.Reason, want)
	}
	if p := Place(testGraph(map[string]string{"parallelism": "1"}), nil); p.Reason != "needs 1 slot, 0 offered by 0 taskmanagers" {
		t.Errorf("have %q", p.Reason)
	}
}

// TestPlaceInvariants checks random graphs on random clusters against what a plan must be, whatever the policy.
func TestPlaceInvariants(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		g := &thalwegv1.JobGraph{}
		need := map[string]int{}
		for v := range 1 + rng.IntN(5) {
			group := []string{"", "x", "y"}[rng.IntN(3)]
			p := 1 + rng.IntN(6)
			g.Vertices = append(g.Vertices, &thalwegv1.Vertex{Id: string(rune('a' + v)), Parallelism: int32(p), SlotGroup: group})
			need[group] = max(need[group], p)
		}
		total := 0
		for _, n := range need {
			total += n
		}
		var c Cluster
		free := 0
		for i := range rng.IntN(5) {
			n := rng.IntN(5)
			free += n
			c = append(c, TaskManager{ID: string(rune('a' + i)), Incarnation: string(rune('A' + i)), Slots: 5, Free: n})
		}
		plan := Place(g, c)
		if (plan.Reason == "") != (free >= total) {
			t.Fatalf("%d slots needed, %d free, reason %q", total, free, plan.Reason)
		}
		if plan.Reason != "" {
			continue
		}
		placed := map[job.TaskID]bool{}
		perVertex := map[[2]string]int{} // vertex, incarnation
		for _, p := range plan.Placement {
			id := job.TaskIDOf(p.Task)
			if placed[id] {
				t.Fatalf("%v is placed twice", id)
			}
			placed[id] = true
			perVertex[[2]string{id.Vertex, p.Incarnation}]++
		}
		for _, v := range g.Vertices {
			for i := range int(v.Parallelism) {
				if !placed[job.TaskID{Vertex: v.Id, Subtask: i}] {
					t.Fatalf("%s/%d is not placed", v.Id, i)
				}
			}
		}
		use, used := SlotUse(g, plan.Placement), 0
		for _, tm := range c {
			used += use[tm.Incarnation]
			if use[tm.Incarnation] > tm.Free {
				t.Fatalf("taskmanager %s has %d free slots, the plan uses %d", tm.ID, tm.Free, use[tm.Incarnation])
			}
			for _, v := range g.Vertices { // X2: a slot holds at most one attempt per vertex
				if perVertex[[2]string{v.Id, tm.Incarnation}] > use[tm.Incarnation] {
					t.Fatalf("%d subtasks of %s share %d slots of %s", perVertex[[2]string{v.Id, tm.Incarnation}], v.Id, use[tm.Incarnation], tm.ID)
				}
			}
		}
		if used != total {
			t.Fatalf("uses %d slots, needs %d", used, total)
		}
		again := Place(g, c)
		for i := range plan.Placement {
			if plan.Placement[i].Incarnation != again.Placement[i].Incarnation {
				t.Fatal("the same snapshot gave another plan")
			}
		}
	}
}
