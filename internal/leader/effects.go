package leader

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/thalweg-io/thalweg/internal/ha"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/scheduler"
)

// carryOut starts what one step of one job asks for. All I/O runs beside the loop and answers with one event each.
func (l *Leader) carryOut(id job.ID, e scheduler.Effects) {
	for _, n := range e.Notices {
		l.notice(n)
	}
	if l.c.Reached != nil {
		for _, p := range e.Reached {
			l.c.Reached(p, string(id))
		}
	}
	if e.Load {
		l.async(func(ctx context.Context) { l.load(ctx, id) })
	}
	if w := e.Write; w != nil {
		l.async(func(ctx context.Context) {
			outcome, err := l.write(ctx, id, w)
			text := ""
			if err != nil {
				text = err.Error()
			}
			l.post(func() { l.forJob(id, scheduler.Written{Token: w.Token, Outcome: outcome, Error: text}) })
		})
	}
	if m := e.Metadata; m != nil {
		l.async(func(ctx context.Context) {
			path, crc, err := l.writeMetadata(ctx, id, m)
			text := ""
			if err != nil {
				text = err.Error()
			}
			l.post(func() {
				l.forJob(id, scheduler.MetadataWritten{Checkpoint: m.Checkpoint, Path: path, CRC: crc, Error: text})
			})
		})
	}
	for _, d := range e.Delete {
		l.async(func(ctx context.Context) {
			text := ""
			if err := l.deleteFiles(ctx, id, d); err != nil {
				text = err.Error()
			}
			l.post(func() { l.forJob(id, scheduler.FilesDeleted{Token: d.Token, Error: text}) })
		})
	}
	for _, r := range e.Replies {
		if f := l.replies[r.ID]; f != nil {
			delete(l.replies, r.ID)
			f(r)
		}
	}
	if e.Changed || e.Done {
		l.changed(id)
	}
}

// write performs one fenced write. What the outcome is comes from the store alone; nothing is guessed.
func (l *Leader) write(ctx context.Context, id job.ID, w *scheduler.Write) (scheduler.Outcome, error) {
	if w.RemoveRun {
		return l.removeRun(ctx, id)
	}
	var op ha.Op
	idempotent := false
	switch {
	case w.Counter > 0:
		op = ha.Put(counterPath(id), []byte(strconv.FormatInt(w.Counter, 10)), ha.AnyVersion)
	case w.Execution != nil:
		op = ha.Put(executionPath(id), encodeRecord(w.Execution), ha.AnyVersion)
	case w.Pointer != nil:
		op = ha.Create(pointerPath(id, w.Pointer.Id), encodeRecord(w.Pointer))
	case w.RemovePointer > 0:
		op, idempotent = ha.Delete(pointerPath(id, w.RemovePointer)), true
	case w.Result != nil:
		op = ha.Put(resultPath(id), encodeRecord(w.Result), ha.AnyVersion)
	case w.RemoveGraph:
		op, idempotent = ha.Delete(graphPath(id)), true
	default:
		panic(fmt.Sprintf("job %s: a write of nothing", id))
	}
	apply := l.c.Store.Apply
	if w.Settle {
		apply = l.c.Store.Settle
	}
	err := apply(ctx, op)
	if idempotent && errors.Is(err, ha.ErrConflict) {
		if _, e := l.c.Store.Get(ctx, op.Path); errors.Is(e, ha.ErrNotFound) {
			return scheduler.Applied, nil
		}
	}
	return outcomeOf(err), err
}

// removeRun takes away everything of a job but its graph and its result.
func (l *Leader) removeRun(ctx context.Context, id job.ID) (scheduler.Outcome, error) {
	for _, dir := range []string{checkpointsDir(id), executionPath(id), counterPath(id)} {
		if err := l.c.Store.DeleteTree(ctx, dir); err != nil {
			return outcomeOf(err), err
		}
	}
	return scheduler.Applied, nil
}

func outcomeOf(err error) scheduler.Outcome {
	switch {
	case err == nil:
		return scheduler.Applied
	case errors.Is(err, ha.ErrUnknown):
		return scheduler.Unknown
	case errors.Is(err, ha.ErrFenced):
		return scheduler.Fenced
	case errors.Is(err, ha.ErrConflict):
		return scheduler.Conflict
	}
	return scheduler.Unsent
}
