package flow

import "time"

// Source makes records of T. It consists of splits: what one reader reads on its own, in order. One enumerator, in a task of its own, hands
// splits out; each subtask has readers for those that it was given. A Source itself is a description: it is made where the job is built, in
// every process, and holds nothing open.
type Source[T any] interface {
	// Enumerator finds the splits; what is wrong with the input as a whole (it does not exist) is its error. restored is nil at the first
	// start, otherwise what Left gave to the checkpoint that the job goes on from, which may be none.
	Enumerator(t Task, restored [][]byte) (Enumerator, error)

	// Reader reads a split from the enumerator, or what Position gave of one that had been begun.
	Reader(t Task, split []byte) (Reader[T], error)
}

// Enumerator hands out splits. It runs on one goroutine, and may block.
type Enumerator interface {
	// Next names what a reader, of readers many, shall read now that it has nothing left. None: nothing will ever be left for it. A reader
	// that was restored asks again, also one of a changed number of them.
	Next(reader, readers int) ([][]byte, error)

	// Left is what Next has not handed out. Together with the readers' positions it is the input that remains.
	Left() [][]byte
}

// Reader reads one split. It belongs to its task's goroutine.
type Reader[T any] interface {
	// Read sets dst[:n] to the next n records and says when to call again. It does not block, beyond what reading from memory or a local
	// file takes: with nothing to read now it gives n = 0 and the reason. Values are immutable from then on; those of []byte records of a
	// Transport alone are valid until the next call.
	Read(dst []T) (n int, next Next, err error)

	// Position is the rest of the split behind the last record that Read gave, in the form that Source.Reader takes.
	Position() []byte

	Close() error
}

// Next says when to call a Reader again.
type Next struct {
	kind nextKind
	at   time.Time
}

type nextKind uint8

const (
	again nextKind = iota
	waitUntil
	waitWake
	endOfSplit
)

// The values of Next besides WaitUntil.
var (
	Again      = Next{}                 // at once
	WaitWake   = Next{kind: waitWake}   // when Task.Wake was called
	EndOfSplit = Next{kind: endOfSplit} // never: these were the last records
)

// WaitUntil lets the reader be called at a time; earlier does no harm.
func WaitUntil(at time.Time) Next { return Next{kind: waitUntil, at: at} }

// Ended reports whether the split has no more records.
func (n Next) Ended() bool { return n.kind == endOfSplit }

// Time is when to call again, if the reader waits for a time.
func (n Next) Time() (at time.Time, ok bool) { return n.at, n.kind == waitUntil }

// InOrder is the enumerator that hands splits out one by one, in order: each reader takes the next when it has read its last. If the records have
// event time, it is the order of their times, but for the bound of OutOfOrder: see Stream.EventTime.
func InOrder(splits [][]byte) Enumerator { return &inOrder{splits} }

type inOrder struct{ left [][]byte }

func (e *inOrder) Next(int, int) ([][]byte, error) {
	if len(e.left) == 0 {
		return nil, nil
	}
	next := e.left[:1:1]
	e.left = e.left[1:]
	return next, nil
}

func (e *inOrder) Left() [][]byte { return e.left }

// Spread is the enumerator that deals all splits out at once, evenly: for splits that do not end. A reader that has none is given an even
// part of what is left.
func Spread(splits [][]byte) Enumerator { return &spread{left: splits} }

type spread struct {
	left  [][]byte
	asked map[int]bool
}

func (e *spread) Next(reader, readers int) ([][]byte, error) {
	if e.asked == nil {
		e.asked = make(map[int]bool)
	}
	if e.asked[reader] { // its splits have ended; others' parts stay theirs
		return nil, nil
	}
	waiting := readers - len(e.asked)
	e.asked[reader] = true
	n := (len(e.left) + waiting - 1) / max(waiting, 1)
	next := e.left[:n:n]
	e.left = e.left[n:]
	return next, nil
}

func (e *spread) Left() [][]byte { return e.left }

// From makes a stream of T out of a typed source.
func From[T any](j *Job, name string, src Source[T], o ...Option) Stream[T] {
	return from(j, name, caller(), func(*node) Source[T] { return src }, src == nil, o)
}

// from adds a source; make is called once its options are known.
func from[T any](j *Job, name string, at position, make func(*node) Source[T], missing bool, o []Option) Stream[T] {
	n := &node{name: name, kind: "source", at: at, gives: elementOf[T]{}}
	if missing {
		j.fail(at, "source %q: it is nil", name)
	}
	n.source = func(b *builder, next any) error { return readSplits(b, n, make(n), next) }
	n.enumerate = func(b *builder) error { return enumerateSplits(b, n, make(n)) }
	j.add(n, o)
	return streamOf[T](j, n)
}
