package state

import (
	"fmt"

	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
)

// Config says whose state it is.
type Config struct {
	Name           string // of the operator, for errors
	MaxParallelism int    // number of key groups of the job's vertex, 1 to 32768
	From, To       int    // key groups [From, To) are this subtask's

	Now func() int64 // processing time, in ns since 1970, for state with a TTL; nil: there is none

	onHeap bool // for tests: the form of memory that systems without mappings have
}

const maxParallelism = 1 << 15

// Keyed is all keyed state of one operator in one subtask. It belongs to the task's goroutine.
type Keyed[K comparable] struct {
	c       Config
	key     K
	hash    uint64
	place   int // of the key in hand in its run; ahead: it is in none
	hasher  func(K) uint64
	codec   codec.Codec[K]
	handles []handle[K]
	follow  []follower[K]
	recents []interface{ writeAll() }
	keys    []K // the batch in hand
	hashes  []uint64
	ages    ages
	err     error
	closed  bool

	interval int64           // the present one; a snapshot begins the next
	oldest   int64           // no stamp of an earlier interval is in a table
	taken    map[int64]int64 // checkpoint -> the last interval it covers; empty: there was no snapshot
	saving   *saving         // the snapshot being taken
	sweeping int             // the handle that the sweep is at
}

// handle is what Keyed does with every kind of state.
type handle[K comparable] interface {
	// table describes the handle as a table of a checkpoint.
	table() checkpoint.Table
	// begin starts to save the table of this number; a delta is of the intervals (after, upto].
	begin(s *saving, table int, after, upto int64)
	// sweep saves a part, as large as the budget, and returns what is left of it: something if all is saved.
	sweep(budget int) int
	// abort gives up saving.
	abort()
	// trim forgets what was removed up to an interval; restamp forgets all that is known of changes.
	trim(interval int64)
	restamp()
	// restore applies a chunk of a key group.
	restore(group int, c checkpoint.Chunk) error
	bytes() int64
	close()
}

// NewKeyed makes state without anything in it. A K that cannot be a key is an error that names the field.
func NewKeyed[K comparable](c Config) (*Keyed[K], error) {
	if c.MaxParallelism < 1 || c.MaxParallelism > maxParallelism || c.From < 0 || c.From >= c.To || c.To > c.MaxParallelism {
		return nil, fmt.Errorf("state of operator %s: key groups [%d, %d) of %d: want a part of at most %d", c.Name, c.From, c.To, c.MaxParallelism, maxParallelism)
	}
	k := &Keyed[K]{c: c, place: ahead, interval: 1, oldest: 1, taken: map[int64]int64{}}
	var err error
	if k.hasher, err = codec.Hasher[K](); err != nil {
		return nil, fmt.Errorf("state of operator %s: %w", c.Name, err)
	}
	if k.codec, err = codec.For[K](); err != nil {
		return nil, fmt.Errorf("state of operator %s: %w", c.Name, err)
	}
	return k, nil
}

// Seek takes a key in hand: the handles speak of it until the next Seek. hash is codec.Hasher's, and of a key group of this subtask.
func (k *Keyed[K]) Seek(key K, hash uint64) { k.key, k.hash, k.place = key, hash, ahead }

// Batch takes a batch of keys in hand, none of them yet: Turn and SeekNext do. It keeps keys and hashes, of the same length, until the next Batch.
func (k *Keyed[K]) Batch(keys []K, hashes []uint64) {
	k.keys, k.hashes = keys, hashes
	k.tick()
	for _, f := range k.follow {
		f.begin(hashes)
	}
}

// Turn begins the run of the batch that begins with key number i: every Run keys, in order, before SeekNext takes the first of them.
func (k *Keyed[K]) Turn(i int) {
	end := min(i+ahead, len(k.keys))
	for _, f := range k.follow {
		f.turn(k.keys[i:end], k.hashes[i:end], k.hashes[end:])
	}
}

// SeekNext takes key number i of the batch in hand, of the run that Turn began. It is called for each of them, in order; Seek may come between. What it
// costs less than Seek is that the handles find the keys of a run of the batch together, while memory brings what the next run needs. It has no more in
// it than what can be inlined.
func (k *Keyed[K]) SeekNext(i int) {
	k.place = i & (ahead - 1)
	k.key, k.hash = k.keys[i], k.hashes[i]
}

// Key is the key in hand.
func (k *Keyed[K]) Key() K { return k.key }

// Hash is that of the key in hand.
func (k *Keyed[K]) Hash() uint64 { return k.hash }

// Run is how many keys are looked up together.
const Run = ahead

// Err is the first thing that could not be kept. What handles return afterwards means nothing; the task has to fail.
func (k *Keyed[K]) Err() error { return k.err }

func (k *Keyed[K]) fail(name string, err error) {
	if k.err == nil {
		k.err = fmt.Errorf("state %q of operator %s: %w", name, k.c.Name, err)
	}
}

// Bytes is the memory that the state takes, on and off the Go heap, but for directories.
func (k *Keyed[K]) Bytes() int64 {
	n := int64(0)
	for _, h := range k.handles {
		n += h.bytes()
	}
	return n
}

// Close gives all memory back. No handle may be used afterwards. A second Close does nothing.
func (k *Keyed[K]) Close() {
	if k.closed {
		return
	}
	k.closed = true
	for _, h := range k.handles {
		h.close()
	}
}

// add registers a new handle.
func (k *Keyed[K]) add(h handle[K]) error {
	for _, o := range k.handles {
		if o.table().Name == h.table().Name {
			h.close()
			return fmt.Errorf("state of operator %s: two states are called %q: names are unique in an operator", k.c.Name, h.table().Name)
		}
	}
	k.handles = append(k.handles, h)
	return nil
}

// tell tells f of the runs of batches.
func (k *Keyed[K]) tell(f follower[K]) { k.follow = append(k.follow, f) }

// Groups are the key groups [from, to) that are this subtask's, of max.
func (k *Keyed[K]) Groups() (from, to, max int) { return k.c.From, k.c.To, k.c.MaxParallelism }

// ownGroup is the key group of a hash, from the first own one.
func (k *Keyed[K]) ownGroup(hash uint64) int32 { return int32(k.groupOf(hash) - k.c.From) }

// groupOf is the key group of a hash.
func (k *Keyed[K]) groupOf(hash uint64) int { return job.KeyGroup(hash, k.c.MaxParallelism) }
