package hdfs_test

import (
	"fmt"
	"io"
	"testing"

	"github.com/thalweg-io/thalweg/internal/storage"
	"github.com/thalweg-io/thalweg/internal/storage/hdfs"
)

// What a small checkpoint file costs from Create to visible.
func BenchmarkWriteFile4KiB(b *testing.B) {
	fs, dir := benchDir(b)
	data := make([]byte, 4096)
	for i := 0; b.Loop(); i++ {
		if err := storage.WriteFile(b.Context(), fs, storage.Join(dir, fmt.Sprint("f", i)), data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWrite64MiB(b *testing.B) {
	fs, dir := benchDir(b)
	data := make([]byte, 64<<20)
	b.SetBytes(int64(len(data)))
	for i := 0; b.Loop(); i++ {
		name := storage.Join(dir, fmt.Sprint("f", i))
		if err := storage.WriteFile(b.Context(), fs, name, data); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := fs.Remove(b.Context(), name); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func BenchmarkRead64MiB(b *testing.B) {
	fs, dir := benchDir(b)
	name := storage.Join(dir, "f")
	if err := storage.WriteFile(b.Context(), fs, name, make([]byte, 64<<20)); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(64 << 20)
	buf := make([]byte, 1<<20)
	for b.Loop() {
		r, err := fs.Open(b.Context(), name)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{r}, buf); err != nil || n != 64<<20 {
			b.Fatal(n, err)
		}
		r.Close()
	}
}

func BenchmarkStat(b *testing.B) {
	fs, dir := benchDir(b)
	for b.Loop() {
		if _, err := fs.Stat(b.Context(), dir); err != nil {
			b.Fatal(err)
		}
	}
}

func benchDir(b *testing.B) (storage.FileSystem, string) {
	h := shared.HDFS(b)
	fs, err := hdfs.Open(h.Addr(), hdfs.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { fs.Close() })
	return fs, freshDir(b, fs, h)
}
