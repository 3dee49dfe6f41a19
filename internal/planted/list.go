package planted

// Bugs are all that can be planted, by where they are.
var Bugs = []Bug{
	// internal/ha/zookeeper
	{"grant-by-number", "a grant is recognised by its number, not by incarnation and latch", "L6 L9 L2"},
	// internal/scheduler
	{"command-before-record", "a generation is deployed before its record is applied", "L8 V1"},
	{"deposed-leader-cancels", "a term that ends cancels what it has deployed", "L8"},
	{"restart-on-leader-change", "a new leader restarts what runs as recorded", "L7"},
	{"mixed-generations-adopted", "a subtask of another generation counts as the recorded one", "C1 C2 E2 E3 L7 V1 X7"},
	{"finished-is-missing", "a finished subtask is waited for like a running one", "L7 V1 panic"},
	{"judged-after-own-pause", "taskmanagers are judged by time in which the leader did not run", "L7"},
	{"result-ignored", "a job with a result runs again", "X8"},
	{"counter-reset", "a new leader counts checkpoints from the newest pointer, not from the counter", "C3 C7 E4"},
	{"stale-restore", "a restart takes an old pointer", "C4"},
	{"late-acknowledgement-accepted", "an acknowledgement counts for whatever checkpoint is in progress", "C1"},
	{"complete-before-pointer", "tasks are told of a completion when the metadata is written", "E3"},
	{"unknown-is-success", "a write of unknown outcome is taken for applied", "C1 C3 C4 C6 E2 E3 L8 X1 V1"},
	{"unknown-is-failure", "a write of unknown outcome is taken for refused, and its files are deleted", "C1 C3 C4 C5 C6 E2 E3 V1"},
	{"restart-during-unknown", "a generation starts while a pointer's outcome is unknown", "C1 C4 E2 E3 L7"},
	// the store's fence, which the simulator's shell has in ha/zookeeper's place
	{"pointer-unfenced", "the pointer's write does not check the epoch", "L2"},
}

// Find is the bug of this name; ok is false if there is none.
func Find(name string) (b Bug, ok bool) {
	for _, b := range Bugs {
		if b.Name == name {
			return b, true
		}
	}
	return Bug{}, false
}
