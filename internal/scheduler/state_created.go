package scheduler

// CREATED: the job has never run. It waits for slots.

func (j *Job) advanceCreated() {
	if j.cancelIfAsked() {
		return
	}
	j.startGeneration("")
}
