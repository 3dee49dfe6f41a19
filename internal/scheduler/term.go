package scheduler

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

// Term is all that a leader knows and decides for as long as it leads: its taskmanagers and its jobs. It begins empty. Its
// owner calls Step with one event at a time.
//
// It keeps every job's view of the cluster current: after a step that changed slots or who is registered, each job has been
// told before Step returns, in the order of their ids, so two jobs never plan with the same free slot.
type Term struct {
	c        TermConfig
	at       Instant
	out      TermEffects
	sessions *Sessions
	jobs     map[string]*Job
	wakes    map[string]time.Duration
	sessWake time.Duration
	listed   bool
	early    []Event         // of sessions, while not all jobs of the store are known
	unknown  map[string]bool // jobs that taskmanagers run and the store does not know; said once each
	ended    bool
}

// pingTimeout is how long an older incarnation may take to prove that it lives.
const pingTimeout = time.Second

// NewTerm makes a term that begins now.
func NewTerm(c TermConfig, at Instant) *Term {
	return &Term{
		c: c, at: at, jobs: map[string]*Job{}, wakes: map[string]time.Duration{}, unknown: map[string]bool{},
		sessions: NewSessions(SessionsConfig{
			Epoch: c.Epoch, ClusterIncarnation: c.ClusterIncarnation, HeartbeatInterval: c.HeartbeatInterval,
			HeartbeatTimeout: c.HeartbeatTimeout, PingTimeout: pingTimeout,
		}, at.Now),
	}
}

// Step takes one event and returns what must be done. After EndTerm it does nothing any more.
func (t *Term) Step(at Instant, ev Event) TermEffects {
	t.at, t.out = at, TermEffects{}
	if t.ended {
		return t.out
	}
	if t.sessions.late(at.Now) {
		for _, j := range t.Jobs() {
			t.step(j, Resumed{})
		}
	}
	switch ev := ev.(type) {
	case JobFound:
		t.found(ev.Job)
	case JobForgotten:
		delete(t.jobs, ev.Job)
		delete(t.wakes, ev.Job)
	case ForJob:
		if j := t.jobs[ev.Job]; j != nil {
			t.step(j, ev.Event)
		}
	}
	t.stepEarly(ev)
	t.wakeJobs()
	if t.out.EndTerm != "" {
		t.ended = true
		return TermEffects{EndTerm: t.out.EndTerm}
	}
	t.out.Wake = t.sessWake
	for _, w := range t.wakes {
		if w != 0 && w < t.out.Wake {
			t.out.Wake = w
		}
	}
	return t.out
}

// Job is the master of a job; nil if the id is not known.
func (t *Term) Job(id string) *Job { return t.jobs[id] }

// Jobs are all jobs, ended ones too, by id.
func (t *Term) Jobs() []*Job {
	js := make([]*Job, 0, len(t.jobs))
	for _, j := range t.jobs {
		js = append(js, j)
	}
	slices.SortFunc(js, func(a, b *Job) int { return cmp.Compare(a.c.ID, b.c.ID) })
	return js
}

// TaskManagers describes the registered taskmanagers, by id.
func (t *Term) TaskManagers(at Instant) []*thalwegv1.TaskManagerInfo {
	used := t.used(nil)
	var out []*thalwegv1.TaskManagerInfo
	for _, r := range t.sessions.live() {
		out = append(out, &thalwegv1.TaskManagerInfo{
			Id: r.r.Taskmanager, Incarnation: r.r.Incarnation, Host: r.r.Host, DataAddress: r.r.DataAddress, Slots: r.r.Slots,
			FreeSlots: max(r.r.Slots-int32(used[r.r.Incarnation]), 0), SinceHeartbeatMs: (at.Now - r.session.heard).Milliseconds(),
		})
	}
	return out
}

