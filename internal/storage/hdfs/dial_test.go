package hdfs_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/internal/storage"
	"github.com/thalweg-io/thalweg/internal/storage/hdfs"
)

// A host that swallows packets lets dials hang: a call ends with its context all the same, and, without a deadline, when its time is up.
func TestDialHangs(t *testing.T) {
	t.Parallel()
	hangs := func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
	open := func(dialTimeout time.Duration) *hdfs.FS {
		fs, err := hdfs.Open("host:1", hdfs.Options{User: "u", DialTimeout: dialTimeout, RetryFor: 500 * time.Millisecond, Dial: hangs})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { fs.Close() })
		return fs
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := open(time.Minute).Stat(ctx, "/x"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stat with a deadline: %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("stat with a deadline of 50 ms took %v", took)
	}
	if _, err := open(200*time.Millisecond).Stat(t.Context(), "/x"); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("stat without a deadline: %v", err)
	}
}
