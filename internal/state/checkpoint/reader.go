package checkpoint

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/thalweg-io/thalweg/internal/storage"
)

// Reader gives back the keyed state of one or more subtasks of a vertex, by operator and key group, however many subtasks there were. It
// belongs to one goroutine.
type Reader struct {
	ctx    context.Context
	fs     storage.FileSystem
	dir    string
	states []*SubtaskState
	files  []*stateFile
}

// Open prepares to read what states refer to, below dir: <checkpoint directory>/<job id>. Files are opened when a key group in them is asked
// for. ctx bounds the life of the Reader.
func Open(ctx context.Context, fs storage.FileSystem, dir string, states ...*SubtaskState) (*Reader, error) {
	r := &Reader{ctx: ctx, fs: fs, dir: dir, states: states}
	for _, s := range states {
		for i := range s.Files {
			f := &s.Files[i]
			name := storage.Join(dir, f.Path)
			if f.Path == "" {
				name = fmt.Sprintf("state of %s in the metadata", s.Task())
			}
			if f.Size < headerSize+footerSize {
				return nil, corrupt(name, "%d bytes are no state file", f.Size)
			}
			r.files = append(r.files, &stateFile{File: f, name: name})
		}
	}
	return r, nil
}

// Has reports whether there is keyed state of an operator, be it empty.
func (r *Reader) Has(uid string) bool {
	return slices.ContainsFunc(r.files, func(f *stateFile) bool { return f.operator(uid) != nil })
}

// Entries is the state of an operator that is not keyed, as all subtasks wrote it. It belongs to the Reader.
func (r *Reader) Entries(uid string) (all [][]byte) {
	for _, s := range r.states {
		for _, o := range s.Operators {
			if o.UID == uid {
				all = append(all, o.Entries...)
			}
		}
	}
	return all
}

// part is one section and where it is.
type part struct {
	file *stateFile
	op   *FileOperator
	Section
}

// Groups calls visit with the sections of an operator's key groups [from, to), by ascending group, each group's base before its deltas, in
// order. Every group must have exactly one base, even if it is empty; one that has none is an error marked ErrCorrupt.
func (r *Reader) Groups(uid string, from, to int, visit func(*SectionReader) error) error {
	parts, err := r.parts(uid, from, to)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if err := p.file.open(r); err != nil {
			return err
		}
		h := blockHeader{typ: uint8(p.Kind), group: p.Group, operator: operatorHash(uid)}
		s := &SectionReader{Group: p.Group, Kind: p.Kind, name: p.file.name, blocks: p.Blocks}
		s.load = func(e Extent) ([]byte, error) { return p.file.block(e, h) }
		if s.tables, err = p.file.tables(p.op); err != nil {
			return err
		}
		if err := visit(s); err != nil {
			return err
		}
	}
	return nil
}

// parts puts the sections in order and checks that they are all of a state.
func (r *Reader) parts(uid string, from, to int) ([]part, error) {
	var parts []part
	for _, f := range r.files {
		op := f.operator(uid)
		if op == nil {
			continue
		}
		for _, s := range op.Sections {
			if s.Group >= from && s.Group < to {
				parts = append(parts, part{f, op, s})
			}
		}
	}
	slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(a.Group, b.Group) })
	group := from - 1
	for _, p := range parts {
		switch {
		case p.Group > group+1:
			return nil, r.incomplete(uid, group+1, "missing")
		case p.Group == group && p.Kind == Base:
			return nil, corrupt(p.file.name, "operator %s has key group %d twice", uid, p.Group)
		case p.Group == group+1 && p.Kind != Base:
			return nil, r.incomplete(uid, p.Group, "a "+p.Kind.String()+" without a base")
		}
		group = p.Group
	}
	if group != to-1 {
		return nil, r.incomplete(uid, group+1, "missing")
	}
	return parts, nil
}

func (r *Reader) incomplete(uid string, group int, what string) error {
	return corrupt(r.dir+": checkpoint", "keyed state of operator %s: key group %d is %s", uid, group, what)
}