func (t *Term) found(id string) {
	if t.jobs[id] != nil {
		return
	}
	c := t.c.Job
	c.ID, c.Epoch = id, t.c.Epoch
	j, e := NewJob(c, t.at)
	t.jobs[id] = j
	t.take(j, e)
	t.step(j, ClusterChanged{t.cluster(j)})
	for _, r := range t.sessions.live() { // the job has just been submitted: nothing of it can have been reported
		t.step(j, t.up(j, r.r))
	}
}

// stepEarly keeps what taskmanagers say until every job in the store is known, so that no job misses a report.
func (t *Term) stepEarly(ev Event) {
	switch ev.(type) {
	case JobsListed:
		t.listed = true
		early := t.early
		t.early = nil
		for _, ev := range early {
			if t.out.EndTerm == "" {
				t.stepSessions(ev)
			}
		}
	case Received, Closed:
		if !t.listed {
			t.early = append(t.early, ev)
			return
		}
	}
	t.stepSessions(ev)
}

func (t *Term) stepSessions(ev Event) {
	e := t.sessions.Step(t.at.Now, ev)
	if e.EndTerm != "" {
		t.out.EndTerm = e.EndTerm
		return
	}
	t.sessWake = e.Wake
	t.out.Notices = append(t.out.Notices, e.Notices...)
	t.out.Messages = append(t.out.Messages, e.Messages...)
	for _, c := range e.Changes {
		if c.Register != nil {
			t.welcome(c)
		}
	}
	// Who has gone is told before anybody plans without it; who has come is told before anybody replaces what it brings.
	for _, c := range e.Changes {
		for _, j := range t.Jobs() {
			if c.Register != nil {
				t.step(j, t.up(j, c.Register))
			} else {
				t.view(j)
				t.step(j, TaskManagerDown{Incarnation: c.Incarnation, Down: c.Down, Cause: c.Cause})
			}
		}
	}
	if len(e.Changes) > 0 {
		t.spread(nil)
	}
	if e.Forward != nil {
		t.forward(*e.Forward)
	}
}

// welcome answers a registration, before any command to the same taskmanager.
func (t *Term) welcome(c SessionChange) {
	w := &thalwegv1.Welcome{
		Jobmanager: t.c.Incarnation, ClusterIncarnation: t.c.ClusterIncarnation,
		HeartbeatIntervalMs: t.c.HeartbeatInterval.Milliseconds(), HeartbeatTimeoutMs: t.c.HeartbeatTimeout.Milliseconds(),
	}
	for _, id := range reportedJobs(c.Register) {
		j := t.jobs[id]
		if j == nil {
			if t.listed && !t.unknown[id] {
				t.unknown[id] = true
				t.out.Notices = append(t.out.Notices, Notice{Level: "error", Job: id, Text: fmt.Sprintf(
					"taskmanager %s runs tasks of job %s, which the metadata store does not know: left alone. Was the store wiped, or does it belong to another cluster?",
					c.Register.Taskmanager, id)})
			}
			continue
		}
		if p := j.Position(); p != nil {
			w.Jobs = append(w.Jobs, p)
		}
	}
	t.out.Messages = append(t.out.Messages, SessionMessage{Session: c.Session, Message: &thalwegv1.ToTaskManager{
		Epoch: t.c.Epoch, Message: &thalwegv1.ToTaskManager_Welcome{Welcome: w}}})
	t.out.Notices = append(t.out.Notices, Notice{Level: "info", Text: fmt.Sprintf("taskmanager %s on %s registered with %s",
		c.Register.Taskmanager, c.Register.Host, count(int(c.Register.Slots), "slot"))})
}

func (t *Term) up(j *Job, r *thalwegv1.Register) TaskManagerUp {
	ev := TaskManagerUp{
		TaskManager: TaskManager{ID: r.Taskmanager, Incarnation: r.Incarnation, DataAddress: r.DataAddress, Slots: int(r.Slots)},
		Silent:      slices.Contains(r.SilentJobs, j.c.ID),
	}
	for _, x := range r.Tasks {
		if x.Job == j.c.ID {
			ev.Tasks = append(ev.Tasks, x)
		}
	}
	return ev
}

