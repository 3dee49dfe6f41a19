package flowtest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/thalweg-io/thalweg/flow"
)

// Source is a source whose records the test pushes. It is replayable: after a Restore it gives again what it had given behind the snapshot.
// It is read by one subtask, or, with more splits, by as many subtasks as there are splits. It is safe for concurrent use.
type Source[T any] struct {
	h  *Harness
	mu struct {
		sync.Mutex
		splits []*split[T]
		ended  bool
		uid    string // of the operator that reads it; empty before it is started
	}
}

// split is a part of a source: all that was ever pushed into it, and who reads it.
type split[T any] struct {
	log    []step[T]
	reader *reader[T] // of the present run; nil: nobody yet, or nobody any more
	looked int        // how often the reader has found nothing since the last push
	marked int64      // watermark that its reader has come to
}

// unmarked is before every watermark.
const unmarked = math.MinInt64

// step is records of one push, or, without any, a watermark.
type step[T any] struct {
	values []T
	mark   int64
}

// NewSource makes a source of one split.
func NewSource[T any](h *Harness) *Source[T] { return NewSplits[T](h, 1) }

// NewSplits makes a source of n splits. Each is read in order; subtask i of m reads the splits i, i+m, ... If a job with more than one split is
// to be restored at another parallelism, the source needs a flow.Parallelism of its own.
func NewSplits[T any](h *Harness, n int) *Source[T] {
	h.t.Helper()
	if n < 1 {
		h.t.Fatalf("flowtest: NewSplits(%d): a source has one split at least", n)
	}
	s := &Source[T]{h: h}
	for range n {
		s.mu.splits = append(s.mu.splits, &split[T]{marked: unmarked})
	}
	h.sources = append(h.sources, s)
	return s
}

// Push appends records to the first split. What is pushed at once is read at once, up to the size of a batch. The values are the job's from then on.
func (s *Source[T]) Push(values ...T) { s.h.t.Helper(); s.PushTo(0, values...) }

// PushTo appends records to a split.
func (s *Source[T]) PushTo(number int, values ...T) {
	s.h.t.Helper()
	if len(values) == 0 {
		return
	}
	s.append("Push", number, step[T]{values: values})
}

// Watermark says that nothing up to a time, and at it, will be pushed: behind all that was pushed, the watermark of the EventTime that follows the source
// goes there, unless the records' own times have brought it further. The job places no other, until 256 records of a split make it do so, or its end.
func (s *Source[T]) Watermark(at time.Time) {
	s.h.t.Helper()
	for i := range s.count() {
		s.append("Watermark", i, step[T]{mark: at.UnixNano()})
	}
}

// End says that nothing will follow.
func (s *Source[T]) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.ended = true
	s.wake()
}

func (s *Source[T]) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.mu.splits)
}

func (s *Source[T]) append(what string, number int, add step[T]) {
	s.h.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.mu.ended:
		s.h.t.Fatalf("flowtest: %s after End: nothing can follow", what)
	case number < 0 || number >= len(s.mu.splits):
		s.h.t.Fatalf("flowtest: %s into split %d of %d", what, number, len(s.mu.splits))
	}
	at := s.mu.splits[number]
	at.log = append(at.log, add)
	s.wake()
}

// wake has every reader look again.
func (s *Source[T]) wake() {
	for _, at := range s.mu.splits {
		at.looked = 0
		if at.reader != nil {
			at.reader.task.Wake()
		}
	}
}

// feed is a Source without its type, as the harness knows it.
type feed interface {
	// End is Source.End.
	End()
	// operator is the uid of what reads it, and whether its end was pushed.
	operator() (uid string, ended bool)
	// drained reports whether all that was pushed has been given to the job.
	drained() bool
	// rewind forgets the readers of a run that has ended.
	rewind()
}

func (s *Source[T]) operator() (uid string, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.uid, s.mu.ended
}

// enough is how often a reader has to find nothing: what is behind its source in the chain, timers above all, is done with what was asked of it
// before the second time.
const enough = 2

func (s *Source[T]) drained() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.mu.splits {
		if at.looked < enough {
			return false
		}
	}
	return true
}

func (s *Source[T]) rewind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.mu.splits {
		at.reader, at.looked, at.marked = nil, 0, unmarked
	}
}

// Enumerator implements flow.Source. It is called by the job.
func (s *Source[T]) Enumerator(t flow.Task, restored [][]byte) (flow.Enumerator, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.uid != "" && s.mu.uid != t.Operator() {
		return nil, fmt.Errorf("a flowtest.Source is read by operators %q and %q: make one for each", s.mu.uid, t.Operator())
	}
	s.mu.uid = t.Operator()
	e := &dealer{}
	if restored != nil {
		for _, entry := range restored {
			p, err := decodePosition(entry)
			if err != nil {
				return nil, err
			}
			e.left = append(e.left, p)
		}
		return e, nil
	}
	for i := range s.mu.splits {
		e.left = append(e.left, position{split: i})
	}
	return e, nil
}

// dealer gives each split to the subtask that its number says, wherever that was before.
type dealer struct{ left []position }

func (d *dealer) Next(reader, readers int) (splits [][]byte, err error) {
	var rest []position
	for _, p := range d.left {
		if p.split%readers != reader {
			rest = append(rest, p)
			continue
		}
		p.readers = readers
		splits = append(splits, p.encode())
	}
	d.left = rest
	return splits, nil
}

func (d *dealer) Left() (splits [][]byte) {
	for _, p := range d.left {
		splits = append(splits, p.encode())
	}
	return splits
}

// position is the rest of a split: from a value of a step on.
type position struct {
	split, readers int
	step, value    int
}

func (p position) encode() []byte {
	var b []byte
	for _, n := range []int{p.split, p.readers, p.step, p.value} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	return b
}

var errPosition = errors.New("restore a split of a flowtest.Source: it is not what one wrote")

func decodePosition(b []byte) (p position, err error) {
	for _, to := range []*int{&p.split, &p.readers, &p.step, &p.value} {
		n, size := binary.Uvarint(b)
		if size <= 0 {
			return p, errPosition
		}
		*to, b = int(n), b[size:]
	}
	return p, nil
}
