package state

import (
	"errors"
	"fmt"
	"io"

	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
)

// Snapshot writes every key group as a base, all handles together. It takes the time that this takes: the task stands still.
func (k *Keyed[K]) Snapshot(w *checkpoint.FileWriter, operator string) error {
	if k.err != nil {
		return k.err
	}
	tables := make([]checkpoint.Table, len(k.handles))
	for i, h := range k.handles {
		tables[i] = h.table()
	}
	w.Begin(operator, tables)
	for g := k.c.From; g < k.c.To; g++ {
		w.Group(g, checkpoint.Base)
		for i, h := range k.handles {
			h.snapshot(w, i, g)
		}
	}
	return nil
}

// Restore brings back the state of this subtask's key groups, whichever subtasks wrote them: of each group the base, then its deltas in order.
// It is called once, after all handles are declared and before the first record. State that the checkpoint has and the program has not, or has
// with other types, is an error; a handle that the checkpoint does not know starts empty. After an error the state is not to be used.
func (k *Keyed[K]) Restore(r *checkpoint.Reader, operator string) error {
	err := r.Groups(operator, k.c.From, k.c.To, func(s *checkpoint.SectionReader) error {
		byTable := make(map[string]handle[K], len(s.Tables()))
		for _, t := range s.Tables() {
			h, err := k.match(t)
			if err != nil {
				return err
			}
			byTable[t.Name] = h
		}
		for {
			c, err := s.Next()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if err := byTable[c.Table.Name].restore(s.Group, c); errors.Is(err, codec.ErrCorrupt) {
				return s.Corrupt("table %q: %w", c.Table.Name, err)
			} else if err != nil {
				return err
			}
		}
	})
	if err != nil {
		return fmt.Errorf("restore state of operator %s: %w", operator, err)
	}
	return nil
}

// match finds the handle of a table.
func (k *Keyed[K]) match(t checkpoint.Table) (handle[K], error) {
	for _, h := range k.handles {
		have := h.table()
		if have.Name != t.Name {
			continue
		}
		if have != t {
			return nil, fmt.Errorf("state %q was written as %s; the program has %s: declare it as it was, or under another name", t.Name, describe(t), describe(have))
		}
		return h, nil
	}
	return nil, fmt.Errorf("state %q (%s) is in the checkpoint, but the program does not declare it: declare it as it was", t.Name, describe(t))
}

func describe(t checkpoint.Table) string {
	s := fmt.Sprintf("%s with key %s", [...]string{"state", "a value", "timers", "slices"}[t.Kind&3], t.Key)
	if t.Value != "" {
		s += " and value " + t.Value
	}
	return s
}
