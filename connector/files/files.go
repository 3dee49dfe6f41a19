// Package files reads and writes files, on every file system that Thalweg knows: /path, file:///path, hdfs://authority/path.
//
// As a source (From) it takes a file, a directory with all that is below it, or a pattern. Files are divided into splits by size, and handed
// out in the order of their names, which for records with event time has to be that of their times (flow.Stream.EventTime); a split owns the records that begin in it. Names that begin with a dot or an underscore are no input. What a file holds behind
// the size that it had when the job began is not read.
//
// As a sink (To) it is exactly-once: each subtask spools what it is given between two barriers (in memory, then on the local disk), writes it
// as one whole file under a pending name beside the task, and renames it when the checkpoint has completed. A reader of the directory that
// leaves out names with a leading dot sees each record once. Storage that fails or stalls costs checkpoints, and the task only when its spool
// is full. A task that ends removes what it has pending and nobody will commit; one that is killed leaves it to the next generation of its job.
//
// The package owns splits, spools and the names of files. It never interprets a record: that is a format's. It never deletes what it did not
// write, nor a pending file that a restored checkpoint names, nor one of its own or a later generation.
package files

import (
	"errors"
	"fmt"

	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/internal/storage"
)

// DefaultSplitSize is the size of splits unless SplitSize says otherwise.
const DefaultSplitSize = 64 << 20

// From reads a file, a directory, or all that match a pattern of path.Match such as /logs/2015-*/*.log. A name that exists is no pattern.
func From(path string, o ...SourceOption) flow.Transport {
	t := &transport{path: path, splitSize: DefaultSplitSize}
	for _, option := range o {
		option(t)
	}
	return t
}

// SourceOption adjusts From.
type SourceOption func(*transport)

// SplitSize divides files into splits of about n bytes.
func SplitSize(n int64) SourceOption {
	return func(t *transport) {
		t.splitSize = n
		if n < 1 {
			t.problem = fmt.Errorf("files.SplitSize(%d): it is at least 1 byte", n)
		}
	}
}

// Splits divides the input as a whole into about n splits at least, so that so many subtasks have something to read.
func Splits(n int) SourceOption {
	return func(t *transport) {
		t.splits = n
		if n < 1 {
			t.problem = fmt.Errorf("files.Splits(%d): it is at least 1", n)
		}
	}
}

// Rate replays: all subtasks together read so many records a second.
func Rate(recordsPerSecond float64) SourceOption {
	return func(t *transport) {
		t.rate = recordsPerSecond
		if !(recordsPerSecond > 0) {
			t.problem = fmt.Errorf("files.Rate(%v): it is above 0; leave the option out to read as fast as possible", recordsPerSecond)
		}
	}
}

type transport struct {
	path      string
	splitSize int64
	splits    int     // least number of them, about; 0: as many as there are
	rate      float64 // 0: no limit
	problem   error
}

// Frames implements flow.Transport.
func (t *transport) Frames(f flow.Framing) (flow.Source[[]byte], error) {
	if t.problem != nil {
		return nil, t.problem
	}
	if err := named("files.From", t.path); err != nil {
		return nil, err
	}
	return &source{transport: *t, framing: f}, nil
}

func named(what, path string) error {
	if _, _, p := storage.Split(path); p == "" {
		return fmt.Errorf("%s(%q): the path is empty; give a path such as /data/in or hdfs://authority/data/in", what, path)
	}
	return nil
}

// DefaultSpool is the most that a subtask keeps of what storage has not taken yet.
const DefaultSpool = 1 << 30

// To writes into a directory, which is made if it does not exist. What is there already stays.
func To(dir string, o ...SinkOption) flow.Target {
	t := &target{dir: dir, spool: DefaultSpool}
	for _, option := range o {
		option(t)
	}
	return t
}

// SinkOption adjusts To.
type SinkOption func(*target)

// Spool is the most bytes that a subtask keeps of what storage has not taken yet; a task whose spool is full fails.
func Spool(bytes int64) SinkOption {
	return func(t *target) {
		t.spool = bytes
		if bytes < 1 {
			t.problem = fmt.Errorf("files.Spool(%d): it is at least 1 byte", bytes)
		}
	}
}

type target struct {
	dir     string
	spool   int64
	problem error
}

// Frames implements flow.Target.
func (t *target) Frames(suffix string) (flow.Sink[[]byte], error) {
	if t.problem != nil {
		return nil, t.problem
	}
	if err := named("files.To", t.dir); err != nil {
		return nil, err
	}
	return &sink{dir: t.dir, suffix: suffix, spool: t.spool}, nil
}

// ErrNoInput marks the error about an input that does not exist, or a pattern that nothing matches.
var ErrNoInput = errors.New("no such input")
