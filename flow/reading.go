package flow

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/thalweg-io/thalweg/internal/stream"
	"github.com/thalweg-io/thalweg/internal/stream/drift"
)

// enumerating runs a source's enumerator in its own vertex: the root where the source's barriers start.
type enumerating[T any] struct {
	stream.Base
	name       string
	src        Source[T]
	task       taskOf
	enumerator Enumerator
	c          *stream.CoordinatorContext
	readers    int // how many there are; before begin: were, when the restored checkpoint was taken
}

func enumerateSplits[T any](b *builder, n *node, src Source[T]) error {
	op := &enumerating[T]{name: n.name, src: src, task: taskOf{b.t, n.uid()}}
	b.chain.Operators = append(b.chain.Operators, stream.NamedOperator{UID: n.uid() + splitsSuffix, Operator: op})
	b.enumerators = append(b.enumerators, op)
	return nil
}

func (e *enumerating[T]) Open(c *stream.OpenContext) error {
	return e.resume(c.Entries(), c.Restored())
}

func (e *enumerating[T]) Snapshot(s *stream.Snapshot) error {
	s.Entries(e.entries()...)
	return nil
}

// entries are how many readers there are, and which of them have been dealt their part, and then the splits that are left.
func (e *enumerating[T]) entries() [][]byte {
	first := binary.AppendUvarint(nil, uint64(e.readers))
	if s, ok := e.enumerator.(*spread); ok {
		for reader := range e.readers {
			if s.asked[reader] {
				first = binary.AppendUvarint(first, uint64(reader))
			}
		}
	}
	return append([][]byte{first}, e.enumerator.Left()...)
}

// resume makes the enumerator, of what entries gave if the job is restored.
func (e *enumerating[T]) resume(entries [][]byte, restored bool) (err error) {
	if !restored || len(entries) == 0 {
		e.enumerator, err = e.src.Enumerator(e.task, nil)
		return err
	}
	asked := map[int]bool{}
	for rest, i := entries[0], 0; i == 0 || len(rest) > 0; i++ {
		v, size := binary.Uvarint(rest)
		if size <= 0 || v > 1<<31-1 {
			return errors.New("restore the splits that are left: the first entry is not what an enumerator wrote")
		}
		if rest = rest[size:]; i == 0 {
			e.readers = int(v)
		} else {
			asked[int(v)] = true
		}
	}
	e.enumerator, err = e.src.Enumerator(e.task, append([][]byte{}, entries[1:]...))
	if s, ok := e.enumerator.(*spread); ok {
		s.asked = asked
	}
	return err
}

func (e *enumerating[T]) Start(c *stream.CoordinatorContext) error {
	e.c = c
	e.begin(c.Readers)
	return nil
}

// begin is told how many readers there are. If their number has changed, nobody's part is what it was.
func (e *enumerating[T]) begin(readers int) {
	if s, ok := e.enumerator.(*spread); ok && e.readers != readers {
		s.asked = nil
	}
	e.readers = readers
}

// Request comes from a reader that has nothing left to read.
func (e *enumerating[T]) Request(reader int) error {
	splits, err := e.enumerator.Next(reader, e.c.Readers)
	if err != nil {
		return fmt.Errorf("source %s: %w", e.name, err)
	}
	if len(splits) == 0 {
		e.c.NoMoreSplits(reader)
		return nil
	}
	for _, split := range splits {
		if err := e.c.Assign(reader, split); err != nil {
			return fmt.Errorf("source %s: %w", e.name, err)
		}
	}
	return nil
}

// reading drives a source's chain: it reads the splits that its subtask was given in turn, a batch at a time.
type reading[T any] struct {
	stream.Base
	name    string
	src     Source[T]
	task    taskOf
	next    stream.Input[T]
	quiet   []quieting
	due     int64 // when a split is to be asked for them, at the latest; 0: any time
	unsaid  bool  // they have been told of splits, and have not settled
	marks   []marked
	aligned *aligning // with others; nil: not
	splits  []*openSplit[T]
	number  int32 // of the next split: numbers are not used again, and survive a restore
	asked   bool  // the enumerator has been asked and has not answered
	noMore  bool
	turn    int
	batch   stream.Batch[T]
	times   []int64
}

