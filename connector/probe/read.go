package probe

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"time"
)

// Log is what one subtask of one generation has stamped.
type Log struct {
	File      string
	Subtask   int
	Epoch, N  uint64 // the generation
	Monotonic int64  // the monotonic clock when the log was begun,
	Wall      time.Time
	Entries   []Entry // in order
}

// Entry is a millisecond in which records came. Stamps are ns of the monotonic clock.
type Entry struct {
	First, Last int64
	Records     int64
	Gap         int64 // longest between two stamps of this entry
}

// Time tells a stamp as the wall clock would have been without jumps since the log was begun.
func (l *Log) Time(stamp int64) time.Time { return l.Wall.Add(time.Duration(stamp - l.Monotonic)) }

// Read reads a log, also one that is being written.
func Read(file string) (*Log, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	if len(b) < headerSize || string(b[:8]) != magic {
		return nil, fmt.Errorf("probe: %s is no probe's log: it does not begin with %s and a header", file, magic)
	}
	le := binary.LittleEndian
	if v := le.Uint32(b[8:]); v != version {
		return nil, fmt.Errorf("probe: %s has version %d, and this reader knows %d", file, v, version)
	}
	word := func(b []byte, i int) int64 { return int64(le.Uint64(b[8*i:])) }
	l := &Log{File: file, Subtask: int(le.Uint32(b[12:])), Epoch: uint64(word(b, 2)), N: uint64(word(b, 3)), Monotonic: word(b, 4), Wall: time.Unix(0, word(b, 5))}
	for b = b[headerSize:]; len(b) >= entrySize; b = b[entrySize:] {
		e := Entry{First: word(b, 0), Last: word(b, 1), Records: word(b, 2), Gap: word(b, 3)}
		if e.Records <= 0 || e.Last < e.First || e.Gap < 0 || len(l.Entries) > 0 && e.First < l.Entries[len(l.Entries)-1].Last {
			return nil, fmt.Errorf("probe: %s: entry %d is damaged: %+v", file, len(l.Entries), e)
		}
		l.Entries = append(l.Entries, e)
	}
	return l, nil
}

// ReadAll reads all logs of a directory.
func ReadAll(dir string) ([]*Log, error) {
	files, err := Files(dir)
	if err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	var logs []*Log
	for _, f := range files {
		l, err := Read(f)
		if err != nil {
			return nil, err
		}
		logs = append(logs, l)
	}
	return logs, nil
}

// Gap is a time in which a subtask was given nothing.
type Gap struct {
	Subtask  int
	From, To int64 // stamps
}

// Length of the gap.
func (g Gap) Length() time.Duration { return time.Duration(g.To - g.From) }

// Gaps gives the longest gap of each subtask that overlaps the window from..to of stamps, longest first. Logs of several generations of a
// subtask are one: what a restart costs is a gap. A gap that has no end counts up to the end of the window; a subtask's first record is no
// gap's end. A subtask without any record before the window's end is left out.
func Gaps(logs []*Log, from, to int64) []Gap {
	entries := make(map[int][]Entry)
	for _, l := range logs {
		entries[l.Subtask] = append(entries[l.Subtask], l.Entries...)
	}
	var gaps []Gap
	for subtask, es := range entries {
		slices.SortFunc(es, func(a, b Entry) int { return cmp.Compare(a.First, b.First) })
		if g, ok := longest(es, from, to); ok {
			g.Subtask = subtask
			gaps = append(gaps, g)
		}
	}
	slices.SortFunc(gaps, func(a, b Gap) int {
		return cmp.Or(cmp.Compare(b.Length(), a.Length()), cmp.Compare(a.Subtask, b.Subtask))
	})
	return gaps
}

func longest(es []Entry, from, to int64) (best Gap, ok bool) {
	take := func(begin, end int64) {
		if begin < to && end > from && (!ok || end-begin > best.To-best.From) {
			best, ok = Gap{From: begin, To: end}, true
		}
	}
	for i, e := range es {
		if e.First >= to {
			break
		}
		// Inside of an entry the gap's place is known to a millisecond: it is told from the entry's first stamp.
		take(e.First, e.First+e.Gap)
		if i+1 < len(es) {
			take(e.Last, es[i+1].First)
		} else if e.Last < to {
			take(e.Last, to)
		}
	}
	return best, ok
}

// Records is how many records the logs have between two stamps, to the millisecond.
func Records(logs []*Log, from, to int64) (n int64) {
	for _, l := range logs {
		for _, e := range l.Entries {
			if e.First >= from && e.First < to {
				n += e.Records
			}
		}
	}
	return n
}

// Stamp tells a time of this process as a stamp, so that a fault can be found in the logs of others.
func Stamp(t time.Time) int64 { return Now() - int64(time.Since(t)) }
