package checkpoint

import (
	"context"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/thalweg-io/thalweg/internal/golden"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/storage"
	"github.com/thalweg-io/thalweg/internal/storage/storagetest"
)

// goldenBase and goldenDelta are where the golden checkpoint keeps its files, in testdata as below a job's directory.
const (
	goldenBase  = "chk-7/count_words-3-4.2-base"
	goldenDelta = "chk-8/count_words-3-4.2-delta"
)

// goldenCheckpoint is one with all there is in the formats: base and delta, each in a file of its own and inline, an ended subtask, an operator
// that is not keyed. Nothing in it is random.
func goldenCheckpoint(t testing.TB) (m *Metadata, files map[string][]byte) {
	t.Helper()
	m = &Metadata{JobID: "0123456789abcdef0123456789abcdef", ID: 8, Generation: job.Generation{Epoch: 4, N: 2}, GraphVersion: 0xfeedfacecafebeef, Base: 7}
	whole := func(sections map[string][]entry, path string) (outside, inside *File) {
		inside = write(t, config(storagetest.NewMem(), 8, 1<<20), sections)
		outside = &File{Path: path, Size: inside.Size, CRC: inside.CRC, Operators: inside.Operators}
		return outside, inside
	}
	base, inlineBase := whole(bases, goldenBase)
	delta, inlineDelta := whole(deltas, goldenDelta)
	m.Subtasks = []*SubtaskState{state(3, base, delta), state(4, inlineBase, inlineDelta)}
	m.Subtasks[1].Ended = true
	m.Subtasks[1].Operators = []OperatorState{{UID: "source", Entries: [][]byte{{}, []byte("split 1 at 4096")}}}
	return m, map[string][]byte{goldenBase: inlineBase.Inline, goldenDelta: inlineDelta.Inline}
}

// TestGoldenFiles: what an earlier program wrote is read, and what this one writes is the same. A difference means that checkpoints of before
// cannot be restored: raise the version and keep the reader of the old one.
func TestGoldenFiles(t *testing.T) {
	m, files := goldenCheckpoint(t)
	files[MetadataName] = m.Encode()
	kept := map[string][]byte{}
	for path, b := range files {
		kept[path] = golden.File(t, filepath.Join("testdata", filepath.FromSlash(path)), b)
	}

	got, err := DecodeMetadata(MetadataName, kept[MetadataName])
	if err != nil || !reflect.DeepEqual(got, m) {
		t.Fatalf("got %+v, %v\nwant %+v", got, err, m)
	}
	if paths := got.Files(); !reflect.DeepEqual(paths, []string{goldenBase, goldenDelta}) {
		t.Errorf("files %v", paths)
	}
	fs := storagetest.NewMem()
	for _, path := range got.Files() {
		if err := storage.WriteFile(context.Background(), fs, storage.Join(dir, path), kept[path]); err != nil {
			t.Fatal(err)
		}
	}
	want := []entry{bases["a"][0], deltas["a"][0], bases["a"][1], deltas["a"][1], bases["a"][2]}
	for _, s := range got.Subtasks {
		if sections, err := read(open(t, fs, s), "a", 10, 13); err != nil || !reflect.DeepEqual(sections, want) {
			t.Errorf("subtask %d: %v, %v", s.Subtask, sections, err)
		}
	}
}
