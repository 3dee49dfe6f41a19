package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// How WriteFile tries again when the storage lost a file half-way. An HDFS of three DataNodes takes new files 4 s after it lost one of them.
const (
	writeRetryFor   = 20 * time.Second
	writeRetryPause = 250 * time.Millisecond
)

// WriteFile writes a whole new file. What lies in memory can be written again, so an attempt that failed with ErrUnavailable is repeated for
// some seconds, as long as ctx allows. An existing file is ErrExist, unless an earlier attempt of this call made it: the content decides.
func WriteFile(ctx context.Context, fs FileSystem, name string, data []byte) error {
	giveUp := time.Now().Add(writeRetryFor)
	unknown := false // an attempt of ours may have put the file in place
	for {
		err := writeOnce(ctx, fs, name, data)
		switch {
		case err == nil:
			return nil
		case unknown && errors.Is(err, ErrExist):
			return confirm(ctx, fs, name, data, err)
		case !errors.Is(err, ErrUnavailable) || time.Now().After(giveUp):
			return err
		}
		unknown = true
		if !sleep(ctx, writeRetryPause) {
			return err
		}
	}
}

func writeOnce(ctx context.Context, fs FileSystem, name string, data []byte) error {
	w, err := fs.Create(ctx, name)
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := w.Write(data); err != nil {
		return err
	}
	return w.Close()
}

// confirm turns ErrExist into success when the file is byte for byte what this call was writing.
func confirm(ctx context.Context, fs FileSystem, name string, data []byte, exists error) error {
	got, err := ReadFile(ctx, fs, name, int64(len(data)))
	if err == nil && bytes.Equal(got, data) {
		return nil
	}
	return exists
}

// ReadFile reads a whole file of at most max bytes; a larger one is ErrTooLarge before anything is allocated.
func ReadFile(ctx context.Context, fs FileSystem, name string, max int64) ([]byte, error) {
	r, err := fs.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if r.Size() > max {
		return nil, &Error{Op: "read", Path: name, Kind: ErrTooLarge, Err: fmt.Errorf("%d bytes, at most %d allowed", r.Size(), max)}
	}
	data := make([]byte, r.Size())
	if _, err := io.ReadFull(r, data); err != nil {
		var e *Error
		if errors.As(err, &e) {
			return nil, err
		}
		return nil, &Error{Op: "read", Path: name, Err: fmt.Errorf("size is %d bytes: %w", r.Size(), err)}
	}
	return data, nil
}

// sleep waits, and says false when ctx ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
