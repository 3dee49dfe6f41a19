package checkpoint

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

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
	InlineThreshold int // bytes; a file smaller than this stays in memory and goes with the acknowledgement
}

// FileWriter collects the keyed state of one subtask for one checkpoint. Begin, Group and Chunk belong to the task's goroutine, never block and
// do no I/O; Finish, after them, may run elsewhere and does all of it.
//
// The order of calls is: for each operator Begin, then for each of its key groups, ascending, Group and any number of Chunks.
type FileWriter struct {
	c       FileConfig
	buffers [][]byte // all full ones, then the one in hand; a block header lies in one buffer
	before  int64    // bytes in the full ones
	blocks  int
	open    openBlock
	ops     []FileOperator
	err     error
}

// openBlock is the block being written, if there is one. Its header is filled in at its end, in the place kept for it.
type openBlock struct {
	header blockHeader
	extent *Extent // nil: no block is open
	buffer int     // where the header is
	offset int
}

// bufferSize is what is allocated, and later written, at a time.
const bufferSize = 1 << 20

// NewFileWriter begins a file. Nothing is created before Finish.
func NewFileWriter(c FileConfig) *FileWriter {
	return &FileWriter{c: c}
}

// Begin starts the part of an operator. uid is new in this file.
func (w *FileWriter) Begin(uid string, tables []Table) {
	w.endBlock()
	w.ops = append(w.ops, FileOperator{UID: uid})
	o := &w.ops[len(w.ops)-1]
	w.beginBlock(blockHeader{typ: tableListType, group: tableListGroup, operator: operatorHash(uid)}, &o.Tables)
	b := appendTables(nil, tables)
	w.open.add(b)
	w.extend(append(w.current(), b...))
	w.endBlock()
}

// Group starts the section of a key group. It is listed even if no chunk follows.
func (w *FileWriter) Group(group int, kind Kind) {
	w.endBlock()
	if group < 0 || group > maxGroup || len(w.ops) == 0 {
		panic(fmt.Sprintf("checkpoint: key group %d of %d operators", group, len(w.ops)))
	}
	o := &w.ops[len(w.ops)-1]
	if n := len(o.Sections); n > 0 && o.Sections[n-1].Group >= group {
		panic(fmt.Sprintf("checkpoint: key group %d after %d", group, o.Sections[n-1].Group))
	}
	o.Sections = append(o.Sections, Section{Group: group, Kind: kind})
}

// Chunk adds entries of a table, 1 to MaxEntries, to the section in hand. columns appends them to what it is given; its error fails the file.
func (w *FileWriter) Chunk(table int, op Op, count int, columns func(dst []byte) ([]byte, error)) {
	if w.err != nil {
		return
	}
	if w.open.extent == nil {
		o := &w.ops[len(w.ops)-1]
		s := &o.Sections[len(o.Sections)-1]
		w.beginBlock(blockHeader{typ: uint8(s.Kind), group: s.Group, operator: operatorHash(o.UID)}, &s.Extent)
	}
	b := w.current()
	start := len(b)
	var head [chunkHeaderSize]byte
	b, err := columns(append(b, head[:]...))
	if err != nil {
		w.err = fmt.Errorf("write state of operator %s: %w", w.ops[len(w.ops)-1].UID, err)
		return
	}
	chunk := b[start:]
	binary.LittleEndian.PutUint16(chunk, uint16(table))
	chunk[2] = byte(op)
	binary.LittleEndian.PutUint32(chunk[4:], uint32(count))
	binary.LittleEndian.PutUint32(chunk[8:], uint32(len(chunk)-chunkHeaderSize))
	w.open.add(chunk)
	w.extend(b)
}

