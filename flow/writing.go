package flow

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/thalweg-io/thalweg/internal/stream"
)

// writing is a sink at the end of a chain.
type writing[T any] struct {
	stream.Base
	name    string
	w       Writer[T]
	written func(n int)
	commits *committer // nil: not transactional
}

func (s *writing[T]) Push(b *stream.Batch[T]) error {
	if err := s.w.Write(b.Values); err != nil {
		return s.wrap(err)
	}
	s.written(len(b.Values))
	return nil
}

func (s *writing[T]) wrap(err error) error { return fmt.Errorf("sink %s: %w", s.name, err) }

func (s *writing[T]) Watermark(int64) error { return nil }
func (s *writing[T]) Idle() error           { return nil }
func (s *writing[T]) SplitEnd(int32) error  { return nil }
func (s *writing[T]) End() error            { return nil }

func (s *writing[T]) Open(c *stream.OpenContext) error {
	if s.commits == nil {
		return nil
	}
	if err := s.commits.open(c); err != nil {
		return s.wrap(err)
	}
	return nil
}

func (s *writing[T]) Snapshot(snap *stream.Snapshot) error {
	if s.commits == nil {
		return nil
	}
	if err := s.commits.snapshot(snap); err != nil {
		return s.wrap(err)
	}
	return nil
}

func (s *writing[T]) Complete(id int64) error {
	if s.commits != nil {
		s.commits.complete(id)
	}
	return nil
}

func (s *writing[T]) Close() error {
	if s.commits != nil {
		s.commits.close()
	}
	return s.w.Close()
}

// committer takes a writer's transactions from Prepare to their confirmation. The task's goroutine calls all of it but finish and run.
type committer struct {
	tx      Transactional
	task    Task
	confirm func(id int64)
	fail    func(error) // the task, because a commit has failed for good
	// hopeless says, when the task is over, what was prepared at the barriers of which checkpoints nobody will commit.
	hopeless func(checkpoint int64) bool
	cancel   context.CancelFunc
	ctx      context.Context
	work     chan struct{} // capacity 1: there may be something to commit
	ended    chan struct{} // closed when run has returned; nil before open

	finishing sync.Mutex // held while unfinished transactions are made durable: finishes never overlap

	mu struct {
		sync.Mutex
		unfinished []*transaction // in order; before all of prepared's successors
		prepared   []*transaction // durable, in order, not confirmed
		complete   int64          // commit all up to this checkpoint
		confirmed  int64
	}
}

// transaction ends at the barrier of checkpoint upto, and is committed with the first completed one from there on.
type transaction struct {
	upto   int64
	finish func(context.Context) ([]byte, error)
	name   []byte
}

func newCommitter(task Task, tx Transactional, confirm func(int64), fail func(error), hopeless func(int64) bool) *committer {
	return &committer{tx: tx, task: task, confirm: confirm, fail: fail, hopeless: hopeless, work: make(chan struct{}, 1)}
}

// open commits what the restored state names, and has the rest discarded, before the first record.
func (c *committer) open(o *stream.OpenContext) error {
	var named [][]byte
	for i, entry := range o.Entries() {
		upto, size := binary.Varint(entry)
		if size <= 0 {
			return fmt.Errorf("restore transactions: entry %d is not what a sink wrote", i)
		}
		c.mu.prepared = append(c.mu.prepared, &transaction{upto: upto, name: entry[size:]})
		named = append(named, entry[size:])
	}
	c.ctx, c.cancel = context.WithCancel(c.task.Context())
	if err := c.retry(func() error { return c.tx.Recover(c.ctx, named) }); err != nil {
		return fmt.Errorf("recover transactions: %w", err)
	}
	c.ended = make(chan struct{})
	go c.run()
	if o.Restored() {
		c.complete(o.CheckpointID())
	}
	return nil
}

// snapshot ends the current transaction. Its bytes are made durable beside the task; so are those of earlier ones whose checkpoints failed.
func (c *committer) snapshot(s *stream.Snapshot) error {
	finish, err := c.tx.Prepare()
	if err != nil {
		return err
	}
	c.mu.Lock()
	if finish != nil {
		c.mu.unfinished = append(c.mu.unfinished, &transaction{upto: s.ID, finish: finish})
	}
	none := len(c.mu.unfinished) == 0
	c.mu.Unlock()
	if none {
		s.Entries(c.entries(s.ID)...)
		return nil
	}
	s.Async(func(ctx context.Context) ([][]byte, error) {
		if err := c.finish(ctx, s.ID); err != nil {
			return nil, err
		}
		return c.entries(s.ID), nil
	})
	return nil
}

