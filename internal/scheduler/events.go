package scheduler

import (
	"github.com/thalweg-io/thalweg/internal/job"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

// JobEvent is what happens to a Job. Every event may come at any time; one that does not concern the job's present state, its
// generation or its checkpoint is ignored.
type JobEvent interface{ jobEvent() }

type (
	// Loaded answers Effects.Load: everything that the store holds about the job, read under this term's epoch.
	Loaded struct {
		Graph     *thalwegv1.GraphRecord
		Stored    *thalwegv1.StoredJob           // the file that Graph points to; nil only if there is a Result
		Execution *thalwegv1.Execution           // nil: never deployed
		Pointers  []*thalwegv1.CheckpointPointer // ascending by id
		Counter   int64                          // 0: no checkpoint yet
		Result    *thalwegv1.JobResult           // nil: not ended
		// Ended are the subtasks whose end the newest pointer's metadata covers, with their state as acknowledged.
		Ended []SubtaskState
		// EndedError says that the newest pointer's metadata could not be read or is corrupt. The job is adopted without it if
		// it can be; it is asked for again if not.
		EndedError string

		// Configuration is the effective one, for the workers; CheckpointDir is <dir>/<job-id>.
		Configuration map[string]string
		CheckpointDir string
	}
	// LoadFailed answers Effects.Load: the store or a file could not be read. The job asks again later.
	LoadFailed struct{ Error string }

	// TaskManagerUp: a taskmanager has registered, for the first time or again with the same incarnation. Whatever was sent to
	// an earlier session of it may have been lost.
	TaskManagerUp struct {
		TaskManager TaskManager
		Tasks       []*thalwegv1.TaskReport // of this job
		Silent      bool                    // this job's worker there has not answered: its subtasks follow in a LateReport
	}
	// TaskManagerDown: its session is over.
	TaskManagerDown struct {
		Incarnation string
		Down        Down
		Cause       string // "connection reset", "silent for 10s"
	}
	// FromTaskManager is a message of a registered taskmanager that concerns this job: TaskStateChanged, Acknowledge, Decline,
	// Confirmed, LateReport, or Counters (of which other jobs' tasks are ignored).
	FromTaskManager struct {
		Incarnation string
		Message     *thalwegv1.FromTaskManager
	}
	// ClusterChanged replaces the job's view of the registered taskmanagers and their free slots. It is immutable.
	ClusterChanged struct{ Cluster Cluster }

	// Written answers a Write.
	Written struct {
		Token   uint64
		Outcome Outcome
		Error   string // why not Applied
	}
	// MetadataWritten answers WriteMetadata; Error is empty if the file is durable.
	MetadataWritten struct {
		Checkpoint int64
		Path       string
		CRC        uint32
		Error      string
	}
	// FilesDeleted answers DeleteFiles.
	FilesDeleted struct {
		Token uint64
		Error string
	}

	// CancelRequested: a client asks for cancellation. It is answered by a Reply when the intent is recorded.
	CancelRequested struct {
		Reply   ReplyID
		Request string // request id, recorded with the intent
	}
	// CheckpointRequested: a client asks for a checkpoint now. It is answered by a Reply when it has completed or failed.
	CheckpointRequested struct{ Reply ReplyID }

	// Resumed: this process did not run for a while. What the others sent meanwhile is still unread, so no time that has passed
	// says anything about them.
	Resumed struct{}
	// Wakeup answers Effects.Wake. An early or superfluous one does no harm.
	Wakeup struct{}
)

func (Loaded) jobEvent()              {}
func (LoadFailed) jobEvent()          {}
func (TaskManagerUp) jobEvent()       {}
func (TaskManagerDown) jobEvent()     {}
func (FromTaskManager) jobEvent()     {}
func (ClusterChanged) jobEvent()      {}
func (Written) jobEvent()             {}
func (MetadataWritten) jobEvent()     {}
func (FilesDeleted) jobEvent()        {}
func (CancelRequested) jobEvent()     {}
func (CheckpointRequested) jobEvent() {}
func (Resumed) jobEvent()             {}
func (Wakeup) jobEvent()              {}

// ReplyID is the shell's name for a client's request that waits for an answer.
type ReplyID uint64

// Outcome is what became of a fenced write.
type Outcome uint8

const (
	Applied    Outcome = iota + 1
	Fenced             // a newer epoch: the term is over
	Conflict           // known not to be applied: the record is not as this term knows it
	Unknown            // it may or may not have been applied; the job asks for it to be settled
	Unsent             // known not to be applied, because the store could not be reached or the answer was an error
	OutcomeMax = Unsent
)

func (o Outcome) String() string {
	return [...]string{"?", "applied", "fenced", "conflict", "unknown", "unsent"}[min(o, OutcomeMax+1)%(OutcomeMax+1)]
}

// Down says why a taskmanager has no session any more.
type Down uint8

const (
	// Missing: it may come back as it was. Its attempts are neither replaced nor failed.
	Missing Down = iota + 1
	// Silent: it has been missing for the whole heartbeat timeout. Its attempts are to be replaced, and may still run.
	Silent
	// Dead: its process has ended, and its workers with it.
	Dead
)

func (d Down) String() string { return [...]string{"?", "missing", "silent", "dead"}[d&3] }

// SubtaskState is one acknowledged state. The bytes are an encoded checkpoint.SubtaskState; the core never looks inside.
type SubtaskState struct {
	Task  job.TaskID
	State []byte
}