// openSplit is a split that is being read.
type openSplit[T any] struct {
	number int32
	reader Reader[T]
	wait   Next
	held   bool // it waits for others of its group
}

func readSplits[T any](b *builder, n *node, src Source[T], next any) error {
	op := &reading[T]{name: n.name, src: src, task: taskOf{b.t, n.uid()}, next: next.(stream.Input[T]), quiet: b.quiet, marks: b.marks}
	op.batch.Values = make([]T, batchSize)
	op.times = make([]int64, batchSize)
	for i := range op.times {
		op.times[i] = stream.NoTime
	}
	if b.aligned != nil {
		op.aligned = &aligning{drift.NewReader(b.drift), b.aligned}
	}
	b.add(n, op)
	b.chain.Source = op
	if len(op.quiet) > 0 {
		b.chain.Alarms = append(b.chain.Alarms, op)
	}
	return nil
}

func (r *reading[T]) Open(c *stream.OpenContext) error {
	for i, entry := range c.Entries() {
		v, size := binary.Uvarint(entry)
		if size <= 0 || v > 1<<31-1 || i == 0 && size != len(entry) {
			return fmt.Errorf("restore splits: entry %d is not what a reader wrote", i)
		}
		if i == 0 {
			r.number = int32(v)
			continue
		}
		if err := r.begin(int32(v), entry[size:]); err != nil {
			return err
		}
	}
	return nil
}

func (r *reading[T]) begin(number int32, split []byte) error {
	reader, err := r.src.Reader(r.task, split)
	if err != nil {
		return fmt.Errorf("source %s: %w", r.name, err)
	}
	r.splits = append(r.splits, &openSplit[T]{number: number, reader: reader})
	for _, o := range r.marks {
		o.begin(number)
	}
	return nil
}

func (r *reading[T]) Snapshot(s *stream.Snapshot) error {
	entries := [][]byte{binary.AppendUvarint(nil, uint64(r.number))}
	for _, split := range r.splits {
		entries = append(entries, append(binary.AppendUvarint(nil, uint64(split.number)), split.reader.Position()...))
	}
	s.Entries(entries...)
	return nil
}

func (r *reading[T]) Close() error {
	var errs []error
	for _, split := range r.splits {
		errs = append(errs, split.reader.Close())
	}
	r.splits = nil
	return errors.Join(errs...)
}

// Assign takes a split from the enumerator.
func (r *reading[T]) Assign(split []byte) error {
	r.asked = false
	err := r.begin(r.number, split)
	r.number++
	return err
}

// NoMoreSplits says that the splits at hand are the last.
func (r *reading[T]) NoMoreSplits() error {
	r.noMore = true
	return nil
}

// Poll does a slice of work: one batch of one split, so that splits of any number get their turn.
func (r *reading[T]) Poll(*stream.PollContext) (stream.Status, error) {
	status, err := r.slice()
	if err != nil {
		return stream.Status{}, err
	}
	if r.unsaid {
		if err := r.settle(); err != nil {
			return stream.Status{}, err
		}
	}
	return status, r.come()
}

func (r *reading[T]) slice() (stream.Status, error) {
	if len(r.splits) == 0 {
		return r.ask()
	}
	now, earliest := time.Now(), time.Time{}
	for range r.splits {
		r.turn = (r.turn + 1) % len(r.splits)
		split := r.splits[r.turn]
		if r.held(split) {
			continue
		}
		if at, ok := split.wait.Time(); ok && at.After(now) {
			earliest = sooner(earliest, at)
			r.nothing(split) // it has said so before
			continue
		}
		worked, err := r.read(split)
		if err != nil {
			return stream.Status{}, fmt.Errorf("source %s: %w", r.name, err)
		}
		if worked {
			return stream.More, nil
		}
		if at, ok := split.wait.Time(); ok {
			earliest = sooner(earliest, at)
		}
	}
	return waiting(earliest), nil
}