// finish makes the transactions up to a checkpoint durable, in order.
func (c *committer) finish(ctx context.Context, id int64) error {
	c.finishing.Lock()
	defer c.finishing.Unlock()
	for {
		c.mu.Lock()
		if len(c.mu.unfinished) == 0 || c.mu.unfinished[0].upto > id {
			c.mu.Unlock()
			return nil
		}
		t := c.mu.unfinished[0]
		c.mu.Unlock()
		name, err := t.finish(ctx)
		if err != nil {
			return err
		}
		c.mu.Lock()
		t.name, t.finish = name, nil
		c.mu.unfinished = c.mu.unfinished[1:]
		c.mu.prepared = append(c.mu.prepared, t)
		c.mu.Unlock()
	}
}

// entries is what the snapshot of a checkpoint holds: what is prepared up to it and not confirmed.
func (c *committer) entries(id int64) [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	var entries [][]byte
	for _, t := range c.mu.prepared {
		if t.upto <= id {
			entries = append(entries, append(binary.AppendVarint(nil, t.upto), t.name...))
		}
	}
	return entries
}

// complete lets all up to a checkpoint be committed.
func (c *committer) complete(id int64) {
	c.mu.Lock()
	c.mu.complete = max(c.mu.complete, id)
	c.mu.Unlock()
	select {
	case c.work <- struct{}{}:
	default: // run will look again anyway
	}
}

// run commits beside the task, so that a slow storage delays no record.
func (c *committer) run() {
	defer close(c.ended)
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-c.work:
		}
		for {
			t, id := c.due()
			if t == nil {
				if id != 0 {
					c.confirm(id)
				}
				break
			}
			err := c.retry(func() error { return c.tx.Commit(c.ctx, t.name) })
			if c.ctx.Err() != nil {
				return
			}
			if err != nil { // what was not committed stays in every snapshot
				c.task.Logger().Error("a transaction cannot be committed", "operator", c.task.Operator(), "error", err)
				c.fail(fmt.Errorf("commit: %w", err))
				return
			}
			c.mu.Lock()
			c.mu.prepared = c.mu.prepared[1:]
			c.mu.Unlock()
		}
	}
}

// due is the next transaction to commit; without one, the checkpoint that is to be confirmed, if there is a new one.
func (c *committer) due() (t *transaction, confirmed int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.mu.prepared) > 0 && c.mu.prepared[0].upto <= c.mu.complete {
		return c.mu.prepared[0], 0
	}
	if c.mu.complete > c.mu.confirmed {
		c.mu.confirmed = c.mu.complete
		return nil, c.mu.confirmed
	}
	return nil, 0
}

// The pauses between attempts that storage has refused.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 5 * time.Second
)

// retry repeats f until it succeeds, fails for good, or the task ends. Each failure is logged.
func (c *committer) retry(f func() error) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := f()
		var lasting *permanent
		if err == nil || errors.As(err, &lasting) {
			return err
		}
		if c.ctx.Err() != nil {
			return context.Cause(c.ctx)
		}
		c.task.Logger().Warn("storage has failed a sink; it is tried again", "operator", c.task.Operator(), "error", err, "after", pause)
		t := time.NewTimer(pause)
		select {
		case <-c.ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
}

func (c *committer) close() {
	if c.cancel != nil {
		c.cancel()
	}
	if c.ended != nil {
		<-c.ended
		c.discard()
	}
}

// discardWithin is how long the end of a task waits for a storage that does not answer.
const discardWithin = time.Second

// discard has the writer remove what nobody will commit. What is complete stays, also if its commit was cut short: only who restores may judge of that.
func (c *committer) discard() {
	d, ok := c.tx.(Discarder)
	if !ok {
		return
	}
	var names [][]byte
	c.mu.Lock()
	for _, t := range c.mu.prepared {
		if c.hopeless(t.upto) {
			names = append(names, t.name)
		}
	}
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.task.Context()), discardWithin)
	defer cancel()
	if err := d.Discard(ctx, names); err != nil {
		c.task.Logger().Warn("what will not be committed could not be removed", "operator", c.task.Operator(), "transactions", len(names), "error", err)
	}
}
