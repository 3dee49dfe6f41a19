package flow

import "time"

// Option adjusts one operator.
type Option struct{ set func(*settings) }

// settings is what options and defaults say of an operator. What an option got wrong is in problems.
type settings struct {
	parallelism    int // 0: not set
	maxParallelism int // 0: not set
	slotGroup      string
	uid            string
	startChain     bool
	noChain        bool
	bufferTimeout  time.Duration
	timeoutSet     bool
	skip           bool
	records        bool       // no pre-aggregation
	failed         []side     // where TryMap sends what it fails on
	lateLeft       sideOutput // of a join
	lateRight      sideOutput
	problems       []string
}

// DefaultMaxParallelism is the number of key groups of a job's operators that set none.
const DefaultMaxParallelism = 128

// maxKeyGroups is the greatest max parallelism, as in Flink.
const maxKeyGroups = 1 << 15

// Parallelism is the number of the operator's subtasks. Without it an operator has its input's, and a source the job's default.
func Parallelism(n int) Option {
	return Option{func(s *settings) {
		if n < 1 {
			s.problems = append(s.problems, sprintf("parallelism %d: it is at least 1", n))
			return
		}
		s.parallelism = n
	}}
}

// MaxParallelism is the number of key groups that the operator's state is divided into: the bound of its parallelism for as long as its
// state lives.
func MaxParallelism(n int) Option {
	return Option{func(s *settings) {
		if n < 1 || n > maxKeyGroups {
			s.problems = append(s.problems, sprintf("max parallelism %d: it is between 1 and %d", n, maxKeyGroups))
			return
		}
		s.maxParallelism = n
	}}
}

// SlotGroup puts the operator, and those after it that say nothing else, into a group of its own: only operators of one group share slots.
func SlotGroup(name string) Option {
	return Option{func(s *settings) {
		if name == "" {
			s.problems = append(s.problems, "slot group \"\": it needs a name")
			return
		}
		s.slotGroup = name
	}}
}

// StartChain keeps the operator out of its input's task.
func StartChain() Option { return Option{func(s *settings) { s.startChain = true }} }

// NoChain gives the operator a task of its own.
func NoChain() Option { return Option{func(s *settings) { s.noChain = true }} }

// UID is the name under which the operator's state is found again, when that is not its name.
func UID(uid string) Option {
	return Option{func(s *settings) {
		if uid == "" {
			s.problems = append(s.problems, "uid \"\": leave the option out to use the operator's name")
			return
		}
		s.uid = uid
	}}
}

// BufferTimeout is how long the operator's output may wait for a frame to fill while the receiver is busy; an idle receiver gets every batch
// at once. Without it execution.buffer-timeout of the configuration holds.
func BufferTimeout(d time.Duration) Option {
	return Option{func(s *settings) {
		if d < 0 {
			s.problems = append(s.problems, sprintf("buffer timeout %v: it is not negative", d))
			return
		}
		s.bufferTimeout, s.timeoutSet = d, true
	}}
}

// FailJob lets a record that cannot be decoded, or that TryMap fails on, fail the task. It is the default.
func FailJob() Option { return Option{func(s *settings) { s.skip = false }} }

// SendTo sends a record that TryMap fails on to a side output, and goes on. Of a record that cannot be decoded there is none.
func SendTo[T any](failed SideOutput[T]) Option {
	return Option{func(s *settings) {
		if p := failed.problem(); p != "" {
			s.problems = append(s.problems, p)
			return
		}
		s.failed = append(s.failed, failed.side())
	}}
}

// Skip leaves such a record out and counts it.
func Skip() Option { return Option{func(s *settings) { s.skip = true }} }
