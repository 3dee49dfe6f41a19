package state

import "github.com/thalweg-io/thalweg/internal/state/checkpoint"

// recorder is what a handle keeps for snapshots: what was removed.
type recorder[K comparable, V any] struct {
	log removals[K]
}

// begin makes what writes the rows of a handle in a snapshot, and has it begin with what was removed in the intervals (after, upto]. all reports whether
// every entry of the table is wanted, also for a delta.
func (r *recorder[K, V]) begin(c *columns[K, V], k *Config, s *saving, table int, kind checkpoint.TableKind, after, upto int64) (rows *rows[K, V], all bool) {
	rows = newRows(c, k, s, table, kind)
	s.ends = append(s.ends, rows.end)
	if !s.delta {
		return rows, false
	}
	removed, known := r.log.since(after)
	s.out.Later(0, func() {
		if !known {
			rows.clear()
		}
		for _, x := range removed {
			rows.remove(x, after, upto)
		}
	})
	return rows, !known
}
