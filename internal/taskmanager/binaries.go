package taskmanager

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/storage"
)

// binaryCache keeps job binaries on the local disk, by SHA-256, for the life of the process. Safe for concurrent use.
type binaryCache struct {
	dir     string
	storage *storage.Registry
	mu      struct {
		sync.Mutex
		fetching map[string]*sync.Mutex // by digest: one fetch at a time
	}
}

func newBinaryCache(dir string, s *storage.Registry) *binaryCache {
	c := &binaryCache{dir: dir, storage: s}
	c.mu.fetching = map[string]*sync.Mutex{}
	return c
}

// get returns the path of an executable copy whose content has the digest that ref names.
func (c *binaryCache) get(ctx context.Context, ref *thalwegv1.BinaryRef) (string, error) {
	c.mu.Lock()
	one := c.mu.fetching[ref.Sha256]
	if one == nil {
		one = new(sync.Mutex)
		c.mu.fetching[ref.Sha256] = one
	}
	c.mu.Unlock()
	one.Lock()
	defer one.Unlock()
	path := filepath.Join(c.dir, ref.Sha256)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := c.fetch(ctx, ref, path); err != nil {
		return "", fmt.Errorf("fetch the job's binary %s: %w", ref.Path, err)
	}
	return path, nil
}

func (c *binaryCache) fetch(ctx context.Context, ref *thalwegv1.BinaryRef, path string) error {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	fs, err := c.storage.Resolve(ctx, ref.Path)
	if err != nil {
		return err
	}
	in, err := fs.Open(ctx, ref.Path)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(c.dir, "fetch-*")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, sum), in)
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != ref.Sha256 || n != ref.Size {
		return fmt.Errorf("the file has %d bytes and SHA-256 %s, submitted were %d and %s: it was changed or damaged; submit the job again", n, got, ref.Size, ref.Sha256)
	}
	if err := out.Chmod(0o700); err != nil {
		return err
	}
	if err := out.Close(); err != nil { // before it is executed: a file open for writing is busy
		return err
	}
	return os.Rename(out.Name(), path)
}
