package flow

import "context"

// Sink takes records of T. It is a description, like a Source.
type Sink[T any] interface {
	// Writer makes the writer of one subtask. A Writer that is also Transactional makes the sink exactly-once; another is told records again
	// after a restart.
	Writer(t Task) (Writer[T], error)
}

// Writer writes one subtask's records. It belongs to its task's goroutine.
type Writer[T any] interface {
	// Write takes the records; it does not keep the slice. For a Transactional writer they belong to the transaction that the next Prepare
	// ends. []byte records of a Target are valid during the call only.
	Write(values []T) error

	// Close gives up what is open. It is called once, after a failure too.
	Close() error
}

// Transactional is what a Writer has that makes its output visible once, with a completed checkpoint.
//
// A transaction goes through: written, prepared (durable, and named by a few bytes that every snapshot holds from then on), committed (visible),
// confirmed (no longer in snapshots). An aborted checkpoint changes nothing of this: its transactions are committed with the next completed
// one. Only a restore discards.
type Transactional interface {
	// Prepare ends the current transaction at a barrier and gives what makes it durable: finish runs beside the task, and returns the bytes
	// by which Commit knows the transaction. Calls of finish of one writer never overlap. After an error, or when its context ended, it is
	// called again, with the next checkpoint. A nil finish: nothing was written, so there is no transaction.
	Prepare() (finish func(context.Context) ([]byte, error), err error)

	// Commit makes a prepared transaction visible. It runs beside the task and is repeated until it succeeds, also by a later generation:
	// what has been done already is success. An error that trying again cannot help is wrapped by Permanent.
	Commit(ctx context.Context, transaction []byte) error

	// Recover is called before the first record, with the transactions that the restored state names; these will be committed. It discards
	// what earlier generations of this subtask left unnamed, and touches nothing of others. It is called with none at a first start, too.
	Recover(ctx context.Context, named [][]byte) error
}

// Discarder is what a Transactional may have besides, so that a task that ends leaves nothing behind that nobody will make visible.
type Discarder interface {
	// Discard removes prepared transactions that no completed checkpoint holds, nor one that may yet complete, and what failed attempts to prepare
	// some have left. It is called once before Close, after all other calls have returned, perhaps with none. What it cannot remove within its context
	// stays, until a Recover.
	Discard(ctx context.Context, transactions [][]byte) error
}

// Permanent marks an error of Commit that trying again cannot help: it fails the task.
func Permanent(err error) error { return &permanent{err} }

type permanent struct{ err error }

func (p *permanent) Error() string { return p.err.Error() }
func (p *permanent) Unwrap() error { return p.err }

// To sends a stream to a typed sink.
func To[T any](s Stream[T], name string, sink Sink[T], o ...Option) {
	sinkTo(s, name, caller(), sink, sink == nil, o)
}

func sinkTo[T any](s Stream[T], name string, at position, sink Sink[T], missing bool, o []Option) {
	n := &node{name: name, kind: "sink", at: at, takes: elementOf[T]{}}
	if missing {
		s.job.fail(at, "sink %q: it is nil", name)
	}
	n.make = func(b *builder, _ any) (any, error) {
		task := taskOf{b.t, n.uid()}
		w, err := sink.Writer(task)
		if err != nil {
			return nil, err
		}
		op := &writing[T]{name: name, w: w, written: b.t.Counters().AddOut}
		if tx, ok := w.(Transactional); ok {
			op.commits = newCommitter(task, tx, b.t.Confirm, func(err error) { b.t.Fail(op.wrap(err)) }, b.t.Hopeless)
			b.chain.Committers++
		}
		b.add(n, op)
		return op, nil
	}
	transform[T](s, n, o)
}
