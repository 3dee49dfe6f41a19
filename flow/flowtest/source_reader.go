package flowtest

import (
	"fmt"
	"time"

	"github.com/thalweg-io/thalweg/flow"
)

// reader reads one split of a Source. The task's goroutine calls it; what it shares with the test is guarded by the source's lock.
type reader[T any] struct {
	s     *Source[T]
	split *split[T]
	task  flow.Task
	at    position
	mark  bool // the last Read was of a watermark
	begun bool // there was a Read
}

// Reader implements flow.Source. It is called by the job.
func (s *Source[T]) Reader(t flow.Task, from []byte) (flow.Reader[T], error) {
	p, err := decodePosition(from)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.split >= len(s.mu.splits) || p.step > len(s.mu.splits[p.split].log) {
		return nil, errPosition
	}
	if n := t.Parallelism(); n != p.readers && min(n, p.readers) < len(s.mu.splits) {
		return nil, fmt.Errorf("a flowtest.Source of %d splits was read by %d subtasks, and is now by %d: a subtask finds its own splits again only; "+
			"give the source a flow.Parallelism of its own", len(s.mu.splits), p.readers, n)
	}
	p.readers = t.Parallelism()
	r := &reader[T]{s: s, split: s.mu.splits[p.split], task: t, at: p}
	r.split.reader, r.split.looked = r, 0
	for _, before := range r.split.log[:p.step] {
		if before.values == nil {
			r.split.marked = max(r.split.marked, before.mark)
		}
	}
	return r, nil
}

// Read gives the next step, or a part of it. The first gives the watermark of what was read before a restore, once more: else it would be missing
// until the next.
func (r *reader[T]) Read(dst []T) (int, flow.Next, error) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.mark = false
	if !r.begun {
		r.begun, r.mark = true, r.split.marked != unmarked
		return 0, flow.Again, nil
	}
	if r.at.step == len(r.split.log) {
		return 0, r.nothing(), nil
	}
	now := r.split.log[r.at.step]
	if now.values == nil {
		r.at.step++
		r.mark, r.split.marked = true, max(r.split.marked, now.mark)
		return 0, flow.Again, nil
	}
	n := copy(dst, now.values[r.at.value:])
	if r.at.value += n; r.at.value == len(now.values) {
		r.at.step, r.at.value = r.at.step+1, 0
	}
	return n, flow.Again, nil
}

// nothing is what to do when all that was pushed has been read.
func (r *reader[T]) nothing() flow.Next {
	if r.s.mu.ended {
		return flow.EndOfSplit
	}
	if r.split.looked++; r.split.looked < enough {
		return flow.Again
	}
	r.s.h.news.tell()
	return flow.WaitWake
}

// Mark gives the watermark that all splits of the subtask have come to, when one of them has come to another.
func (r *reader[T]) Mark() (at time.Time, some bool) {
	if !r.mark {
		return time.Time{}, false
	}
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	low := r.split.marked
	for i := r.task.Subtask(); i < len(r.s.mu.splits); i += r.at.readers {
		low = min(low, r.s.mu.splits[i].marked)
	}
	return time.Unix(0, low), low != unmarked
}

// Position is behind the last record that Read gave.
func (r *reader[T]) Position() []byte { return r.at.encode() }

func (r *reader[T]) Close() error {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if r.split.reader == r {
		r.split.reader = nil
	}
	return nil
}
