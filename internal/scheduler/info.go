package scheduler

import (
	"fmt"
	"slices"
	"strings"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

// Info is a snapshot for people; the shell adds who leads.
func (j *Job) Info() *thalwegv1.JobInfo {
	i := &thalwegv1.JobInfo{
		Summary: j.Summary(), Graph: j.graph(), Generation: j.rec.execution.GetGeneration(), Restarts: j.rec.execution.GetRestarts(),
		Checkpoints: clone(j.ck.stats), Exceptions: slices.Clone(j.exceptions),
	}
	if !terminal(j.status) {
		i.WaitingFor = j.waiting
	}
	roots, leaves := j.ends()
	for _, t := range j.tasks {
		r := t.report
		if r == nil {
			r = &thalwegv1.TaskReport{Job: j.c.ID, Task: t.id.Proto(), Generation: j.rec.execution.Generation, State: t.state}
		} else if r.State != t.state {
			r = clone(r)
			r.State = t.state
		}
		i.Tasks = append(i.Tasks, &thalwegv1.TaskStatus{Report: r, Taskmanager: t.placement.Taskmanager})
		if roots[t.id.Vertex] {
			i.RecordsRead += r.GetCounters().GetRecordsIn()
		}
		if leaves[t.id.Vertex] {
			i.RecordsWritten += r.GetCounters().GetRecordsOut()
		}
	}
	if r := j.rec.result; r != nil && r.Cause != "" && len(i.Exceptions) == 0 {
		i.Exceptions = append(i.Exceptions, &thalwegv1.ExceptionInfo{TimeMs: r.EndedMs, Message: r.Cause})
	}
	return i
}

// Summary is the line of a list.
func (j *Job) Summary() *thalwegv1.JobSummary {
	s := &thalwegv1.JobSummary{
		Id: j.c.ID, Name: j.graph().GetName(), Status: j.status, StartedMs: j.rec.graph.GetSubmittedMs(), TasksTotal: int32(len(j.tasks)),
	}
	for _, t := range j.tasks {
		if t.state == thalwegv1.TaskState_TASK_STATE_RUNNING || t.state == thalwegv1.TaskState_TASK_STATE_ENDED {
			s.TasksRunning++
		}
	}
	if len(j.tasks) == 0 {
		for _, v := range j.graph().GetVertices() {
			s.TasksTotal += v.Parallelism
		}
	}
	if r := j.rec.result; r != nil {
		s.Name, s.StartedMs, s.EndedMs = r.Name, r.StartedMs, r.EndedMs
	}
	return s
}

// Result is the recorded result; nil while there is none.
func (j *Job) Result() *thalwegv1.JobResult { return j.rec.result }

// Digest is that of the submission, empty until loaded.
func (j *Job) Digest() string {
	if r := j.rec.result; r != nil {
		return r.Digest
	}
	return j.rec.graph.GetDigest()
}

// Position is what a registering taskmanager is told; nil until loaded.
func (j *Job) Position() *thalwegv1.JobPosition {
	if j.status == initializing {
		return nil
	}
	p := &thalwegv1.JobPosition{Job: j.c.ID, Counter: j.rec.counter}
	if n := j.rec.newest(); n != nil {
		p.Completed, p.CompletedGeneration = n.Id, n.Generation
	}
	return p
}

// ends are the vertices that read records from outside (readers: fed by a coordinator, or by nothing) and those that write them.
func (j *Job) ends() (readers, sinks map[string]bool) {
	readers, sinks = map[string]bool{}, map[string]bool{}
	for _, v := range j.graph().GetVertices() {
		for _, o := range v.Operators {
			switch {
			case v.Coordinator:
			case o.Kind == "source":
				readers[v.Id] = true
			case o.Kind == "sink":
				sinks[v.Id] = true
			}
		}
	}
	return readers, sinks
}

// fingerprint makes slot use comparable.
func fingerprint(use map[string]int) string {
	var lines []string
	for inc, n := range use {
		lines = append(lines, fmt.Sprintf("%s=%d", inc, n))
	}
	slices.Sort(lines)
	return strings.Join(lines, " ")
}