// ask asks the enumerator for splits, once; the source ends when there are none.
func (r *reading[T]) ask() (stream.Status, error) {
	if r.noMore {
		if err := r.next.Watermark(stream.MaxWatermark); err != nil {
			return stream.Status{}, err
		}
		return stream.Ended, r.next.End()
	}
	if !r.asked {
		r.asked = true
		if err := r.task.Request(nil); err != nil {
			return stream.Status{}, fmt.Errorf("source %s: %w", r.name, err)
		}
	}
	return stream.WaitWake, nil
}

// read hands on a batch of a split; it did work unless the split has nothing now.
func (r *reading[T]) read(split *openSplit[T]) (worked bool, err error) {
	n, next, err := split.reader.Read(r.batch.Values[:batchSize])
	if err != nil {
		return false, err
	}
	split.wait = next
	switch {
	case n > 0:
		r.task.Counters().AddIn(n)
		r.batch = stream.Batch[T]{Values: r.batch.Values[:n], Times: r.times[:n], Split: split.number}
		if err := r.next.Push(&r.batch); err != nil {
			return false, err
		}
	case !next.Ended():
		r.nothing(split)
	}
	if err := r.mark(split); err != nil {
		return false, err
	}
	if next.Ended() {
		return true, r.end(split)
	}
	return n > 0 || next == Again, nil
}

// marker is a Reader that says itself how far event time has come, as that of a test does: behind the records of a Read, nothing earlier comes.
type marker interface {
	Mark() (at time.Time, some bool)
}

func (r *reading[T]) mark(split *openSplit[T]) error {
	m, ok := split.reader.(marker)
	if !ok {
		return nil
	}
	at, some := m.Mark()
	if !some {
		return nil
	}
	if len(r.marks) == 0 {
		return errors.New("its reader gives watermarks, and no EventTime is in its chain to take them: put it right behind the source")
	}
	for _, o := range r.marks {
		if err := o.mark(at.UnixNano()); err != nil {
			return err
		}
	}
	return nil
}

func (r *reading[T]) end(split *openSplit[T]) error {
	r.splits = append(r.splits[:r.turn], r.splits[r.turn+1:]...)
	r.turn = 0
	if err := split.reader.Close(); err != nil {
		return err
	}
	return r.next.SplitEnd(split.number)
}

// nothing tells those that look for silent splits of one that has nothing to give.
func (r *reading[T]) nothing(split *openSplit[T]) {
	for _, q := range r.quiet {
		q.nothing(split.number, r.task.Now())
		r.unsaid = true
	}
}

func (r *reading[T]) settle() error {
	r.due, r.unsaid = 0, false
	for _, q := range r.quiet {
		next, err := q.settle()
		if err != nil {
			return err
		}
		if next != 0 && (r.due == 0 || next < r.due) {
			r.due = next
		}
	}
	return nil
}

// Next implements stream.Alarm, for splits that fall silent.
func (r *reading[T]) Next() (int64, bool) { return r.due, r.due != 0 }

// Ring implements stream.Alarm: it asks the splits, so that those that are to be idle now are so when it returns.
func (r *reading[T]) Ring(int64) error {
	r.due, r.unsaid = 0, true
	if len(r.splits) == 0 {
		return nil
	}
	r.task.Wake() // there may be more to read, and another time to wait for, than the task was told when it polled
	_, err := r.Poll(nil)
	return err
}

func sooner(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

func waiting(until time.Time) stream.Status {
	if until.IsZero() {
		return stream.WaitWake
	}
	return stream.WaitUntil(until)
}
