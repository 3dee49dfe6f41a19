package state

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
)

// Plan is what a snapshot is taken for.
type Plan struct {
	Checkpoint int64
	Base       int64                // a completed checkpoint that the snapshot may be a change of; 0: none
	Rebase     func(group int) bool // of which key groups a base is written all the same; nil: none
	Out        *checkpoint.FileWriter
	Operator   string
}

// longest is how many intervals may go by between a base and its delta: stamps have 127 numbers.
const longest = stamps - 7

// Begin has the state saved as it is now. Sweep does it, part by part; what changes meanwhile is saved first. A snapshot that is still being taken is
// given up. Of each key group a base is written, or what has changed since the base that the plan names, if Begin was called for it.
func (k *Keyed[K]) Begin(p Plan) error {
	for _, r := range k.recents { // what tables have is what is saved
		r.writeAll()
	}
	if k.err != nil {
		return k.err
	}
	k.Abort()
	if k.interval-k.oldest >= longest { // no sweep has ended for so long
		clear(k.taken)
		for _, h := range k.handles {
			h.restamp()
		}
		k.oldest = k.interval
	}
	after, known := k.taken[p.Base]
	groups := k.c.To - k.c.From
	s := &saving{now: stampOf(k.interval + 1), full: make([]bool, groups)}
	tables := make([]checkpoint.Table, len(k.handles))
	for i, h := range k.handles {
		tables[i] = h.table()
	}
	s.out = p.Out.Begin(p.Operator, tables, groups)
	for g := range groups {
		kind := checkpoint.Delta
		if !known || p.Rebase != nil && p.Rebase(k.c.From+g) {
			kind, s.full[g] = checkpoint.Base, true
		} else {
			s.delta = true
		}
		s.out.Section(k.c.From+g, kind)
	}
	s.capture.out = s.out
	for i := after + 1; known && i <= k.interval; i++ {
		s.changed[stampOf(i)] = true
	}
	s.least = k.forgetTaken(after)
	for i := s.least; i <= k.interval; i++ {
		s.keep[stampOf(i)] = true
	}
	k.taken[p.Checkpoint] = k.interval
	k.saving, k.sweeping = s, 0
	for i, h := range k.handles {
		if known {
			h.trim(after)
		}
		h.begin(s, i, after, k.interval)
	}
	k.interval++
	return nil
}

// Sweep goes on saving until about so many slots have been looked at. It reports whether all is saved.
func (k *Keyed[K]) Sweep(budget int) (done bool) {
	for k.saving != nil && budget > 0 {
		if k.sweeping == len(k.handles) {
			k.swept()
			break
		}
		if budget = k.handles[k.sweeping].sweep(budget); budget > 0 {
			k.sweeping++
		}
	}
	return k.saving == nil
}

// mostTaken bounds how many snapshots can be bases, of which one at most will be.
const mostTaken = 16

// forgetTaken forgets the snapshots before the one that covers base, and the oldest of too many. It returns the first interval that none of the
// others covers: stamps from it on must stay.
func (k *Keyed[K]) forgetTaken(base int64) (least int64) {
	intervals := slices.Sorted(maps.Values(k.taken))
	for len(intervals) > 0 && (intervals[0] < base || len(intervals) >= mostTaken) {
		intervals = intervals[1:]
	}
	if len(intervals) == 0 {
		clear(k.taken)
		return k.interval
	}
	maps.DeleteFunc(k.taken, func(_, interval int64) bool { return interval < intervals[0] })
	return intervals[0] + 1
}

// swept: every stamp that is not 0 is now one that had to stay, or of a later interval.
func (k *Keyed[K]) swept() {
	s := k.saving
	s.capture.hand()
	s.out.Later(0, func() {
		for _, end := range s.ends {
			end()
		}
	})
	k.oldest, k.saving = s.least, nil
}

// Abort gives up the snapshot that is being taken, if there is one.
func (k *Keyed[K]) Abort() {
	if k.saving == nil {
		return
	}
	for _, h := range k.handles {
		h.abort()
	}
	k.saving = nil
}

// Snapshot is Begin and Sweep in one: the whole state as a base.
func (k *Keyed[K]) Snapshot(w *checkpoint.FileWriter, operator string) error {
	if err := k.Begin(Plan{Out: w, Operator: operator}); err != nil {
		return err
	}
	for !k.Sweep(1 << 30) {
	}
	return nil
}

// removing reports whether removals have to be remembered: some snapshot may have what is removed.
func (k *Keyed[K]) removing() bool { return len(k.taken) > 0 }

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
	s := fmt.Sprintf("%s with key %s", [...]string{"state", "a value", "timers", "slices", "a list", "a map", "a log"}[t.Kind], t.Key)
	value, ages := strings.CutPrefix(t.Value, ttlMark)
	switch {
	case ages:
		s += " and a TTL, its values " + value
	case value != "":
		s += " and value " + value
	}
	return s
}
