package scheduler

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/planted"
)

// writeKind is what a write is for.
type writeKind uint8

const (
	writeCounter writeKind = iota + 1
	writeGeneration
	writeIntent
	writePointer
	writePointerRemoval
	writeResult
	writeRunRemoval
	writeGraphRemoval
	writeCleaned
)

func (k writeKind) String() string {
	return [...]string{"?", "checkpoint counter", "execution", "intent", "checkpoint pointer", "pointer's removal", "result",
		"removal of the run's records", "graph's removal", "result's note"}[k]
}

// writer is the job's access to the metadata store: one write at a time. An unknown outcome is settled before anything else is
// written, so no decision rests on one; in particular no generation starts while a pointer's outcome is unknown.
type writer struct {
	outstanding *outstanding
	last        uint64        // token
	after       time.Duration // no write before: the store could not be reached
	backoff     time.Duration
}

type outstanding struct {
	kind   writeKind
	w      Write
	resend time.Duration // when to ask for it to be settled; 0: an answer is awaited
}

const (
	firstStoreBackoff = 100 * time.Millisecond
	lastStoreBackoff  = 2 * time.Second
)

func (j *Job) nextToken() uint64 {
	j.write.last++
	return j.write.last
}

// mayWrite reports whether a write may be submitted now. If not, the state will be asked again when one may.
func (j *Job) mayWrite() bool {
	if j.write.outstanding != nil {
		return false
	}
	if j.at.Now < j.write.after {
		j.wake(j.write.after)
		return false
	}
	return true
}

func (j *Job) submit(kind writeKind, w Write) {
	if j.write.outstanding != nil {
		panic(fmt.Sprintf("scheduler: job %s: write of the %v while one of the %v is outstanding", j.c.ID, kind, j.write.outstanding.kind))
	}
	w.Token = j.nextToken()
	j.write.outstanding = &outstanding{kind: kind, w: w}
	j.out.Write = &w
	if kind == writePointer {
		j.reached("pointer-sent")
	}
}

func (j *Job) written(ev Written) {
	o := j.write.outstanding
	if o == nil || ev.Token != o.w.Token {
		return
	}
	if ev.Outcome == Unknown {
		switch {
		case planted.On("unknown-is-success"):
			ev.Outcome = Applied
		case planted.On("unknown-is-failure"):
			j.write.outstanding = nil
			if o.kind == writePointer {
				j.out.Delete = append(j.out.Delete, DeleteFiles{Token: j.nextToken(), Removed: o.w.Pointer, Retained: j.rec.pointers})
			}
			j.unsent(o)
			return
		case planted.On("restart-during-unknown") && o.kind == writePointer:
			j.write.outstanding = nil
			j.ck.cur = nil
			j.beginRestart(finding{verdict: taskFailed, cause: "the pointer's outcome is unknown"})
			return
		}
	}
	switch ev.Outcome {
	case Applied:
		j.write.outstanding, j.write.backoff = nil, 0
		j.applied(o)
	case Fenced:
		j.out.EndTerm = fmt.Sprintf("the write of job %s's %v was refused: %s", j.c.ID, o.kind, orElse(ev.Error, "a newer epoch has been granted"))
	case Conflict:
		if o.w.Settle {
			j.out.EndTerm = fmt.Sprintf("job %s's %v is not as this term knows it: %s", j.c.ID, o.kind, orElse(ev.Error, "somebody else has changed it"))
			return
		}
		o.resend = j.at.Now // its own earlier success looks like this too
	case Unsent:
		if !o.w.Settle {
			j.write.outstanding = nil
			j.slowDown()
			j.notice("warn", fmt.Sprintf("cannot write the %v: %s", o.kind, ev.Error))
			j.unsent(o)
			return
		}
		fallthrough // an earlier attempt may still have been applied
	case Unknown:
		j.slowDown()
		o.resend = j.at.Now
		if o.w.Settle {
			o.resend = j.write.after
		}
		j.notice("warn", fmt.Sprintf("the outcome of writing the %v is unknown: %s", o.kind, ev.Error))
	}
}

// slowDown backs off from a store that does not answer.
func (j *Job) slowDown() {
	j.write.backoff = min(max(2*j.write.backoff, firstStoreBackoff), lastStoreBackoff)
	j.write.after = j.at.Now + j.write.backoff
}

// resettle asks again for a write of unknown outcome to be settled.
func (j *Job) resettle() {
	o := j.write.outstanding
	switch {
	case o.resend == 0:
	case j.at.Now >= o.resend:
		o.resend = 0
		o.w.Settle = true
		o.w.Token = j.nextToken()
		w := o.w
		j.out.Write = &w
	default:
		j.wake(o.resend)
	}
}

// applied is where everything begins that must not begin before a record of it exists.
func (j *Job) applied(o *outstanding) {
	switch o.kind {
	case writeCounter:
		j.rec.counter = o.w.Counter
		j.reached("id-taken")
		j.counterApplied(o.w.Counter)
	case writeGeneration:
		replaced := j.rec.generation()
		j.rec.execution = o.w.Execution
		j.reached("execution-written")
		j.deploy(replaced)
	case writeIntent:
		j.rec.execution = o.w.Execution
		j.reached("intent-written")
		j.intentApplied()
	case writePointer:
		j.reached("pointer-applied")
		j.pointerApplied(o.w.Pointer)
	case writePointerRemoval:
		j.reached("pointer-removed")
		j.pointerRemoved(o.w.RemovePointer)
	case writeResult:
		j.rec.result = o.w.Result
		j.reached("result-written")
		j.become(o.w.Result.Status)
		j.resultApplied()
	case writeRunRemoval:
		j.reached("run-removed")
		j.clean.step = cleanFiles
	case writeGraphRemoval:
		j.reached("graph-removed")
		j.clean.step = cleanNote
	case writeCleaned:
		j.rec.result = o.w.Result
		j.finish()
	}
}

// unsent: certainly not applied. The state decides anew; only a checkpoint has to be told.
func (j *Job) unsent(o *outstanding) {
	switch o.kind {
	case writeCounter:
		j.counterUnsent()
	case writePointer:
		j.pointerUnsent()
	}
}

// recordResult asks for the job's end to be recorded; the status follows when it is.
func (j *Job) recordResult(status thalwegv1.JobStatus, cause string) {
	if !j.mayWrite() {
		return
	}
	j.abandonCheckpoint("the job ends")
	j.submit(writeResult, Write{Result: j.result(status, cause)})
}

func orElse(s, or string) string {
	if s == "" {
		return or
	}
	return s
}

func clone[M proto.Message](m M) M { return proto.CloneOf(m) }
