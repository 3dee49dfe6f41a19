package checkpoint

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/thalweg-io/thalweg/internal/storage"
	"github.com/thalweg-io/thalweg/internal/storage/storagetest"
)

// damaged calls check with every version of b in which one bit is another, and with every beginning of b.
func damaged(b []byte, check func(what string, at int, b []byte)) {
	c := slices.Clone(b)
	for at := range c {
		for bit := range 8 {
			c[at] ^= 1 << bit
			check("flipped bit in byte", at, c)
			c[at] ^= 1 << bit
		}
	}
	for n := range b {
		check("cut off at byte", n, b[:n:n])
	}
}

// mustName fails the test unless err is marked ErrCorrupt and names the file.
func mustName(t *testing.T, name, what string, at int, err error) {
	t.Helper()
	if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), name) {
		t.Fatalf("%s %d: %v, want an error about %s that is marked ErrCorrupt", what, at, err, name)
	}
}

func TestEveryDamageOfMetadataIsFound(t *testing.T) {
	m, _ := goldenCheckpoint(t)
	const name = "mem:///ckpt/chk-8/_metadata"
	damaged(m.Encode(), func(what string, at int, b []byte) {
		_, err := DecodeMetadata(name, b)
		mustName(t, name, what, at, err)
	})
}

func TestEveryDamageOfASubtaskStateIsFound(t *testing.T) {
	m, _ := goldenCheckpoint(t)
	damaged(m.Subtasks[1].Append(nil), func(what string, at int, b []byte) {
		_, err := DecodeSubtaskState(b)
		mustName(t, "subtask state", what, at, err)
	})
}

// everything reads all sections of both operators of bases.
func everything(r *Reader) error {
	for _, uid := range []string{"a", "b"} {
		if _, err := read(r, uid, 10, 13); err != nil {
			return err
		}
	}
	return nil
}

func TestEveryDamageOfAStateFileIsFound(t *testing.T) {
	m, files := goldenCheckpoint(t)
	file, inline := m.Subtasks[0].Files[0], m.Subtasks[1].Files[0]
	name := storage.Join(dir, file.Path)
	damaged(files[file.Path], func(what string, at int, b []byte) {
		fs := storagetest.NewMem()
		if err := storage.WriteFile(context.Background(), fs, name, b); err != nil {
			t.Fatal(err)
		}
		mustName(t, name, what, at, everything(open(t, fs, state(3, &file))))

		inline.Inline = b
		mustName(t, "state of count/words/4 in the metadata", what, at, everything(open(t, nil, state(4, &inline))))
	})
}

// TestDamageOfALargeFileIsFound: such a file is never read whole, so each of its parts has to be guarded by itself.
func TestDamageOfALargeFileIsFound(t *testing.T) {
	big := strings.Repeat("x", readAhead/2)
	var es []entry
	for g := range 3 {
		es = append(es, entry{g, Base, []chunk{{0, Put, 1, big}}})
	}
	f := write(t, config(nil, 1, 1<<30), map[string][]entry{"op": es})
	b := f.Inline
	f.Inline, f.Path = nil, "chk-1/large"
	if f.Size <= readAhead {
		t.Fatalf("only %d bytes", f.Size)
	}
	name := storage.Join(dir, f.Path)
	var places []int
	for at := range headerSize {
		places = append(places, at)
	}
	for at := range footerSize {
		places = append(places, len(b)-1-at)
	}
	extents := []Extent{f.Operators[0].Tables}
	for _, s := range f.Operators[0].Sections {
		extents = append(extents, s.Blocks...)
	}
	for _, e := range extents {
		places = append(places, int(e.Offset), int(e.Offset)+7, int(e.Offset)+20, int(e.Offset)+blockHeaderSize, int(e.Offset+e.Length)-1)
	}
	for _, at := range places {
		c := slices.Clone(b)
		c[at] ^= 4
		fs := storagetest.NewMem()
		if err := storage.WriteFile(context.Background(), fs, name, c); err != nil {
			t.Fatal(err)
		}
		_, err := read(open(t, fs, state(3, f)), "op", 0, 3)
		mustName(t, name, "flipped bit in byte", at, err)
	}
}

// TestAnotherFileOfTheSameSizeIsFound: the metadata and the file are checked against each other.
func TestAnotherFileOfTheSameSizeIsFound(t *testing.T) {
	other := map[string][]entry{"a": slices.Clone(bases["a"]), "b": bases["b"]}
	other["a"][0] = entry{10, Base, []chunk{{0, Put, 2, "TWO"}, {1, Put, 1, "t"}}}
	a, b := write(t, config(nil, 7, 1<<20), bases), write(t, config(nil, 7, 1<<20), other)
	a.Inline = b.Inline
	_, err := read(open(t, nil, state(3, a)), "a", 10, 13)
	mustName(t, "in the metadata", "another file", 0, err)
	if !strings.Contains(err.Error(), "it is another file") {
		t.Errorf("got %v", err)
	}
}
