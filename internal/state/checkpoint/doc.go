// Package checkpoint is what a checkpoint consists of: the state of each subtask (SubtaskState, which travels in its acknowledgement), the file
// beside it with keyed state by key group (FileWriter, Reader), and the _metadata of the whole (Metadata).
//
// It owns these formats, drawn byte by byte in docs/format/checkpoint.md and beside the parsers, and where their files lie. Every file has
// magic, version, length and CRC32C; a file that is not what was written is an error that names it and is marked ErrCorrupt, never a panic.
// Readers take base sections and ordered deltas.
//
// It never decides which checkpoint is complete or may be deleted, knows no state table and no Go type of a user (columns are bytes to it), and
// never overwrites: a file name carries the generation and a unique id and is written once.
package checkpoint

import (
	"fmt"
	"strings"

	"github.com/thalweg-io/thalweg/internal/job"
)

// MetadataName is the name of a checkpoint's metadata in its directory.
const MetadataName = "_metadata"

// Directory is where a checkpoint's own files are, below <checkpoint directory>/<job id>.
func Directory(id int64) string { return fmt.Sprintf("chk-%d", id) }

// fileName is a new name for a subtask's file, below <checkpoint directory>/<job id>. No other call ever makes the same.
func fileName(id int64, task job.TaskID, g job.Generation) string {
	return fmt.Sprintf("%s/%s-%d-%s-%s", Directory(id), plain(task.Vertex), task.Subtask, g, job.RandomHex())
}

// plain makes a part of a file name of what a user called something. It need not be unique.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '.' || r == '-' {
			return r
		}
		return '_'
	}, strings.TrimLeft(s, "."))
	return s[:min(len(s), 64)]
}
