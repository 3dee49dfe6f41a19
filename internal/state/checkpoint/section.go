package checkpoint

import (
	"encoding/binary"
	"io"
)

// Table describes one named table of an operator. Its schemas (codec.Schema) let a program whose types have changed find the columns it knows.
type Table struct {
	Name  string
	Kind  TableKind
	Key   string // schema of the key
	Value string // schema of the value; empty if Kind has none
}

// TableKind says what the entries of a table are made of.
type TableKind uint8

// Kinds of tables.
const (
	Values TableKind = 1 // key -> value
	Timers TableKind = 2 // (time, key)
	Slices TableKind = 3 // (slice, key) -> value
	Lists  TableKind = 4 // (index, key) -> value
	Maps   TableKind = 5 // (key, map key) -> value
	Logs   TableKind = 6 // any number of values of (time, key): what is put is added
)

// Spaced reports whether a signed 64-bit number is the first part of the key: a time, the end of a slice, an index.
func (k TableKind) Spaced() bool { return k == Timers || k == Slices || k == Lists || k == Logs }

// Valued reports whether an entry has a value.
func (k TableKind) Valued() bool { return k != Timers }

// The content of a table list. Sections name a table by its place in the list.
//
//	tables u32, each: name string | kind u8 | key schema string | value schema string
const leastTable = 4

func appendTables(b []byte, tables []Table) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(tables)))
	for _, t := range tables {
		b = append(appendString(b, t.Name), byte(t.Kind))
		b = appendString(appendString(b, t.Key), t.Value)
	}
	return b
}

func parseTables(name string, at int64, b []byte) ([]Table, error) {
	p := &parser{b: b}
	n := p.count(leastTable)
	var tables []Table
	if n > 0 {
		tables = make([]Table, n)
	}
	for i := 0; i < n && p.err == nil; i++ {
		t := Table{Name: p.string(), Kind: TableKind(p.byte()), Key: p.string(), Value: p.string()}
		if t.Kind < Values || t.Kind > Logs {
			p.fail("a table of kind %d", t.Kind)
		}
		tables[i] = t
	}
	p.end()
	if p.err != nil {
		return nil, corrupt(name, "the table list at %d: %w", at, p.err)
	}
	return tables, nil
}

// The content of a section is any number of chunks, which apply in order. Columns are as codecs write them.
//
//	 0  table    u16   place in the operator's table list
//	 2  op       u8    1 put, 2 delete, 3 drop, 4 clear
//	 3  reserved u8    0
//	 4  count    u32   of entries, 1 to 4096
//	 8  length   u32   of the columns
//	12  columns: spaces (8 bytes each, signed; if the table's kind has them) | keys | values (if put and the kind has them);
//	    of a drop spaces only; of a clear, whose count is 1, nothing
const (
	chunkHeaderSize = 12
	// MaxEntries bounds the entries of one chunk, and so what a reader makes room for.
	MaxEntries = 4096
)

// Op is what a chunk does with its entries.
type Op uint8

// What a chunk does.
const (
	Put    Op = 1 // inserts or replaces; in logs it adds, and nothing else is done
	Delete Op = 2 // in a base there is nothing to delete, drop or clear
	Drop   Op = 3 // deletes all entries of slices
	Clear  Op = 4 // deletes all entries
)

// Chunk is a number of entries of one table.
type Chunk struct {
	Table   *Table
	Op      Op
	Count   int
	Columns []byte // valid until the visit of its section ends
}

// SectionReader walks one section of a key group.
type SectionReader struct {
	Group int
	Kind  Kind

	name   string // of the file
	at     int64  // of the block in hand in it
	tables []Table
	blocks []Extent // not read yet
	load   func(Extent) ([]byte, error)
	rest   []byte // content of the block in hand
	pos    int
}

// Tables is the table list of the operator in the section's file.
func (s *SectionReader) Tables() []Table { return s.tables }

// Next returns the next chunk, or io.EOF.
func (s *SectionReader) Next() (Chunk, error) {
	for s.pos == len(s.rest) {
		if len(s.blocks) == 0 {
			return Chunk{}, io.EOF
		}
		e := s.blocks[0]
		b, err := s.load(e)
		if err != nil {
			return Chunk{}, err
		}
		s.blocks, s.rest, s.pos, s.at = s.blocks[1:], b, 0, e.Offset
	}
	b := s.rest[s.pos:]
	if len(b) < chunkHeaderSize {
		return Chunk{}, s.Corrupt("%d bytes are no chunk", len(b))
	}
	table, op, count := int(binary.LittleEndian.Uint16(b)), Op(b[2]), binary.LittleEndian.Uint32(b[4:])
	length := binary.LittleEndian.Uint32(b[8:])
	switch {
	case table >= len(s.tables):
		return Chunk{}, s.Corrupt("a chunk of table %d; the operator has %d", table, len(s.tables))
	case op < Put || op > Clear || b[3] != 0 || op != Put && s.Kind == Base || op == Drop && s.tables[table].Kind != Slices || op == Clear && count != 1 ||
		op != Put && s.tables[table].Kind == Logs:
		return Chunk{}, s.Corrupt("a chunk with operation %d, reserved byte %d in a %s", op, b[3], s.Kind)
	case count == 0 || count > MaxEntries:
		return Chunk{}, s.Corrupt("a chunk of %d entries", count)
	case uint64(length) > uint64(len(b)-chunkHeaderSize):
		return Chunk{}, s.Corrupt("a chunk of %d bytes, %d left", length, len(b)-chunkHeaderSize)
	}
	end := chunkHeaderSize + int(length)
	s.pos += end
	return Chunk{Table: &s.tables[table], Op: op, Count: int(count), Columns: b[chunkHeaderSize:end:end]}, nil
}

// Corrupt is the error of whoever finds the section's content wrong; it names the file.
func (s *SectionReader) Corrupt(format string, args ...any) error {
	return corrupt(s.name, "%s of key group %d at %d: %w", s.Kind, s.Group, s.at, wrapf(format, args...))
}
