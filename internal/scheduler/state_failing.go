package scheduler

// FAILING: the restart strategy has given up and the intent to fail is recorded. Like CANCELLING, with another result.

func (j *Job) advanceFailing() {
	if j.allGone() {
		j.recordResult(failed, j.fail)
	}
}
