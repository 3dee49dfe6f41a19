package files

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/internal/storage"
)

// split is a part of a file, or what is left of one. It owns the records whose first byte is in [From, To). The form in checkpoints is JSON.
type split struct {
	File string `json:"file"`
	From int64  `json:"from"`
	To   int64  `json:"to"`
	// Of one that has been begun: where the next record begins, and how many came before it in the split.
	Begun  bool  `json:"begun,omitempty"`
	At     int64 `json:"at,omitempty"`
	Record int64 `json:"record,omitempty"`
}

func (s split) encode() []byte {
	b, err := json.Marshal(s)
	if err != nil {
		panic("files: encode a split: " + err.Error()) // numbers and a string always can be
	}
	return b
}

func decodeSplit(b []byte) (s split, err error) {
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("files: decode a split: %w", err)
	}
	if s.File == "" || s.From < 0 || s.To < s.From || s.Begun && (s.At < s.From || s.Record < 0) {
		return s, fmt.Errorf("files: decode a split: %.200q is none", b)
	}
	return s, nil
}

type source struct {
	transport
	framing flow.Framing
}

// Enumerator implements flow.Source: it finds the files once, at the first start of the job.
func (s *source) Enumerator(t flow.Task, restored [][]byte) (flow.Enumerator, error) {
	if restored != nil {
		return flow.InOrder(restored), nil
	}
	fs, err := t.FileSystem(s.path)
	if err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	found, err := find(t.Context(), fs, s.path)
	if err != nil {
		return nil, err
	}
	size := s.splitSize
	if s.splits > 0 {
		total := int64(0)
		for _, f := range found {
			total += f.Size
		}
		size = max(min(size, (total+int64(s.splits)-1)/int64(s.splits)), 1)
	}
	var splits [][]byte
	for _, f := range found {
		for _, part := range divide(f.Path, f.Size, size) {
			splits = append(splits, part.encode())
		}
	}
	return flow.InOrder(splits), nil
}

// divide cuts a file. The last split is up to half a size larger, rather than leaving a small one.
func divide(file string, size, by int64) (splits []split) {
	for from := int64(0); from < size; {
		to := size
		if size-from > by+by/2 {
			to = from + by
		}
		splits = append(splits, split{File: file, From: from, To: to})
		from = to
	}
	return splits
}

// find gives the files that a path stands for, in order of their names.
func find(ctx context.Context, fs storage.FileSystem, name string) ([]storage.Info, error) {
	info, err := fs.Stat(ctx, name)
	switch {
	case err == nil:
		return below(ctx, fs, info)
	case !errors.Is(err, storage.ErrNotExist):
		return nil, fmt.Errorf("files: read the input: %w", err)
	case !strings.ContainsAny(name, `*?[`):
		return nil, fmt.Errorf("files: the input %s does not exist: check the path, and that this machine sees it: %w", name, ErrNoInput)
	}
	found, err := match(ctx, fs, name)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("files: no file matches the input %s: check the pattern, and that this machine sees the files: %w", name, ErrNoInput)
	}
	return found, nil
}

// below is a file itself, or all the files in a directory.
func below(ctx context.Context, fs storage.FileSystem, info storage.Info) ([]storage.Info, error) {
	if !info.Dir {
		return []storage.Info{info}, nil
	}
	list, err := fs.List(ctx, info.Path)
	if err != nil {
		return nil, fmt.Errorf("files: read the input: %w", err)
	}
	var files []storage.Info
	for _, i := range list {
		if hidden(i.Name) {
			continue
		}
		more, err := below(ctx, fs, i)
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
	}
	return files, nil
}

func hidden(name string) bool { return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") }

// match walks down a pattern, element by element.
func match(ctx context.Context, fs storage.FileSystem, pattern string) ([]storage.Info, error) {
	scheme, authority, p := storage.Split(pattern)
	base := "."
	if strings.HasPrefix(p, "/") {
		base, p = "/", strings.TrimLeft(p, "/")
	}
	if scheme != "" {
		base = scheme + "://" + authority + "/"
	}
	level := []storage.Info{{Path: base, Dir: true}}
	for _, element := range strings.Split(path.Clean(p), "/") {
		var next []storage.Info
		for _, dir := range level {
			found, err := matchIn(ctx, fs, dir, element)
			if err != nil {
				return nil, fmt.Errorf("files: the input %s: %w", pattern, err)
			}
			next = append(next, found...)
		}
		level = next
	}
	var files []storage.Info
	for _, i := range level {
		more, err := below(ctx, fs, i)
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
	}
	return files, nil
}

func matchIn(ctx context.Context, fs storage.FileSystem, dir storage.Info, element string) ([]storage.Info, error) {
	if !dir.Dir {
		return nil, nil
	}
	if !strings.ContainsAny(element, `*?[`) {
		info, err := fs.Stat(ctx, storage.Join(dir.Path, element))
		if errors.Is(err, storage.ErrNotExist) {
			return nil, nil
		}
		return []storage.Info{info}, err
	}
	list, err := fs.List(ctx, dir.Path)
	if errors.Is(err, storage.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []storage.Info
	for _, i := range list {
		ok, err := path.Match(element, i.Name)
		if err != nil {
			return nil, fmt.Errorf("%w: %q", err, element)
		}
		if ok && (!hidden(i.Name) || hidden(element)) {
			found = append(found, i)
		}
	}
	return found, nil
}
