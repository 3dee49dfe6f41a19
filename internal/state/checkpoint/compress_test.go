package checkpoint

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/golden"
	"github.com/thalweg-io/thalweg/internal/storage/storagetest"
)

// goldenPacked is the golden base with blocks large enough to be compressed, beside one that is not.
const goldenPacked = "chk-9/count_words-3-4.2-packed"

// packable are sections of which the first is worth compressing and the second is not.
func packable(t testing.TB) map[string][]entry {
	noise := make([]byte, 4<<10)
	r := rand.NewChaCha8([32]byte{1})
	if _, err := r.Read(noise); err != nil {
		t.Fatal(err)
	}
	return map[string][]entry{"a": {
		{10, Base, []chunk{{0, Put, 7, strings.Repeat("all alike. ", 600)}}},
		{11, Base, []chunk{{0, Put, 9, string(noise)}}},
	}}
}

func packed(c FileConfig) FileConfig { c.Compress = true; return c }

// What the encoder gives may change with its release; what it once gave must be read for ever.
func TestGoldenCompressedFile(t *testing.T) {
	sections := packable(t)
	f := write(t, packed(config(storagetest.NewMem(), 9, 1<<20)), sections)
	s := state(3, f)
	kept := golden.Kept(t, filepath.Join("testdata", filepath.FromSlash(goldenPacked)), s.Append(nil))
	old, err := DecodeSubtaskState(kept)
	if err != nil {
		t.Fatal(err)
	}
	for what, s := range map[string]*SubtaskState{"kept": old, "written": s} {
		if got, err := read(open(t, storagetest.NewMem(), s), "a", 10, 12); err != nil || !reflect.DeepEqual(got, sections["a"]) {
			t.Errorf("%s: %v, %v", what, got, err)
		}
		first, second := s.Files[0].Operators[0].Sections[0].Blocks[0], s.Files[0].Operators[0].Sections[1].Blocks[0]
		if b := s.Files[0].Inline[first.Offset:]; b[5] != zstdEncoding || first.Length > 300 {
			t.Errorf("%s: the block of what is all alike has encoding %d and %d bytes", what, b[5], first.Length)
		}
		if b := s.Files[0].Inline[second.Offset:]; b[5] != plainEncoding {
			t.Errorf("%s: the block of noise has encoding %d", what, b[5])
		}
	}
}

func TestEveryDamageOfACompressedFileIsFound(t *testing.T) {
	f := write(t, packed(config(storagetest.NewMem(), 9, 1<<20)), packable(t))
	damaged(f.Inline, func(what string, at int, b []byte) {
		broken := *f
		broken.Inline = b
		if broken.Size = int64(len(b)); broken.Size < headerSize+footerSize {
			return // Open says so
		}
		r, err := Open(t.Context(), storagetest.NewMem(), dir, state(3, &broken))
		if err == nil {
			err = everything(r)
		}
		if err == nil {
			t.Errorf("%s at %d is not found", what, at)
		}
	})
}

// A block with right checksums whose compressed content is none.
func TestBadCompressedBlocks(t *testing.T) {
	good := pack(new([]byte), append(make([]byte, blockHeaderSize), bytes.Repeat([]byte("alike "), 100)...))[blockHeaderSize:]
	claim := func(n uint32, frame []byte) []byte { return append(binary.LittleEndian.AppendUint32(nil, n), frame...) }
	for name, b := range map[string][]byte{
		"no length":  {1, 2, 3},
		"too little": claim(599, good[4:]),
		"too much":   claim(601, good[4:]),
		"a bomb":     claim(1<<32-1, good[4:]),
		"no frame":   claim(10, []byte("not a frame of zstd")),
		"cut":        good[:len(good)-1],
	} {
		if got, err := unpack("file", 7, b); !errors.Is(err, ErrCorrupt) || !strings.Contains(fmt.Sprint(err), "file") {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	if got, err := unpack("file", 7, good); err != nil || len(got) != 600 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// Compressed state larger than what stays in memory is written as it comes, and read in parts.
func TestLargeCompressedFiles(t *testing.T) {
	fs := storagetest.NewMem()
	r := rand.New(rand.NewPCG(1, 2))
	var all []entry
	for g := range 8 {
		e := entry{group: g, kind: Base}
		for range 40 {
			half := make([]byte, 16<<10)
			for i := range half {
				half[i] = byte(r.Uint32())
			}
			e.chunks = append(e.chunks, chunk{0, Put, 5, string(half) + strings.Repeat("x", 16<<10)})
		}
		all = append(all, e)
	}
	f := write(t, packed(config(fs, 9, 1<<10)), map[string][]entry{"a": all})
	if f.Path == "" || f.Size <= readAhead || f.Size > 7<<20 {
		t.Errorf("%d bytes at %q", f.Size, f.Path)
	}
	got, err := read(open(t, fs, state(3, f)), "a", 0, 8)
	if err != nil || !reflect.DeepEqual(got, all) {
		t.Errorf("%d sections, %v", len(got), err)
	}
}

// BenchmarkWrite writes state to nowhere, plain and compressed: bytes of an entry in the file, processor time of one.
func BenchmarkWrite(b *testing.B) {
	hosts, err := os.ReadFile("../../../examples/accesslog/access.log")
	if err != nil {
		b.Fatal(err)
	}
	lines := strings.Split(string(hosts), "\n")
	r := rand.New(rand.NewPCG(1, 2))
	for name, columns := range map[string]func(dst []byte, n int) []byte{
		"ints": func(dst []byte, n int) []byte { // a random key of 10 M, a count and a sum
			for range n {
				dst = binary.LittleEndian.AppendUint64(dst, r.Uint64N(10_000_000))
			}
			for range n {
				dst = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(dst, r.Uint64N(16)), r.Uint64N(100_000_000))
			}
			return dst
		},
		"lines": func(dst []byte, n int) []byte {
			c, err := codec.For[string]()
			if err != nil {
				b.Fatal(err)
			}
			vs := make([]string, n)
			for i := range vs {
				vs[i] = lines[r.IntN(len(lines))]
			}
			if dst, err = c.Append(dst, vs); err != nil {
				b.Fatal(err)
			}
			return dst
		},
	} {
		const perChunk, chunks = 256, 400
		columns := columns(nil, perChunk*chunks)
		step := len(columns) / chunks
		for _, compress := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/zstd=%v", name, compress), func(b *testing.B) {
				var size int64
				for range b.N {
					c := config(storagetest.NewMem(), 1, 1)
					c.Compress = compress
					w := NewFileWriter(context.Background(), c)
					o := w.Begin("a", tables, 128)
					for g := range 128 {
						o.Section(g, Base)
					}
					for i := range chunks {
						o.Later(step, func() {
							o.Chunk(i%4, 0, Put, perChunk, func(dst []byte) ([]byte, error) { return append(dst, columns[i*step:(i+1)*step]...), nil })
						})
					}
					f, err := w.Finish(context.Background())
					if err != nil {
						b.Fatal(err)
					}
					size = f.Size
				}
				b.SetBytes(int64(len(columns)))
				b.ReportMetric(float64(size)/(perChunk*chunks), "bytes/entry")
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(perChunk*chunks), "ns/entry")
			})
		}
	}
}
