package checkpoint

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/storage"
)

// DefaultInlineThreshold: smaller state is kept in the metadata instead of in a file of its own.
const DefaultInlineThreshold = 20 << 10

// FileConfig says whose state is written where.
type FileConfig struct {
	FS              storage.FileSystem
	Dir             string // <checkpoint directory>/<job id>
	Checkpoint      int64
	Task            job.TaskID
	Generation      job.Generation
	InlineThreshold int  // bytes; a file smaller than this stays in memory and goes with the acknowledgement
	Compress        bool // with zstd, beside the task
}

// FileWriter collects the keyed state of one subtask for one checkpoint, in any order of key groups. All but Finish and Abort belong to the task's
// goroutine, never block and do no I/O: the task hands over what it has saved, as it lies in memory, with a function that makes chunks of it (Later).
// Once there is enough of it, these are called and their chunks written beside the task, so that a state of any size takes a bounded part of memory
// (Backlog says how much); else Finish calls them.
type FileWriter struct {
	c   FileConfig
	ops []*OperatorWriter
	out upload

	// Of whoever calls what was given to Later.
	blocks int // sealed so far
	err    error
}

// NewFileWriter begins a file. Nothing is created before enough of it is there, or Finish is called. ctx bounds what is done beside the task.
func NewFileWriter(ctx context.Context, c FileConfig) *FileWriter {
	w := &FileWriter{c: c}
	w.out.c, w.out.ctx, w.out.streamAt = c, ctx, max(int64(c.InlineThreshold), streamAt)
	return w
}

// OperatorWriter collects the state of one operator. Its sections are listed first; then chunks are added to them, by functions given to Later.
type OperatorWriter struct {
	w        *FileWriter
	file     FileOperator
	hash     uint64
	sections map[int]*section
	target   int // bytes of a block
}

// section is one key group in the making. What it takes away comes before what it puts, whenever either was added: so what is taken away and put
// again after the barrier never crosses.
type section struct {
	group   int
	kind    Kind
	removes run
	puts    run
}

// run is a sequence of chunks: those in sealed blocks, and those in the block in hand, behind the place for its header.
type run struct {
	extents []Extent
	block   []byte
}

// Blocks of an operator in the making take no more than this, however many key groups there are.
const (
	openBlocks  = 4 << 20
	mostOfBlock = 64 << 10
)

// blockPool has buffers of blocks that were written.
var blockPool = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

// Begin starts the part of an operator that has state of a number of key groups. uid is new in this file.
func (w *FileWriter) Begin(uid string, tables []Table, groups int) *OperatorWriter {
	o := &OperatorWriter{w: w, file: FileOperator{UID: uid}, hash: operatorHash(uid), sections: make(map[int]*section, groups)}
	o.target = max(1<<10, min(mostOfBlock, openBlocks/max(groups, 1)))
	w.ops = append(w.ops, o)
	o.Later(0, func() {
		o.file.Tables = w.seal(appendTables(newBlock(), tables), blockHeader{typ: tableListType, group: tableListGroup, operator: o.hash})
	})
	return o
}

// Later has f called, beside the task or by Finish, after what was given before and never at the same time. Until then it counts as so many bytes
// that wait. f is not called if the file is given up.
func (o *OperatorWriter) Later(bytes int, f func()) { o.w.out.add(work{f, int64(bytes)}) }

func newBlock() []byte {
	return append((*blockPool.Get().(*[]byte))[:0], make([]byte, blockHeaderSize)...)
}

// seal hands a block on, to be compressed, summed, given its place and written. Until Finish its extent is its number.
func (w *FileWriter) seal(b []byte, h blockHeader) Extent {
	h.length = len(b) - blockHeaderSize
	h.put(b)
	w.out.block(b)
	w.blocks++
	return Extent{Offset: int64(w.blocks - 1)}
}

// Section lists a key group, also if no chunk follows. A group has one section in a file. All sections come before the first Later.
func (o *OperatorWriter) Section(group int, kind Kind) {
	if group < 0 || group > maxGroup || o.sections[group] != nil {
		panic(fmt.Sprintf("checkpoint: key group %d is listed twice, or is none", group))
	}
	o.sections[group] = &section{group: group, kind: kind}
}

