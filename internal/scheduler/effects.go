package scheduler

import (
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
)

// Effects is what must be done after one step of a Job. The fields may be carried out in any order, with one exception: after
// EndTerm nothing of the term is carried out any more. What must wait for a record or a file is not here yet: it leaves in the
// step that is told of it.
type Effects struct {
	// EndTerm says why the term is over; the other fields are empty.
	EndTerm string
	// Load asks for everything that the store holds about the job. Answered by Loaded or LoadFailed.
	Load bool
	// Write is one fenced write of the metadata store; a job has at most one outstanding. Answered by Written.
	Write *Write
	// Metadata is to be written, once, and made durable. Answered by MetadataWritten.
	Metadata *WriteMetadata
	// Delete are files to delete, whose pointers are gone. Answered by FilesDeleted.
	Delete []DeleteFiles
	// Send are commands, in order per taskmanager; one for a taskmanager without a session is dropped.
	Send []Send
	// Replies answer clients.
	Replies []Reply
	// Notices are for the log, in order.
	Notices []Notice
	// Reached are the named points of the protocol that this step passed, in order: where a test may kill the leader.
	Reached []string
	// Changed: Info is not what it was.
	Changed bool
	// SlotsChanged: SlotUse or WantsSlots is not what it was.
	SlotsChanged bool
	// Done: the job has ended and nothing of it is left but its result. From now on the Job only sends Release to whoever
	// registers with something of it.
	Done bool
	// Wake is when the job wants a Wakeup, whatever happened before; 0: never. It replaces what earlier steps said.
	Wake time.Duration
}

// Write is one fenced write: exactly one of the records is set. All of it is applied in one step, or nothing.
type Write struct {
	Token uint64
	// Settle: the same write has had an unknown outcome. Read back behind a fenced barrier, apply it again if it did not
	// happen, and answer Applied, Fenced or Conflict; Unknown only if that cannot be found out now.
	Settle bool

	Counter       int64                        // > 0: the new value of checkpoint_id_counter, one more than the old
	Execution     *thalwegv1.Execution         // replaces the record
	Pointer       *thalwegv1.CheckpointPointer // creates checkpoints/<id>; its own earlier success is success
	RemovePointer int64                        // > 0: removes checkpoints/<id>; missing is success
	Result        *thalwegv1.JobResult         // replaces the record
	RemoveRun     bool                         // removes execution, checkpoints and counter; may take several steps; missing is success
	RemoveGraph   bool                         // removes graph; missing is success
}

// WriteMetadata is a checkpoint's _metadata: the states of all subtasks of the job, those covered as ended included.
type WriteMetadata struct {
	Checkpoint   int64
	Generation   job.Generation
	GraphVersion uint64
	Base         int64
	States       []SubtaskState // ordered by task
}

// DeleteFiles deletes what pointers no longer name. Nothing that Retained reaches is ever deleted. Missing files are success.
type DeleteFiles struct {
	Token uint64
	// Removed, if set, is the checkpoint to delete.
	Removed *thalwegv1.CheckpointPointer
	// Below > 0: every checkpoint directory with a lower id goes, but what Retained reaches: the leavings of aborted
	// checkpoints and of earlier leaders. Best effort.
	Below int64
	// Job: the whole checkpoint directory but Retained, and the job's files in storageDir.
	Job bool
	// Retained are the checkpoints whose files stay. One without a metadata path is found by its id, which the layout of the
	// directory tells.
	Retained []*thalwegv1.CheckpointPointer
}

// Send is a command for the taskmanager with this incarnation. The epoch of the message is set.
type Send struct {
	Incarnation string
	Message     *thalwegv1.ToTaskManager
}

// Reply answers a client's request.
type Reply struct {
	ID         ReplyID
	Error      string              // empty: success
	Status     thalwegv1.JobStatus // the job's, now
	Checkpoint int64               // of CheckpointRequested
	Path       string
}
