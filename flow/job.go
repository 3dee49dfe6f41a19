package flow

import (
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

// Job collects a graph. It belongs to the goroutine that runs the build function, and is of no use after that.
type Job struct {
	name        string
	parallelism int // of sources that set none
	checkpoints *thalwegv1.CheckpointOptions
	nodes       []*node // in the order of their making, which is a topological one
	names       map[string]position
	problems    []problem
}

func newJob(name string, parallelism int) *Job {
	return &Job{name: name, parallelism: parallelism, names: make(map[string]position)}
}

// Checkpoints sets the job's own defaults; the configuration of the submission and the cluster's override what is not set here.
func (j *Job) Checkpoints(every time.Duration, o ...CheckpointOption) {
	at := caller()
	if j.checkpoints != nil {
		j.fail(at, "Checkpoints is called twice: say it once")
		return
	}
	if every < time.Millisecond {
		j.fail(at, "checkpoints every %v: the interval is at least 1ms", every)
	}
	j.checkpoints = &thalwegv1.CheckpointOptions{IntervalMs: every.Milliseconds()}
	for _, option := range o {
		option.set(j, at)
	}
}

// CheckpointOption adjusts how the job's checkpoints are taken.
type CheckpointOption struct{ set func(*Job, position) }

// CheckpointTimeout ends a checkpoint that has not completed within d.
func CheckpointTimeout(d time.Duration) CheckpointOption {
	return CheckpointOption{func(j *Job, at position) {
		if d < time.Millisecond {
			j.fail(at, "checkpoint timeout %v: it is at least 1ms", d)
		}
		j.checkpoints.TimeoutMs = d.Milliseconds()
	}}
}

// MinPause is the least time between the end of a checkpoint and the start of the next.
func MinPause(d time.Duration) CheckpointOption {
	return CheckpointOption{func(j *Job, at position) {
		if d < 0 {
			j.fail(at, "pause between checkpoints %v: it is not negative", d)
		}
		j.checkpoints.MinPauseMs = d.Milliseconds()
	}}
}

// Retain keeps the newest n completed checkpoints.
func Retain(n int) CheckpointOption {
	return CheckpointOption{func(j *Job, at position) {
		if n < 1 {
			j.fail(at, "retain %d checkpoints: at least 1", n)
		}
		j.checkpoints.Retained = int32(n)
	}}
}

// position is a line of the user's program.
type position struct {
	file string
	line int
}

func (p position) String() string { return fmt.Sprintf("%s:%d", p.file, p.line) }

// inside is how the names of this package's functions begin.
const inside = "github.com/thalweg-io/thalweg/flow."

// caller finds the nearest line outside of this package.
func caller() position {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		f, more := frames.Next()
		if !strings.HasPrefix(f.Function, inside) || !more {
			return position{f.File, f.Line}
		}
	}
}

// problem is a mistake in building.
type problem struct {
	at  position
	err error
}

// fail remembers a mistake. Building goes on, so that all are found.
func (j *Job) fail(at position, format string, args ...any) {
	j.problems = append(j.problems, problem{at, fmt.Errorf(format, args...)})
}

// err is all mistakes in the order of their lines, or nil.
func (j *Job) err() error {
	if len(j.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(j.problems, func(a, b problem) int {
		if a.at.file != b.at.file {
			return strings.Compare(a.at.file, b.at.file)
		}
		return a.at.line - b.at.line
	})
	var errs []error
	said := make(map[string]bool)
	for _, p := range j.problems {
		e := fmt.Errorf("%v: %w", p.at, p.err)
		if !said[e.Error()] {
			said[e.Error()] = true
			errs = append(errs, e)
		}
	}
	return errors.Join(errs...)
}

// What a name may be: it becomes part of a metric's and a log line's, and of what people type.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._:/>()-]{0,199}$`)

// claim takes a name or uid for one operator.
func (j *Job) claim(name string, at position) {
	if !nameForm.MatchString(name) {
		j.fail(at, "name %q: an operator's name has 1 to 200 letters, digits, spaces and . _ - : / ( ) >, and begins with a letter or digit", name)
		return
	}
	if before, taken := j.names[name]; taken {
		j.fail(at, "name %q is taken by the operator at %v: names are unique in a job, because state is found by them; give one of the two another name", name, before)
		return
	}
	j.names[name] = at
}
