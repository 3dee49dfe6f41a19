// Package drift keeps the readers of a group of sources together in event time: none goes on with what is further ahead of the group's slowest reader
// than the group's drift. It is two values, without a clock or I/O: a Group at the coordinator of the sources, and a Reader at each of their readers.
//
//	reader -> group    how far it has come, when that has grown by a step, or fallen, or begun or ceased to hold the others
//	group  -> readers  how far the slowest has come, by the same rule
//
// Both travel in order on the channels between the coordinator and its readers, so that no leader is needed, and none is waited for. Since nobody
// speaks before a step is done, what a reader knows of the slowest is too low by two steps at most when nothing is on its way. A step is an eighth of
// the drift: a reader may be held a quarter of the drift early, never late, and the slowest itself is never held, as it cannot be a drift ahead
// of what it has said itself.
package drift

import (
	"math"
	"slices"
)

// How far a reader has come is event time in ns since 1970, or one of these.
const (
	Unknown int64 = math.MinInt64 // it has something to read, and nothing is known of the times there: all wait for it
	Free    int64 = math.MaxInt64 // it holds nobody: what it reads is idle, or at its end
)

// steps is how many steps a drift has.
const steps = 8

// word is what one side has told the other.
type word struct {
	step uint64
	told int64
}

func wordFor(drift int64) word { return word{uint64(max(drift/steps, 1)), Unknown} }

// news reports whether the other side has to hear this, and takes it that it does.
func (w *word) news(to int64) bool {
	if to == w.told || to > w.told && to != Free && ahead(to, w.told) < w.step {
		return false
	}
	w.told = to
	return true
}

// ahead is a - b for a > b, however far they are apart.
func ahead(a, b int64) uint64 { return uint64(a) - uint64(b) }

// Group is how far the readers have come. At first that is unknown of all.
type Group struct {
	word    word
	readers []int64
}

// NewGroup is for a number of readers and a drift above 0, in ns.
func NewGroup(drift int64, readers int) *Group {
	return &Group{wordFor(drift), slices.Repeat([]int64{Unknown}, readers)}
}

// Come takes what a reader has said of itself; of one that has ended it is Free. If there is news, all readers are to hear how far the slowest has
// come.
func (g *Group) Come(reader int, to int64) (slowest int64, news bool) {
	g.readers[reader] = to
	slowest = slices.Min(g.readers)
	return slowest, g.word.news(slowest)
}

// Reader is what one reader goes by.
type Reader struct {
	word    word
	drift   uint64
	slowest int64
}

// NewReader is for a drift above 0, in ns. It waits with everything that has a time until it has heard of the group.
func NewReader(drift int64) *Reader {
	return &Reader{word: wordFor(drift), drift: uint64(drift), slowest: Unknown}
}

// Heard takes what the group has said of its slowest reader.
func (r *Reader) Heard(slowest int64) { r.slowest = slowest }

// Waits reports whether what has come so far may not be read on.
func (r *Reader) Waits(at int64) bool { return at > r.slowest && ahead(at, r.slowest) > r.drift }

// Come takes how far the slowest of what the reader reads has come, and reports whether the group has to hear that.
func (r *Reader) Come(to int64) (news bool) { return r.word.news(to) }
