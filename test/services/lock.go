package services

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// lockFile locks a file against other processes and other calls in this one. The file stays; the kernel drops the lock with the process.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	var f *os.File
	err = poll(ctx, 50*time.Millisecond, func() (locked bool, err error) {
		f, locked, err = tryLock(path)
		return locked, err
	})
	if err != nil {
		return nil, err
	}
	return func() { f.Close() }, nil
}

// tryLock makes the file if need be and locks it, or says that it is locked. Closing the file unlocks it.
func tryLock(path string) (f *os.File, locked bool, err error) { return tryLockAs(path, os.O_CREATE) }

// tryLockExisting is tryLock for a file that exists.
func tryLockExisting(path string) (f *os.File, locked bool, err error) { return tryLockAs(path, 0) }

func tryLockAs(path string, flag int) (f *os.File, locked bool, err error) {
	f, err = os.OpenFile(path, os.O_RDWR|flag, 0o644)
	if err != nil {
		return nil, false, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil && !isNamed(f) {
		// It was removed between the two steps, by who had the lock.
		err = os.ErrNotExist
	}
	if err == nil {
		return f, true, nil
	}
	f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, false, nil
	}
	return nil, false, err
}

// isNamed says whether the open file is still the one of its name.
func isNamed(f *os.File) bool {
	open, errOpen := f.Stat()
	named, errNamed := os.Stat(f.Name())
	return errOpen == nil && errNamed == nil && os.SameFile(open, named)
}
