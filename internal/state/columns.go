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

// entriesPerChunk is what writers put into one. A chunk's columns are decoded at once, so it bounds memory, too.
const entriesPerChunk = 1024

// entryWriter collects the entries of one key group.
type entryWriter[K comparable, V any] struct {
	c     *columns[K, V]
	w     *checkpoint.FileWriter
	table int
	kind  checkpoint.TableKind
}

func (c *columns[K, V]) writer(w *checkpoint.FileWriter, table int, kind checkpoint.TableKind) entryWriter[K, V] {
	return entryWriter[K, V]{c, w, table, kind}
}

func (e *entryWriter[K, V]) add(space int64, key K, val V) {
	c := e.c
	c.spaces, c.k, c.v = append(c.spaces, space), append(c.k, key), append(c.v, val)
	if len(c.k) == entriesPerChunk {
		e.flush()
	}
}

// flush writes what was added, and forgets it.
func (e *entryWriter[K, V]) flush() {
	c := e.c
	if len(c.k) == 0 {
		return
	}
	e.w.Chunk(e.table, checkpoint.Put, len(c.k), func(b []byte) (_ []byte, err error) {
		if e.kind.Spaced() {
			for _, s := range c.spaces {
				b = binary.LittleEndian.AppendUint64(b, uint64(s))
			}
		}
		if b, err = c.keys.Append(b, c.k); err != nil || !e.kind.Valued() {
			return b, err
		}
		return c.vals.Append(b, c.v)
	})
	clear(c.k)
	clear(c.v)
	c.spaces, c.k, c.v = c.spaces[:0], c.k[:0], c.v[:0]
}

// each decodes a chunk of a key group and calls f with each entry. Its errors are those of the chunk's content; the caller marks them.
func (c *columns[K, V]) each(k *Keyed[K], group int, ch checkpoint.Chunk, f func(space int64, key *K, hash uint64, val *V) error) (err error) {
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
		hash := k.hasher(c.k[i])
		if g := k.groupOf(hash); g != group {
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
