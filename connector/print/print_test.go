package print

import (
	"errors"
	"strings"
	"testing"

	"github.com/thalweg-io/thalweg/flow"
)

type task struct {
	flow.Task
	subtask int
}

func (t task) Subtask() int { return t.subtask }

type broken struct{}

var errBroken = errors.New("broken pipe")

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestLinesNameTheSubtask(t *testing.T) {
	var out strings.Builder
	s := Writer[struct{ A, B int }](&out)
	for _, subtask := range []int{0, 2} {
		w, err := s.Writer(task{subtask: subtask})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write([]struct{ A, B int }{{1, 2}, {3, 4}}); err != nil {
			t.Fatal(err)
		}
	}
	if want := "1> {1 2}\n1> {3 4}\n3> {1 2}\n3> {3 4}\n"; out.String() != want {
		t.Errorf("%q", out.String())
	}
	w, err := Writer[int](broken{}).Writer(task{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write([]int{1}); !errors.Is(err, errBroken) {
		t.Errorf("%v", err)
	}
}
