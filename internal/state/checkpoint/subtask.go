package checkpoint

import (
	"encoding/binary"
	"fmt"
	"io/fs"

	"github.com/thalweg-io/thalweg/internal/job"
)

// SubtaskState is what one subtask acknowledges a checkpoint with.
type SubtaskState struct {
	Vertex     string
	Subtask    int
	Generation job.Generation // that took the snapshot
	Ended      bool           // the snapshot covers the subtask's end
	Files      []File         // keyed state; of one key group, in the order in which the sections apply
	Operators  []OperatorState
}

// OperatorState is the state of an operator that is not keyed: small, and kept here.
type OperatorState struct {
	UID     string
	Entries [][]byte
}

// File is one file with keyed state, or its content, and where in it what is. A file may be one of an earlier checkpoint, and then only the
// sections that still count are listed.
type File struct {
	Path      string // relative to <checkpoint directory>/<job id>; empty: Inline has the content
	Inline    []byte
	Size      int64
	CRC       uint32 // CRC32C of the file up to its footer, which repeats it
	Operators []FileOperator
}

// FileOperator lists the blocks of one operator in a file.
type FileOperator struct {
	UID      string
	Tables   Extent
	Sections []Section // by ascending group; of one group base before deltas
}

// Extent is a range of bytes of a file: one block with its header.
type Extent struct{ Offset, Length int64 }

// Section is the state, or a change of the state, of one key group: the chunks of its blocks in their order. A base without content has none.
type Section struct {
	Group  int
	Kind   Kind
	Blocks []Extent
}

// Kind says whether a section is the whole state of a group, or what changed since the section before.
type Kind uint8

// Kinds of sections.
const (
	Base  Kind = 1
	Delta Kind = 2
)

func (k Kind) String() string {
	switch k {
	case Base:
		return "base"
	case Delta:
		return "delta"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Task names the subtask.
func (s *SubtaskState) Task() job.TaskID { return job.TaskID{Vertex: s.Vertex, Subtask: s.Subtask} }

// Bytes is the size of all the state, wherever it lies.
func (s *SubtaskState) Bytes() int64 {
	n := int64(0)
	for i := range s.Files {
		n += s.Files[i].Size
	}
	for _, o := range s.Operators {
		for _, e := range o.Entries {
			n += int64(len(e))
		}
	}
	return n
}

// The payload of an envelope with magic "TWSS". Numbers are uvarint where nothing else is said.
//
//	vertex string | subtask | epoch | n | flags u8: 1 ended
//	files u32, each:
//	    path string | crc32c u32 | size | content: that many bytes if path is empty
//	    operators u32, each:
//	        uid string | tables offset | tables length
//	        sections u32, each: group | kind u8: 1 base, 2 delta | blocks u32, each: offset | length
//	operators u32, each:
//	    uid string | entries u32, each: length u32 | bytes
const (
	subtaskMagic = "TWSS"
	subtaskEnded = 1

	// The least bytes of each, for parser.count.
	leastFile         = 1 + 4 + 1 + 4
	leastFileOperator = 1 + 1 + 1 + 4
	leastSection      = 6
	leastExtent       = 2
	leastOperator     = 1 + 4
	leastEntry        = 4
)

// Append appends the encoded form.
func (s *SubtaskState) Append(dst []byte) []byte {
	start := len(dst)
	b := append(dst, make([]byte, envelopeSize)...)
	b = appendString(b, s.Vertex)
	b = binary.AppendUvarint(b, uint64(s.Subtask))
	b = binary.AppendUvarint(b, s.Generation.Epoch)
	b = binary.AppendUvarint(b, s.Generation.N)
	flags := byte(0)
	if s.Ended {
		flags = subtaskEnded
	}
	b = append(b, flags)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(s.Files)))
	for i := range s.Files {
		b = s.Files[i].append(b)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(s.Operators)))
	for _, o := range s.Operators {
		b = appendString(b, o.UID)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(o.Entries)))
		for _, e := range o.Entries {
			b = binary.LittleEndian.AppendUint32(b, uint32(len(e)))
			b = append(b, e...)
		}
	}
	return seal(b, start, subtaskMagic)
}