// current is the buffer in hand, with room.
func (w *FileWriter) current() []byte {
	n := len(w.buffers)
	switch {
	case n == 0:
		b := make([]byte, headerSize, 4<<10)
		putHeader(b)
		w.buffers = append(w.buffers, b)
	case len(w.buffers[n-1]) >= bufferSize:
		w.before += int64(len(w.buffers[n-1]))
		w.buffers = append(w.buffers, make([]byte, 0, bufferSize+bufferSize/4))
	}
	return w.buffers[len(w.buffers)-1]
}

// extend takes back what current gave, with more in it.
func (w *FileWriter) extend(b []byte) { w.buffers[len(w.buffers)-1] = b }

func (w *FileWriter) beginBlock(h blockHeader, e *Extent) {
	b := w.current()
	*e = Extent{Offset: w.before + int64(len(b))}
	w.open = openBlock{header: h, extent: e, buffer: len(w.buffers) - 1, offset: len(b)}
	var room [blockHeaderSize]byte
	w.extend(append(b, room[:]...))
}

func (o *openBlock) add(b []byte) {
	o.header.length += len(b)
	o.header.crc = crc32.Update(o.header.crc, castagnoli, b)
}

func (w *FileWriter) endBlock() {
	o := &w.open
	if o.extent == nil {
		return
	}
	o.header.put(w.buffers[o.buffer][o.offset:])
	o.extent.Length = int64(blockHeaderSize + o.header.length)
	w.blocks++
	*o = openBlock{}
}

// Size is how many bytes the file would have if it were finished now.
func (w *FileWriter) Size() int64 {
	if len(w.buffers) == 0 {
		return 0
	}
	return w.before + int64(len(w.buffers[len(w.buffers)-1])) + footerSize
}

// How Finish writes again, under another name, when the storage became unavailable half-way.
const (
	writeRetryFor   = 20 * time.Second
	writeRetryPause = 250 * time.Millisecond
)

// Finish writes the file, if it is not small enough to stay in memory, and makes it durable. It returns nil if there was no Begin. After an
// error nothing refers to what was written; leavings go with the checkpoint's directory. The writer is not used again.
func (w *FileWriter) Finish(ctx context.Context) (*File, error) {
	w.endBlock()
	if w.err != nil {
		return nil, w.err
	}
	if len(w.ops) == 0 {
		return nil, nil
	}
	f := &File{Size: w.Size(), Operators: w.ops}
	for _, b := range w.buffers {
		f.CRC = crc32.Update(f.CRC, castagnoli, b)
	}
	var footer [footerSize]byte
	putFooter(footer[:], f.Size, w.blocks, f.CRC)
	w.extend(append(w.buffers[len(w.buffers)-1], footer[:]...))
	if f.Size < int64(w.c.InlineThreshold) {
		f.Inline = make([]byte, 0, f.Size)
		for _, b := range w.buffers {
			f.Inline = append(f.Inline, b...)
		}
		return f, nil
	}
	// Every attempt has a name of its own: what the storage did with an earlier one may never be known.
	giveUp := time.Now().Add(writeRetryFor)
	for {
		f.Path = fileName(w.c.Checkpoint, w.c.Task, w.c.Generation)
		err := w.write(ctx, storage.Join(w.c.Dir, f.Path))
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, storage.ErrUnavailable) || time.Now().After(giveUp) {
			return nil, fmt.Errorf("write state of %s for checkpoint %d: %w", w.c.Task, w.c.Checkpoint, err)
		}
		pause := time.NewTimer(writeRetryPause)
		select {
		case <-ctx.Done():
			pause.Stop()
			return nil, fmt.Errorf("write state of %s for checkpoint %d: %w", w.c.Task, w.c.Checkpoint, err)
		case <-pause.C:
		}
	}
}

func (w *FileWriter) write(ctx context.Context, name string) error {
	out, err := w.c.FS.Create(ctx, name)
	if err != nil {
		return err
	}
	defer out.Abort()
	for _, b := range w.buffers {
		if _, err := out.Write(b); err != nil {
			return err
		}
	}
	return out.Close()
}
