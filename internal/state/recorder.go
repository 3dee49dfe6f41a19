package state

import "github.com/thalweg-io/thalweg/internal/state/checkpoint"

// recorder is what a handle keeps for snapshots: what was removed, and what it has collected for the one being taken.
type recorder[K comparable, V any] struct {
	log     removals[K]
	rows    *rows[K, V]    // nil: none is being taken
	pending [][]removal[K] // of the log, not written yet
	after   int64          // the delta is of the intervals (after, upto]
	upto    int64
}

// begin starts to collect; all reports whether every entry of the table is wanted, also for a delta.
func (r *recorder[K, V]) begin(c *columns[K, V], k *Config, s *saving, table int, kind checkpoint.TableKind, after, upto int64) (all bool) {
	r.rows, r.after, r.upto, r.pending = newRows(c, k, s, table, kind), after, upto, nil
	if !s.delta {
		return false
	}
	known := false
	if r.pending, known = r.log.since(after); !known {
		r.rows.clear()
	}
	return !known
}

// step writes a part of what was removed, and returns what is left of the budget.
func (r *recorder[K, V]) step(budget int) int {
	for budget > 0 && len(r.pending) > 0 {
		r.rows.remove(r.pending[0], r.after, r.upto)
		budget -= len(r.pending[0])
		r.pending = r.pending[1:]
	}
	return budget
}

// end writes what is collected.
func (r *recorder[K, V]) end() {
	if r.rows != nil {
		r.rows.end()
	}
	r.abort()
}

func (r *recorder[K, V]) abort() { r.rows, r.pending = nil, nil }
