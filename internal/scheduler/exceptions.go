package scheduler

import (
	"slices"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

const (
	maxExceptions = 20
	maxFurther    = 10
)

// exception records why the job failed or cannot go on, newest first; the same one again only renews its time.
func (j *Job) exception(task, taskmanager, message string) {
	x := &thalwegv1.ExceptionInfo{TimeMs: j.at.Wall, Task: task, Taskmanager: taskmanager, Message: message, Generation: j.rec.execution.GetGeneration()}
	if len(j.exceptions) > 0 {
		if old := j.exceptions[0]; old.Message == message && old.Task == task {
			if o, n := old.Generation, x.Generation; o.GetEpoch() == n.GetEpoch() && o.GetN() == n.GetN() {
				x.Further = old.Further
				j.exceptions[0] = x
				return
			}
		}
	}
	j.exceptions = slices.Insert(j.exceptions, 0, x)
	if len(j.exceptions) > maxExceptions {
		j.exceptions = j.exceptions[:maxExceptions]
	}
}

// further records a cause reported by a generation that is being replaced: it is no further failure.
func (j *Job) further(task, cause string) {
	if len(j.exceptions) == 0 {
		return
	}
	x := clone(j.exceptions[0])
	if line := task + ": " + cause; len(x.Further) < maxFurther && !slices.Contains(x.Further, line) && !(x.Task == task && x.Message == cause) {
		x.Further = append(x.Further, line)
	}
	j.exceptions[0] = x
}
