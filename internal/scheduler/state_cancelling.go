package scheduler

// CANCELLING: the intent to cancel is recorded. The tasks are told, and the result follows when none of them is left.

func (j *Job) advanceCancelling() {
	if j.allGone() {
		j.recordResult(canceled, "")
	}
}
