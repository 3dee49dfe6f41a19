package state

import (
	"encoding/binary"

	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
)

// rows collect the entries of one table for a snapshot, by key group, as they come: a changing entry here, a swept segment there. They are not the
// task's: whatever is done with them is done by functions given to checkpoint.OperatorWriter.Later.
type rows[K comparable, V any] struct {
	c      *columns[K, V]
	out    *checkpoint.OperatorWriter
	first  int // key group of groups[0]
	table  int
	kind   checkpoint.TableKind
	full   []bool // of which groups a base is written
	groups []row[K, V]
	gone   []row[K, V] // scratch of remove
	weighs codec.Weights[V]
	even   bool // all values take equally many bytes, which are few
	weight [1]int
}

type row[K comparable, V any] struct {
	spaces []int64
	keys   []K
	vals   []V
	weight int // of vals, unless they are even
}

// What goes into one chunk, but for a single entry that is larger. All groups may have as many in the making.
const (
	rowsInChunk  = 256
	bytesInChunk = 32 << 10
)

// newRows makes the rows of a table in a snapshot. They end with it.
func newRows[K comparable, V any](c *columns[K, V], k *Config, s *saving, table int, kind checkpoint.TableKind) *rows[K, V] {
	r := &rows[K, V]{c: c, out: s.out, first: k.From, table: table, kind: kind, full: s.full,
		groups: make([]row[K, V], len(s.full)), gone: make([]row[K, V], len(s.full))}
	if r.even = !kind.Valued(); !r.even {
		r.weighs = codec.WeightsOf(c.vals)
		each, even := r.weighs.Each()
		r.even = even && each <= bytesInChunk/rowsInChunk
	}
	s.ends = append(s.ends, r.end)
	return r
}

// add takes an entry of a group, counted from the first own one.
func (r *rows[K, V]) add(group int, space int64, key *K, val *V) {
	g := &r.groups[group]
	if r.kind.Spaced() {
		g.spaces = append(g.spaces, space)
	}
	g.keys = append(g.keys, *key)
	if r.kind.Valued() {
		g.vals = append(g.vals, *val)
		if !r.even {
			r.weighs.Of(r.weight[:], g.vals[len(g.vals)-1:])
			g.weight += r.weight[0]
		}
	}
	if len(g.keys) >= rowsInChunk || g.weight >= bytesInChunk {
		r.flush(group)
	}
}

func (r *rows[K, V]) flush(group int) {
	g := &r.groups[group]
	if len(g.keys) == 0 {
		return
	}
	r.out.Chunk(r.first+group, r.table, checkpoint.Put, len(g.keys), func(b []byte) (_ []byte, err error) {
		if b, err = r.c.keys.Append(appendSpaces(b, g.spaces), g.keys); err != nil || !r.kind.Valued() {
			return b, err
		}
		return r.c.vals.Append(b, g.vals)
	})
	clear(g.keys)
	clear(g.vals)
	g.spaces, g.keys, g.vals, g.weight = g.spaces[:0], g.keys[:0], g.vals[:0], 0
}

// end writes what is left.
func (r *rows[K, V]) end() {
	for g := range r.groups {
		r.flush(g)
	}
}

func appendSpaces(b []byte, spaces []int64) []byte {
	for _, s := range spaces {
		b = binary.LittleEndian.AppendUint64(b, uint64(s))
	}
	return b
}

// begin has the rows begin with what was removed in the intervals (after, upto], if some of them are of a delta. all reports whether every entry of the
// table is wanted, also for a delta.
func (r *rows[K, V]) begin(removed *removals[K], s *saving, after, upto int64) (all bool) {
	if !s.delta {
		return false
	}
	chunks, known := removed.since(after)
	s.out.Later(0, func() {
		if !known {
			r.clear()
		}
		for _, x := range chunks {
			r.remove(x, after, upto)
		}
	})
	return !known
}

// remove writes that keys were removed in the intervals (after, upto].
func (r *rows[K, V]) remove(log []removal[K], after, upto int64) {
	put := func(group int) {
		g := &r.gone[group]
		if len(g.keys) > 0 {
			r.out.Chunk(r.first+group, r.table, checkpoint.Delete, len(g.keys), func(b []byte) ([]byte, error) {
				return r.c.keys.Append(appendSpaces(b, g.spaces), g.keys)
			})
		}
		clear(g.keys)
		g.spaces, g.keys = g.spaces[:0], g.keys[:0]
	}
	for i := range log {
		x := &log[i]
		switch {
		case x.interval <= after || x.interval > upto:
		case x.dropped:
			for group := range r.gone {
				if !r.full[group] {
					r.out.Chunk(r.first+group, r.table, checkpoint.Drop, 1, func(b []byte) ([]byte, error) { return appendSpaces(b, []int64{x.space}), nil })
				}
			}
		case !r.full[x.group]: // a base has nothing to remove
			g := &r.gone[x.group]
			if r.kind.Spaced() {
				g.spaces = append(g.spaces, x.space)
			}
			if g.keys = append(g.keys, x.key); len(g.keys) == rowsInChunk {
				put(int(x.group))
			}
		}
	}
	for group := range r.gone {
		put(group)
	}
}

// clear writes that the table is empty, in all groups that are no bases.
func (r *rows[K, V]) clear() {
	for group, full := range r.full {
		if !full {
			r.out.Chunk(r.first+group, r.table, checkpoint.Clear, 1, func(b []byte) ([]byte, error) { return b, nil })
		}
	}
}
