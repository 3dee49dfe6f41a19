package file_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/thalweg-io/thalweg/internal/storage"
	"github.com/thalweg-io/thalweg/internal/storage/file"
)

// denied gives a directory that may be read and not written. Tests often run as root, whom no mode stops, so each call is made on a thread
// whose file system user is nobody; the thread ends with the call.
func denied(t *testing.T) (storage.FileSystem, string) {
	temp := t.TempDir()
	for _, d := range []string{temp, filepath.Dir(temp)} { // nobody must get through to the directory
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(temp, "readonly")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "readable"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(dir, 0o755) })
	return asNobody{&file.FS{}}, "file://" + dir
}

type asNobody struct{ fs *file.FS }

func do[T any](call func() (T, error)) (v T, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if os.Getuid() == 0 {
			runtime.LockOSThread() // and never unlocked: the thread is not used for anything else
			if err = unix.Setfsuid(65534); err != nil {
				return
			}
		}
		v, err = call()
	}()
	<-done
	return v, err
}

func do0(call func() error) error {
	_, err := do(func() (struct{}, error) { return struct{}{}, call() })
	return err
}

func (a asNobody) Create(ctx context.Context, n string) (storage.Writer, error) {
	return do(func() (storage.Writer, error) { return a.fs.Create(ctx, n) })
}
func (a asNobody) Open(ctx context.Context, n string) (storage.Reader, error) {
	return do(func() (storage.Reader, error) { return a.fs.Open(ctx, n) })
}
func (a asNobody) Stat(ctx context.Context, n string) (storage.Info, error) {
	return do(func() (storage.Info, error) { return a.fs.Stat(ctx, n) })
}
func (a asNobody) List(ctx context.Context, n string) ([]storage.Info, error) {
	return do(func() ([]storage.Info, error) { return a.fs.List(ctx, n) })
}
func (a asNobody) Rename(ctx context.Context, n, to string) error {
	return do0(func() error { return a.fs.Rename(ctx, n, to) })
}
func (a asNobody) Remove(ctx context.Context, n string) error {
	return do0(func() error { return a.fs.Remove(ctx, n) })
}
func (a asNobody) RemoveAll(ctx context.Context, n string) error {
	return do0(func() error { return a.fs.RemoveAll(ctx, n) })
}
func (a asNobody) MkdirAll(ctx context.Context, n string) error {
	return do0(func() error { return a.fs.MkdirAll(ctx, n) })
}
func (a asNobody) Close() error { return nil }
