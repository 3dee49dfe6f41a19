package leader

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/scheduler"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
	"github.com/thalweg-io/thalweg/internal/storage"
)

const metadataName = "_metadata"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// writeMetadata puts the acknowledged states into one file, which exists whole or not at all. Its name is written once: the id was
// taken by this leader and is never used again.
func (l *Leader) writeMetadata(ctx context.Context, id job.ID, w *scheduler.WriteMetadata) (path string, crc uint32, err error) {
	dir := l.checkpointDir(id)
	if dir == "" {
		return "", 0, errors.New("execution.checkpointing.dir is not set")
	}
	m := &checkpoint.Metadata{JobID: id, ID: w.Checkpoint, Generation: w.Generation, GraphVersion: w.GraphVersion, Base: w.Base}
	for _, s := range w.States {
		state, err := checkpoint.DecodeSubtaskState(s.State)
		if err != nil {
			return "", 0, fmt.Errorf("the state that %v acknowledged: %w", s.Task, err)
		}
		m.Subtasks = append(m.Subtasks, state)
	}
	b := m.Encode()
	path = dir + "/" + checkpoint.Directory(w.Checkpoint) + "/" + metadataName
	fs, err := l.c.Storage.Resolve(ctx, path)
	if err != nil {
		return "", 0, err
	}
	if err := storage.WriteFile(ctx, fs, path, b); err != nil {
		return "", 0, err
	}
	return path, crc32.Checksum(b, castagnoli), nil
}

// readMetadata reads and verifies the file that a pointer names.
func (l *Leader) readMetadata(ctx context.Context, p *thalwegv1.CheckpointPointer) (*checkpoint.Metadata, error) {
	fs, err := l.c.Storage.Resolve(ctx, p.MetadataPath)
	if err != nil {
		return nil, err
	}
	b, err := storage.ReadFile(ctx, fs, p.MetadataPath, maxMetadata)
	if err != nil {
		return nil, err
	}
	if crc := crc32.Checksum(b, castagnoli); p.MetadataCrc != 0 && crc != p.MetadataCrc {
		return nil, fmt.Errorf("%s: checksum %08x, recorded %08x: %w", p.MetadataPath, crc, p.MetadataCrc, checkpoint.ErrCorrupt)
	}
	return checkpoint.DecodeMetadata(p.MetadataPath, b)
}

// readEnded gives the subtasks whose end a checkpoint covers.
func (l *Leader) readEnded(ctx context.Context, id job.ID, p *thalwegv1.CheckpointPointer) ([]scheduler.SubtaskState, error) {
	m, err := l.readMetadata(ctx, p)
	if err != nil {
		return nil, err
	}
	var ended []scheduler.SubtaskState
	for _, s := range m.Subtasks {
		if s.Ended {
			ended = append(ended, scheduler.SubtaskState{Task: s.Task(), State: s.Append(nil)})
		}
	}
	slices.SortFunc(ended, func(a, b scheduler.SubtaskState) int { return a.Task.Compare(b.Task) })
	return ended, nil
}

// deleteFiles removes what no pointer reaches any more. What a retained checkpoint refers to stays, whoever wrote it.
func (l *Leader) deleteFiles(ctx context.Context, id job.ID, d scheduler.DeleteFiles) error {
	keep := map[string]bool{} // file names relative to the job's checkpoint directory, and directories of retained checkpoints
	for _, p := range d.Retained {
		if p.MetadataPath == "" { // of a job whose pointers are gone: the name follows from the id
			p = &thalwegv1.CheckpointPointer{Id: p.Id, MetadataPath: l.checkpointDir(id) + "/" + checkpoint.Directory(p.Id) + "/" + metadataName}
		}
		m, err := l.readMetadata(ctx, p)
		if err != nil {
			return fmt.Errorf("nothing is deleted: a retained checkpoint cannot be read: %w", err)
		}
		keep[checkpoint.Directory(p.Id)] = true
		for _, f := range m.Files() {
			keep[f] = true
			dir, _, _ := strings.Cut(f, "/")
			keep[dir] = true
		}
	}
	dir := l.checkpointDir(id)
	if dir != "" {
		if err := l.sweep(ctx, dir, d, keep); err != nil {
			return err
		}
	}
	if !d.Job {
		return nil
	}
	files := l.jobDir(id)
	fs, err := l.c.Storage.Resolve(ctx, files)
	if err != nil {
		return err
	}
	return fs.RemoveAll(ctx, files)
}

// sweep goes through a job's checkpoint directories and removes those that are to go, but the files in keep.
func (l *Leader) sweep(ctx context.Context, dir string, d scheduler.DeleteFiles, keep map[string]bool) error {
	fs, err := l.c.Storage.Resolve(ctx, dir)
	if err != nil {
		return err
	}
	entries, err := fs.List(ctx, dir)
	if errors.Is(err, storage.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	left := false
	for _, e := range entries {
		n, ok := strings.CutPrefix(e.Name, "chk-")
		id, err := strconv.ParseInt(n, 10, 64)
		if !ok || err != nil || !e.Dir {
			left = true
			continue
		}
		if !d.Job && id >= d.Below && (d.Removed == nil || id != d.Removed.Id) || keep[e.Name] && isRetained(d, id) {
			left = true
			continue
		}
		if !keep[e.Name] {
			if err := fs.RemoveAll(ctx, e.Path); err != nil {
				return err
			}
			continue
		}
		left = true
		files, err := fs.List(ctx, e.Path)
		if err != nil {
			return err
		}
		for _, f := range files {
			if !keep[e.Name+"/"+f.Name] {
				if err := fs.RemoveAll(ctx, f.Path); err != nil {
					return err
				}
			}
		}
	}
	if d.Job && !left {
		return fs.RemoveAll(ctx, dir)
	}
	return nil
}

func isRetained(d scheduler.DeleteFiles, id int64) bool {
	return slices.ContainsFunc(d.Retained, func(p *thalwegv1.CheckpointPointer) bool { return p.Id == id })
}
