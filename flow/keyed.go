package flow

import (
	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/stream"
)

// Keyed is a stream partitioned by key. K: bool, integers, string, arrays and structs of these; anything else is a build error naming the field.
type Keyed[K comparable, T any] struct {
	stream Stream[T] // its way to the next operator hashes the key
	key    func(T) K
}

// KeyBy partitions a stream by key: all records of one key reach the same subtask, in the order in which each sender had them.
func KeyBy[K comparable, T any](s Stream[T], key func(T) K) Keyed[K, T] {
	hash, err := codec.BatchHasher[K]()
	if err != nil {
		s.job.fail(caller(), "KeyBy: %w: keys are bool, integers, string, and arrays and structs of these, because equal keys of other types may "+
			"be encoded differently; make the key out of such values", err)
	}
	ship := !codec.HashIsKey[K]()
	keyed := s.by(partition{kind: thalwegv1.Partitioning_PARTITIONING_HASH, shipHashes: ship, hash: func(next any) any {
		if n, ok := next.(interface{ NeedsHashes() bool }); ok && !n.NeedsHashes() {
			return next // the keyed operator hashes for itself
		}
		return &hasher[K, T]{link: linkTo[T](next), key: key, hash: hash}
	}})
	return Keyed[K, T]{stream: keyed, key: key}
}

// hasher ends the sender's side: it computes the hash of each record's key once; router, key group and table use it.
type hasher[K comparable, T any] struct {
	link[T]
	key    func(T) K
	hash   func(dst []uint64, keys []K)
	keys   []K
	hashes []uint64
	out    stream.Batch[T]
}

func (h *hasher[K, T]) Push(b *stream.Batch[T]) error {
	h.keys = h.keys[:0]
	for _, v := range b.Values {
		h.keys = append(h.keys, h.key(v))
	}
	h.hashes = room(h.hashes, len(h.keys))
	h.hash(h.hashes, h.keys)
	h.out = stream.Batch[T]{Values: b.Values, Times: b.Times, Hashes: h.hashes, Split: b.Split}
	return h.next.Push(&h.out)
}

// keying gives the keys of a batch, and their hashes, to a keyed operator.
type keying[K comparable, T any] struct {
	key    func(T) K
	hash   func(dst []uint64, keys []K)
	keys   []K      // of the batch that came last
	hashes []uint64 // scratch
}

func newKeying[K comparable, T any](key func(T) K) (keying[K, T], error) {
	hash, err := codec.BatchHasher[K]()
	return keying[K, T]{key: key, hash: hash}, err
}

// of returns what is valid until the next call, and no longer than the batch: if its sender has hashed the keys, the hashes are the batch's.
func (k *keying[K, T]) of(b *stream.Batch[T]) (keys []K, hashes []uint64) {
	k.keys = keysOf(k.keys, b.Values, k.key)
	if len(b.Hashes) == len(k.keys) {
		return k.keys, b.Hashes
	}
	k.hashes = room(k.hashes, len(k.keys))
	k.hash(k.hashes, k.keys)
	return k.keys, k.hashes
}

// keysOf are the keys of values, in s if it has room.
func keysOf[K comparable, T any](s []K, values []T, key func(T) K) []K {
	s = room(s, len(values))
	for i := range values {
		s[i] = key(values[i])
	}
	return s
}

// room gives a slice of n, reusing s.
func room[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, max(n, batchSize))
	}
	return s[:n]
}