// Chunk adds entries of a table, 1 to MaxEntries, to a section; only functions given to Later call it. columns appends them to what it is given; its
// error fails the file.
func (o *OperatorWriter) Chunk(group, table int, op Op, count int, columns func(dst []byte) ([]byte, error)) {
	w := o.w
	if w.err != nil {
		return
	}
	s := o.sections[group]
	r := &s.puts
	if op != Put {
		r = &s.removes
	}
	if r.block == nil {
		r.block = newBlock()
	}
	start := len(r.block)
	var head [chunkHeaderSize]byte
	b, err := columns(append(r.block, head[:]...))
	if err != nil {
		w.err = fmt.Errorf("write state of operator %s: %w", o.file.UID, err)
		return
	}
	chunk := b[start:]
	binary.LittleEndian.PutUint16(chunk, uint16(table))
	chunk[2] = byte(op)
	binary.LittleEndian.PutUint32(chunk[4:], uint32(count))
	binary.LittleEndian.PutUint32(chunk[8:], uint32(len(chunk)-chunkHeaderSize))
	r.block = b
	if len(b) >= o.target {
		o.sealRun(s, r)
	}
}

func (o *OperatorWriter) sealRun(s *section, r *run) {
	if r.block == nil {
		return
	}
	r.extents = append(r.extents, o.w.seal(r.block, blockHeader{typ: uint8(s.kind), group: s.group, operator: o.hash}))
	r.block = nil
}

// finish seals what is left and lists the sections by ascending group. A delta without content is not listed.
func (o *OperatorWriter) finish() {
	groups := make([]int, 0, len(o.sections))
	for g := range o.sections {
		groups = append(groups, g)
	}
	slices.Sort(groups)
	for _, g := range groups {
		s := o.sections[g]
		if s.removes.block != nil && len(s.puts.extents) == 0 && s.puts.block != nil { // both fit into one block
			s.removes.block = append(s.removes.block, s.puts.block[blockHeaderSize:]...)
			s.puts.block = nil
		}
		o.sealRun(s, &s.removes)
		o.sealRun(s, &s.puts)
		blocks := append(s.removes.extents, s.puts.extents...)
		if s.kind == Base || len(blocks) > 0 {
			o.file.Sections = append(o.file.Sections, Section{Group: g, Kind: s.kind, Blocks: blocks})
		}
	}
}

// Backlog is how many bytes wait to be written, beyond what a file has before it is begun.
func (w *FileWriter) Backlog() int64 { return w.out.backlog() }

// Finish writes the file, if it is not small enough to stay in memory, and makes it durable. It returns nil if there was no Begin. After an
// error nothing refers to what was written; leavings go with the checkpoint's directory. The writer is not used again.
func (w *FileWriter) Finish(ctx context.Context) (*File, error) {
	if len(w.ops) == 0 {
		return nil, nil
	}
	for _, o := range w.ops {
		o.Later(0, o.finish)
	}
	if w.out.work(); w.err != nil {
		w.Abort()
		return nil, w.err
	}
	f := &File{}
	if err := w.out.finish(ctx, f, w.blocks); err != nil {
		return nil, fmt.Errorf("write state of %s for checkpoint %d: %w", w.c.Task, w.c.Checkpoint, err)
	}
	for _, o := range w.ops {
		o.place(w.out.placed)
		f.Operators = append(f.Operators, o.file)
	}
	return f, nil
}

// place replaces the blocks' numbers by their extents.
func (o *OperatorWriter) place(placed []Extent) {
	o.file.Tables = placed[o.file.Tables.Offset]
	for _, s := range o.file.Sections {
		for i, b := range s.Blocks {
			s.Blocks[i] = placed[b.Offset]
		}
	}
}

// Abort gives the file up and waits until nothing is written any more. After Finish it does nothing.
func (w *FileWriter) Abort() { w.out.abort() }
