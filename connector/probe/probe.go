// Package probe is a sink that stamps what it is given with a monotonic clock, so that the processing gap of a fault can be measured from
// outside: the longest time in which a steady stream stood still.
//
// Each subtask of each generation writes a log of its own, which is readable at any time, also after its process was killed: the newest stamp
// is in the file when Write returns. Stamps are of the machine's monotonic clock, so logs of several processes of one machine compare, and the
// wall clock may jump.
//
// A log begins with a header of 64 bytes; entries of 32 bytes follow, one for each millisecond in which something came. All numbers are little
// endian:
//
//	header  "TWPROBE1" | version u32 = 1 | subtask u32 | epoch u64 | n u64 | monotonic i64 | wall i64 | 16 bytes 0     (clocks at the same time)
//	entry   first i64 | last i64 | records u64 | gap i64       stamps in ns; gap: the longest between two stamps of the entry
//
// The last entry is written again while its millisecond lasts; a reader ignores an incomplete one. The package owns that format. It never keeps
// a record.
package probe

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/thalweg-io/thalweg/flow"
)

const (
	magic      = "TWPROBE1"
	version    = 1
	headerSize = 64
	entrySize  = 32
	bucket     = int64(time.Millisecond)
)

// To stamps records into logs in a local directory, which is made if it does not exist. An empty dir stamps nothing: a job can then have the
// probe in its graph always.
func To[T any](dir string) flow.Sink[T] { return sink[T]{dir} }

type sink[T any] struct{ dir string }

// Writer implements flow.Sink.
func (s sink[T]) Writer(t flow.Task) (flow.Writer[T], error) {
	if s.dir == "" {
		return none[T]{}, nil
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	f, err := os.CreateTemp(s.dir, fmt.Sprintf("%s-%d-%v-*%s", t.JobID(), t.Subtask(), t.Generation(), suffix))
	if err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	w := &writer[T]{log: log{f: f, at: headerSize}}
	if _, err := f.WriteAt(header(t, Now(), time.Now()), 0); err != nil {
		f.Close()
		return nil, fmt.Errorf("probe: %w", err)
	}
	return w, nil
}

func header(t flow.Task, monotonic int64, wall time.Time) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32([]byte(magic), version)
	b = le.AppendUint32(b, uint32(t.Subtask()))
	b = le.AppendUint64(b, t.Generation().Epoch)
	b = le.AppendUint64(b, t.Generation().N)
	b = le.AppendUint64(b, uint64(monotonic))
	b = le.AppendUint64(b, uint64(wall.UnixNano()))
	return append(b, make([]byte, headerSize-len(b))...)
}

type writer[T any] struct{ log }

// Write implements flow.Writer.
func (w *writer[T]) Write(values []T) error { return w.stamp(Now(), len(values)) }

// Close implements flow.Writer.
func (w *writer[T]) Close() error { return w.f.Close() }

type none[T any] struct{}

func (none[T]) Write([]T) error { return nil }
func (none[T]) Close() error    { return nil }

// log is a file that is being written.
type log struct {
	f     *os.File
	at    int64 // of the entry in hand
	entry Entry
	buf   [entrySize]byte
}

func (l *log) stamp(now int64, records int) error {
	if e := &l.entry; e.Records > 0 && now/bucket == e.First/bucket {
		e.Gap = max(e.Gap, now-e.Last)
		e.Last = now
		e.Records += int64(records)
	} else {
		if e.Records > 0 {
			l.at += entrySize
		}
		*e = Entry{First: now, Last: now, Records: int64(records)}
	}
	le := binary.LittleEndian
	le.PutUint64(l.buf[0:], uint64(l.entry.First))
	le.PutUint64(l.buf[8:], uint64(l.entry.Last))
	le.PutUint64(l.buf[16:], uint64(l.entry.Records))
	le.PutUint64(l.buf[24:], uint64(l.entry.Gap))
	if _, err := l.f.WriteAt(l.buf[:], l.at); err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	return nil
}

const suffix = ".probe"

// Files are the logs in a directory.
func Files(dir string) ([]string, error) { return filepath.Glob(filepath.Join(dir, "*"+suffix)) }