func (f *File) append(b []byte) []byte {
	b = appendString(b, f.Path)
	b = binary.LittleEndian.AppendUint32(b, f.CRC)
	b = binary.AppendUvarint(b, uint64(f.Size))
	if f.Path == "" {
		b = append(b, f.Inline...)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(f.Operators)))
	for _, o := range f.Operators {
		b = appendString(b, o.UID)
		b = binary.AppendUvarint(b, uint64(o.Tables.Offset))
		b = binary.AppendUvarint(b, uint64(o.Tables.Length))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(o.Sections)))
		for _, s := range o.Sections {
			b = binary.AppendUvarint(b, uint64(s.Group))
			b = append(b, byte(s.Kind))
			b = binary.LittleEndian.AppendUint32(b, uint32(len(s.Blocks)))
			for _, e := range s.Blocks {
				b = binary.AppendUvarint(b, uint64(e.Offset))
				b = binary.AppendUvarint(b, uint64(e.Length))
			}
		}
	}
	return b
}

// DecodeSubtaskState reads an encoded state. Inline content and entries are parts of b.
func DecodeSubtaskState(b []byte) (*SubtaskState, error) {
	return decodeSubtaskState("subtask state", b)
}

// decodeSubtaskState names in its errors the file that the state is part of.
func decodeSubtaskState(name string, b []byte) (*SubtaskState, error) {
	payload, err := unseal(name, b, subtaskMagic)
	if err != nil {
		return nil, err
	}
	p := &parser{b: payload}
	s := &SubtaskState{Vertex: p.string(), Subtask: p.int32()}
	s.Generation = job.Generation{Epoch: p.uvarint(), N: p.uvarint()}
	flags := p.byte()
	if flags&^subtaskEnded != 0 {
		p.fail("flags of the subtask are %#x", flags)
	}
	s.Ended = flags&subtaskEnded != 0
	if n := p.count(leastFile); n > 0 {
		s.Files = make([]File, n)
		for i := 0; i < n && p.err == nil; i++ {
			s.Files[i].parse(p)
		}
	}
	if n := p.count(leastOperator); n > 0 {
		s.Operators = make([]OperatorState, n)
		for i := 0; i < n && p.err == nil; i++ {
			s.Operators[i].parse(p)
		}
	}
	p.end()
	if p.err != nil {
		return nil, corrupt(name, "state of %s: %w", s.Task(), p.err)
	}
	return s, nil
}

func (f *File) parse(p *parser) {
	f.Path, f.CRC, f.Size = p.string(), p.u32(), p.int64()
	switch {
	case f.Path == "":
		f.Inline = p.bytes(uint64(f.Size))
	case !fs.ValidPath(f.Path):
		p.fail("%q is no path below the job's directory", f.Path)
	}
	n := p.count(leastFileOperator)
	if n == 0 {
		return
	}
	f.Operators = make([]FileOperator, n)
	for i := 0; i < n && p.err == nil; i++ {
		o := &f.Operators[i]
		o.UID, o.Tables = p.string(), f.extent(p)
		if m := p.count(leastSection); m > 0 {
			o.Sections = make([]Section, m)
			for j := 0; j < m && p.err == nil; j++ {
				o.Sections[j] = f.section(p)
			}
		}
	}
}

func (f *File) section(p *parser) Section {
	s := Section{Group: p.int32(), Kind: Kind(p.byte())}
	if s.Kind != Base && s.Kind != Delta {
		p.fail("%s of a section", s.Kind)
	}
	if n := p.count(leastExtent); n > 0 {
		s.Blocks = make([]Extent, n)
		for i := 0; i < n && p.err == nil; i++ {
			s.Blocks[i] = f.extent(p)
		}
	}
	if s.Kind == Delta && len(s.Blocks) == 0 {
		p.fail("a delta without content")
	}
	return s
}

func (f *File) extent(p *parser) Extent {
	e := Extent{p.int64(), p.int64()}
	if e.Offset > f.Size || e.Length > f.Size-e.Offset {
		p.fail("%d bytes at %d of a file of %d", e.Length, e.Offset, f.Size)
	}
	return e
}

func (o *OperatorState) parse(p *parser) {
	o.UID = p.string()
	n := p.count(leastEntry)
	if n == 0 {
		return
	}
	o.Entries = make([][]byte, n)
	for i := 0; i < n && p.err == nil; i++ {
		o.Entries[i] = p.bytes(uint64(p.u32()))
	}
}
