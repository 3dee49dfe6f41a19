package job

import (
	"testing"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

func TestSlots(t *testing.T) {
	g := &thalwegv1.JobGraph{Vertices: []*thalwegv1.Vertex{
		{Id: "a", Parallelism: 1}, {Id: "b", Parallelism: 4, SlotGroup: "default"}, {Id: "c", Parallelism: 4}, {Id: "x", Parallelism: 2, SlotGroup: "x"},
	}}
	for _, c := range []struct {
		name  string
		tasks []TaskID
		want  int
	}{
		{"nothing", nil, 0},
		{"a narrow vertex shares", []TaskID{{"a", 0}, {"b", 0}, {"c", 0}}, 1},
		{"two slots of one group", []TaskID{{"b", 1}, {"c", 1}, {"b", 3}, {"c", 3}}, 2},
		{"each group has its own", []TaskID{{"a", 0}, {"b", 0}, {"c", 0}, {"x", 0}, {"x", 1}}, 3},
	} {
		var tasks []*thalwegv1.TaskID
		for _, id := range c.tasks {
			tasks = append(tasks, id.Proto())
		}
		if got := Slots(g, tasks); got != c.want {
			t.Errorf("%s: %d slots, want %d", c.name, got, c.want)
		}
	}
}

func TestShare(t *testing.T) {
	for _, c := range []struct {
		whole     int64
		slots, of int
		want      int64
	}{
		{100, 1, 4, 25}, {100, 4, 4, 100}, {100, 5, 4, 100}, {100, 0, 4, 0}, {100, 1, 0, 100}, {10, 2, 3, 6},
		{1 << 62, 3, 4, 3 << 60}, // no overflow on the way
	} {
		if got := Share(c.whole, c.slots, c.of); got != c.want {
			t.Errorf("%d of %d slots of %d: %d, want %d", c.slots, c.of, c.whole, got, c.want)
		}
	}
}