// forward hands a message to the job that it is about.
func (t *Term) forward(f FromTaskManager) {
	for _, id := range jobsOf(f.Message) {
		if j := t.jobs[id]; j != nil {
			t.step(j, f)
		}
	}
}

// step lets one job act, and tells the others if it changed what is free.
func (t *Term) step(j *Job, ev JobEvent) {
	if t.out.EndTerm != "" {
		return
	}
	t.take(j, j.Step(t.at, ev))
}

func (t *Term) take(j *Job, e Effects) {
	t.wakes[j.c.ID] = e.Wake
	for _, s := range e.Send {
		if id, ok := t.sessions.session(s.Incarnation); ok {
			t.out.Messages = append(t.out.Messages, SessionMessage{Session: id, Message: s.Message})
		}
	}
	if e.EndTerm != "" {
		t.out.EndTerm = e.EndTerm
		return
	}
	t.out.Notices = append(t.out.Notices, e.Notices...)
	changed := e.SlotsChanged
	e.Send, e.Notices, e.Wake, e.SlotsChanged = nil, nil, 0, false
	if !e.empty() {
		t.out.Jobs = append(t.out.Jobs, JobEffects{Job: j.c.ID, Effects: e})
	}
	if changed {
		t.spread(j)
	}
}

func (e *Effects) empty() bool {
	return !e.Load && e.Write == nil && e.Metadata == nil && len(e.Delete) == 0 && len(e.Replies) == 0 && len(e.Reached) == 0 && !e.Changed && !e.Done
}

// spread gives every job but one its present view of the cluster.
func (t *Term) spread(but *Job) {
	for _, j := range t.Jobs() {
		if j != but {
			t.view(j)
		}
	}
}

// view gives a job its view of the cluster, if that has changed for it.
func (t *Term) view(j *Job) {
	if c := t.cluster(j); !slices.Equal(c, j.cluster) {
		t.step(j, ClusterChanged{c})
	}
}

// cluster is the snapshot for one job: what other jobs use is not free.
func (t *Term) cluster(j *Job) Cluster {
	used := t.used(j)
	var c Cluster
	for _, r := range t.sessions.live() {
		c = append(c, TaskManager{
			ID: r.r.Taskmanager, Incarnation: r.r.Incarnation, DataAddress: r.r.DataAddress, Slots: int(r.r.Slots),
			Free: max(int(r.r.Slots)-used[r.r.Incarnation], 0),
		})
	}
	return c
}

func (t *Term) used(but *Job) map[string]int {
	used := map[string]int{}
	for _, j := range t.jobs {
		if j == but {
			continue
		}
		for inc, n := range j.SlotUse() {
			used[inc] += n
		}
	}
	return used
}

func (t *Term) wakeJobs() {
	for _, j := range t.Jobs() {
		if w := t.wakes[j.c.ID]; w != 0 && t.at.Now >= w {
			t.step(j, Wakeup{})
		}
	}
}

func reportedJobs(r *thalwegv1.Register) []string {
	ids := slices.Clone(r.SilentJobs)
	for _, x := range r.Tasks {
		ids = append(ids, x.Job)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func jobsOf(m *thalwegv1.FromTaskManager) []string {
	switch m := m.Message.(type) {
	case *thalwegv1.FromTaskManager_TaskState:
		return []string{m.TaskState.GetReport().GetJob()}
	case *thalwegv1.FromTaskManager_Acknowledge:
		return []string{m.Acknowledge.Job}
	case *thalwegv1.FromTaskManager_Decline:
		return []string{m.Decline.Job}
	case *thalwegv1.FromTaskManager_Confirmed:
		return []string{m.Confirmed.Job}
	case *thalwegv1.FromTaskManager_LateReport:
		return []string{m.LateReport.Job}
	case *thalwegv1.FromTaskManager_Counters:
		return reportedJobs(&thalwegv1.Register{Tasks: m.Counters.Tasks})
	}
	return nil
}
