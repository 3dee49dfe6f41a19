package checkpoint

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"testing"
)

// What a fuzzer changes, a checksum would find at once, and then nothing behind the checksums is ever reached. So each target also tries the
// input as the payload under a right checksum: what a program with an error, rather than a disk, would write.

// sealed is payload in an envelope.
func sealed(payload []byte, magic string) []byte {
	return seal(append(make([]byte, envelopeSize), payload...), 0, magic)
}

// bounded runs f and fails the test if it allocates out of proportion to n bytes of input.
func bounded(t *testing.T, n int, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	if got, most := after.TotalAlloc-before.TotalAlloc, uint64(16*n+1<<20); got > most {
		t.Fatalf("%d bytes allocated for %d, at most %d allowed", got, n, most)
	}
}

func FuzzDecodeMetadata(f *testing.F) {
	m, _ := goldenCheckpoint(f)
	f.Add(m.Encode())
	f.Add(m.Encode()[envelopeSize:])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, b := range [][]byte{in, sealed(in, metadataMagic)} {
			var m *Metadata
			var err error
			bounded(t, len(b), func() { m, err = DecodeMetadata("m", b) })
			if err != nil {
				marked(t, err)
				continue
			}
			if again := m.Encode(); !bytes.Equal(again, b) {
				t.Fatalf("decoded and encoded again:\n%x\nwas\n%x", again, b)
			}
			for _, s := range m.Subtasks {
				walk(t, s)
			}
		}
	})
}

func FuzzDecodeSubtaskState(f *testing.F) {
	m, _ := goldenCheckpoint(f)
	for _, s := range m.Subtasks {
		f.Add(s.Append(nil))
		f.Add(s.Append(nil)[envelopeSize:])
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, b := range [][]byte{in, sealed(in, subtaskMagic)} {
			var s *SubtaskState
			var err error
			bounded(t, len(b), func() { s, err = DecodeSubtaskState(b) })
			if err != nil {
				marked(t, err)
				continue
			}
			if again := s.Append(nil); !bytes.Equal(again, b) {
				t.Fatalf("decoded and encoded again:\n%x\nwas\n%x", again, b)
			}
			walk(t, s)
		}
	})
}

// walk reads all that a state has inline; errors must be marked.
func walk(t *testing.T, s *SubtaskState) {
	t.Helper()
	inline := *s
	inline.Files = nil
	for _, f := range s.Files {
		if f.Path == "" {
			inline.Files = append(inline.Files, f)
		}
	}
	r, err := Open(context.Background(), nil, dir, &inline)
	if err != nil {
		marked(t, err)
		return
	}
	defer r.Close()
	for _, f := range inline.Files {
		for _, o := range f.Operators {
			for _, sec := range o.Sections {
				if _, err := read(r, o.UID, sec.Group, sec.Group+1); err != nil {
					marked(t, err)
				}
			}
		}
	}
}

// marked fails the test unless err says that bytes are not what was written, or that a newer program wrote them.
func marked(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, ErrCorrupt) && !bytes.Contains([]byte(err.Error()), []byte("use the version that wrote it")) {
		t.Fatalf("not marked: %v", err)
	}
}

func FuzzTableList(f *testing.F) {
	f.Add(appendTables(nil, tables))
	f.Add(appendTables(nil, nil))
	f.Fuzz(func(t *testing.T, in []byte) {
		var list []Table
		var err error
		bounded(t, len(in), func() { list, err = parseTables("file", 0, in) })
		if err != nil {
			marked(t, err)
			return
		}
		if again := appendTables(nil, list); !bytes.Equal(again, in) {
			t.Fatalf("parsed and written again:\n%x\nwas\n%x", again, in)
		}
	})
}

func FuzzSection(f *testing.F) {
	for _, sections := range []map[string][]entry{bases, deltas} {
		file := write(f, config(nil, 7, 1<<20), sections)
		for _, s := range file.Operators[0].Sections {
			for _, e := range s.Blocks {
				f.Add(file.Inline[e.Offset+blockHeaderSize:e.Offset+e.Length], s.Kind == Delta)
			}
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, delta bool) {
		s := &SectionReader{Kind: Base, name: "file", tables: tables, rest: in}
		if delta {
			s.Kind = Delta
		}
		for size := 0; ; {
			c, err := s.Next()
			if err == io.EOF {
				if size != len(in) {
					t.Fatalf("chunks of %d bytes in a section of %d", size, len(in))
				}
				return
			}
			if err != nil {
				marked(t, err)
				return
			}
			size += chunkHeaderSize + len(c.Columns)
			if c.Count < 1 || c.Count > MaxEntries || c.Table == nil || !delta && c.Op != Put {
				t.Fatalf("chunk %+v", c)
			}
		}
	})
}
