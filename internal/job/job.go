// Package job holds the values that every part of Thalweg uses to speak of a job: its id, generations, subtasks and their
// order. It owns no behaviour, does no I/O and imports nothing but the wire contracts, so that cores and shells share it.
package job

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"fmt"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

// ID is 32 lower-case hexadecimal digits, made by the client that submits.
type ID string

// NewID makes a random ID.
func NewID() ID { return ID(RandomHex()) }

// RandomHex returns 128 random bits as 32 hexadecimal digits: the form of job ids, incarnations and request ids.
func RandomHex() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand aborts the process instead
	return hex.EncodeToString(b[:])
}

// ParseID checks the form of an id that a person or another process gave.
func ParseID(s string) (ID, error) {
	if len(s) != 32 {
		return "", fmt.Errorf("job id %q: want 32 hexadecimal digits, have %d characters", s, len(s))
	}
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return "", fmt.Errorf("job id %q: %q is not a lower-case hexadecimal digit", s, c)
		}
	}
	return ID(s), nil
}

// Generation is one run of a region. The zero Generation is below all others and means none.
type Generation struct {
	Epoch uint64 // the epoch under which it was recorded
	N     uint64 // grows by one with each generation of the job
}

// Compare orders generations across leaders: by epoch, then by number.
func (g Generation) Compare(o Generation) int {
	return cmp.Or(cmp.Compare(g.Epoch, o.Epoch), cmp.Compare(g.N, o.N))
}

// Less reports whether g is an earlier generation than o.
func (g Generation) Less(o Generation) bool { return g.Compare(o) < 0 }

// IsZero reports whether g names no generation.
func (g Generation) IsZero() bool { return g == Generation{} }

// String gives "epoch.n", the form used in file names and logs.
func (g Generation) String() string { return fmt.Sprintf("%d.%d", g.Epoch, g.N) }

// Proto gives the wire form.
func (g Generation) Proto() *thalwegv1.Generation {
	return &thalwegv1.Generation{Epoch: g.Epoch, N: g.N}
}

// GenerationOf reads the wire form; nil is the zero Generation.
func GenerationOf(p *thalwegv1.Generation) Generation {
	return Generation{Epoch: p.GetEpoch(), N: p.GetN()}
}

// TaskID names one subtask of one vertex.
type TaskID struct {
	Vertex  string
	Subtask int
}

// Compare orders by vertex id, then by subtask.
func (t TaskID) Compare(o TaskID) int {
	return cmp.Or(cmp.Compare(t.Vertex, o.Vertex), cmp.Compare(t.Subtask, o.Subtask))
}

// String gives "vertex/subtask".
func (t TaskID) String() string { return fmt.Sprintf("%s/%d", t.Vertex, t.Subtask) }

// Proto gives the wire form.
func (t TaskID) Proto() *thalwegv1.TaskID {
	return &thalwegv1.TaskID{Vertex: t.Vertex, Subtask: int32(t.Subtask)}
}

// TaskIDOf reads the wire form.
func TaskIDOf(p *thalwegv1.TaskID) TaskID {
	return TaskID{Vertex: p.GetVertex(), Subtask: int(p.GetSubtask())}
}

// KeyGroup maps a key's stable hash to one of max key groups: the high bits scaled, so that a group is one range of hashes.
func KeyGroup(hash uint64, max int) int {
	return int((hash >> 32) * uint64(max) >> 32)
}

// Owner is the subtask, of parallelism many, that owns a key group of max many.
func Owner(group, max, parallelism int) int { return group * parallelism / max }

// Groups is the half-open range [from, to) of the key groups that a subtask owns; Owner is its inverse.
func Groups(subtask, max, parallelism int) (from, to int) {
	return (subtask*max + parallelism - 1) / parallelism, ((subtask+1)*max + parallelism - 1) / parallelism
}
