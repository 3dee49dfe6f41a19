package state

import (
	"encoding/binary"
	"fmt"

	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
)

// columns moves entries between a table and the chunks of a checkpoint, whatever the kind: an entry is a space (time or slice), a key and a
// value, of which the kind has some.
type columns[K comparable, V any] struct {
	keys codec.Codec[K]
	vals codec.Codec[V] // nil: the kind has no values

	// Scratch, of one chunk at most.
	spaces []int64
	k      []K
	v      []V
}

// table is how a checkpoint names what is in the columns.
func (c *columns[K, V]) table(name string, kind checkpoint.TableKind) checkpoint.Table {
	t := checkpoint.Table{Name: name, Kind: kind, Key: c.keys.Schema().String()}
	if kind.Valued() {
		t.Value = c.vals.Schema().String()
	}
	return t
}

// spacesOf are the spaces of a chunk that has nothing else.
func spacesOf(ch checkpoint.Chunk) ([]int64, error) {
	if len(ch.Columns) != 8*ch.Count {
		return nil, corrupt("%d slices in %d bytes", ch.Count, len(ch.Columns))
	}
	spaces := make([]int64, ch.Count)
	for i := range spaces {
		spaces[i] = int64(binary.LittleEndian.Uint64(ch.Columns[8*i:]))
	}
	return spaces, nil
}

// each decodes a chunk of a key group and calls f with each entry. Its errors are those of the chunk's content; the caller marks them.
func (c *columns[K, V]) each(k *Keyed[K], group int, ch checkpoint.Chunk, f func(space int64, key *K, hash uint64, val *V) error) error {
	return c.entries(func(key *K) uint64 { return k.hasher(*key) }, k.groupOf, group, ch, f)
}

// entries is each for keys that have the key of a record in them: hashOf is the hash of that.
func (c *columns[K, V]) entries(hashOf func(*K) uint64, groupOf func(uint64) int, group int, ch checkpoint.Chunk,
	f func(space int64, key *K, hash uint64, val *V) error) (err error) {
	n, b := ch.Count, ch.Columns
	if ch.Table.Kind.Spaced() {
		if n > len(b)/8 {
			return corrupt("%d entries in %d bytes", n, len(b))
		}
		c.spaces = c.spaces[:0]
		for i := range n {
			c.spaces = append(c.spaces, int64(binary.LittleEndian.Uint64(b[8*i:])))
		}
		b = b[8*n:]
	} else {
		c.spaces = append(c.spaces[:0], make([]int64, n)...)
	}
	c.k = grown(c.k, n)
	c.v = grown(c.v, n)
	defer func() {
		clear(c.k)
		clear(c.v)
		c.spaces, c.k, c.v = c.spaces[:0], c.k[:0], c.v[:0]
	}()
	if b, err = c.keys.Decode(b, c.k); err != nil {
		return err
	}
	if ch.Table.Kind.Valued() && ch.Op == checkpoint.Put {
		if b, err = c.vals.Decode(b, c.v); err != nil {
			return err
		}
	}
	if len(b) > 0 {
		return corrupt("%d bytes after the last column", len(b))
	}
	for i := range n {
		hash := hashOf(&c.k[i])
		if g := groupOf(hash); g != group {
			return corrupt("a key of key group %d", g)
		}
		if err := f(c.spaces[i], &c.k[i], hash, &c.v[i]); err != nil {
			return err
		}
	}
	return nil
}

// grown is scratch of n zero elements.
func grown[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %w", codec.ErrCorrupt, fmt.Errorf(format, args...))
}