// Close gives up the open files.
func (r *Reader) Close() error {
	var errs []error
	for _, f := range r.files {
		errs = append(errs, f.close())
	}
	return errors.Join(errs...)
}

// stateFile is one file of the checkpoint.
type stateFile struct {
	*File
	name   string
	opened bool
	in     storage.Reader // nil if the content is in memory
	memory []byte         // of the file from offset on: all of it, or what was read ahead
	offset int64
	lists  map[*FileOperator][]Table
}

func (f *stateFile) operator(uid string) *FileOperator {
	for i := range f.Operators {
		if f.Operators[i].UID == uid {
			return &f.Operators[i]
		}
	}
	return nil
}

// readAhead is how much is read at a time: the sections of a group follow each other. A file that is no larger is read and verified whole.
const readAhead = 4 << 20

func (f *stateFile) open(r *Reader) error {
	if f.opened {
		return nil
	}
	f.lists = map[*FileOperator][]Table{}
	if f.Path == "" {
		f.memory = f.Inline
		return f.whole()
	}
	in, err := r.fs.Open(r.ctx, f.name)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	f.in = in
	if in.Size() != f.Size {
		return corrupt(f.name, "its size is %d bytes, the checkpoint says %d", in.Size(), f.Size)
	}
	if f.Size <= readAhead {
		if f.memory, err = f.read(0, f.Size); err != nil {
			return err
		}
		return f.whole()
	}
	header, err := f.read(0, headerSize)
	if err != nil {
		return err
	}
	footer, err := f.read(f.Size-footerSize, footerSize)
	if err != nil {
		return err
	}
	f.opened = true
	return f.checkFrame(f.name, header, footer)
}

// whole verifies a file that lies in memory.
func (f *stateFile) whole() error {
	if int64(len(f.memory)) != f.Size {
		return corrupt(f.name, "it has %d bytes, the checkpoint says %d", len(f.memory), f.Size)
	}
	end := f.Size - footerSize
	if err := f.checkFrame(f.name, f.memory[:headerSize], f.memory[end:]); err != nil {
		return err
	}
	if sum := checksum(f.memory[:end]); sum != f.CRC {
		return corrupt(f.name, "checksum is %08x, recorded %08x", sum, f.CRC)
	}
	f.opened = true
	return nil
}

func (f *stateFile) read(at, n int64) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(io.NewSectionReader(f.in, at, n), b); err != nil {
		return nil, fmt.Errorf("restore: read %s at %d: %w", f.name, at, err)
	}
	return b, nil
}

// extent is a range of the file, inside of what is in memory or read with what follows it.
func (f *stateFile) extent(e Extent) ([]byte, error) {
	at := e.Offset - f.offset
	if at < 0 || at+e.Length > int64(len(f.memory)) {
		if f.in == nil {
			return nil, corrupt(f.name, "%d bytes at %d of %d", e.Length, e.Offset, f.Size)
		}
		b, err := f.read(e.Offset, min(max(e.Length, readAhead), f.Size-e.Offset))
		if err != nil {
			return nil, err
		}
		f.memory, f.offset, at = b, e.Offset, 0
	}
	return f.memory[at : at+e.Length], nil
}

func (f *stateFile) block(e Extent, h blockHeader) ([]byte, error) {
	b, err := f.extent(e)
	if err != nil {
		return nil, err
	}
	return content(f.name, e.Offset, b, h)
}

func (f *stateFile) tables(op *FileOperator) ([]Table, error) {
	if t, ok := f.lists[op]; ok {
		return t, nil
	}
	b, err := f.block(op.Tables, blockHeader{typ: tableListType, group: tableListGroup, operator: operatorHash(op.UID)})
	if err != nil {
		return nil, err
	}
	t, err := parseTables(f.name, op.Tables.Offset, b)
	if err == nil {
		f.lists[op] = t
	}
	return t, err
}

func (f *stateFile) close() error {
	if f.in == nil {
		return nil
	}
	err := f.in.Close()
	f.in, f.memory, f.opened = nil, nil, false
	return err
}
