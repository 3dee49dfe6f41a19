package services

import (
	"errors"
	"os"
	"path/filepath"
)

// A folder is swept only if it has both names, so that no other one, such as that of the command's `up`, is ever taken for one.
const (
	tempDirPrefix = "thalweg-services-"
	tempDirLock   = ".locked-while-in-use"
)

// tempDir makes a folder in root for the life of this process, and removes those there whose processes were killed before they could. A locked
// file in a folder says that its process lives; one without that file is left alone, as it may be about to get it.
func tempDir(root string) (dir string, remove func() error, err error) {
	if err := sweep(root); err != nil {
		return "", nil, err
	}
	for {
		dir, err := os.MkdirTemp(root, tempDirPrefix)
		if err != nil {
			return "", nil, err
		}
		f, locked, err := tryLock(filepath.Join(dir, tempDirLock))
		if err == nil && locked {
			return dir, func() error { return errors.Join(os.RemoveAll(dir), f.Close()) }, nil
		}
		// A sweep got hold of the file before it was locked: the folder is going.
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", nil, err
		}
	}
}

func sweep(root string) error {
	locks, err := filepath.Glob(filepath.Join(root, tempDirPrefix+"*", tempDirLock))
	if err != nil {
		return err
	}
	for _, lock := range locks {
		dir := filepath.Dir(lock)
		f, locked, err := tryLockExisting(lock)
		if err != nil || !locked {
			continue // in use, gone, or another user's
		}
		err = os.RemoveAll(dir)
		f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
