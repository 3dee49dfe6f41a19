package file_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/thalweg-io/thalweg/internal/storage"
	"github.com/thalweg-io/thalweg/internal/storage/file"
	"github.com/thalweg-io/thalweg/internal/storage/storagetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	storagetest.Conformance(t, func(t *testing.T) storagetest.Target {
		dir := t.TempDir()
		return storagetest.Target{FS: &file.FS{}, Dir: "file://" + dir, Denied: denied,
			Cannot: map[string]string{"server": "a local disk has no connection"}}
	})
}

func TestRelativeNames(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := storage.WriteFile(t.Context(), &file.FS{}, "sub/a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join("sub", "a")); err != nil || string(b) != "x" {
		t.Errorf("read %q, %v", b, err)
	}
}

func TestForeignHost(t *testing.T) {
	t.Parallel()
	if _, err := file.Open(t.Context(), "otherhost"); err == nil {
		t.Error("file://otherhost/ was accepted")
	}
}
