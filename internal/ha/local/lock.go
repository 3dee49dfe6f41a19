package local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// lock is an exclusive file lock. It belongs to the open file: it ends with unlock or with the process, and a child process
// does not inherit it, because Go opens files close-on-exec.
type lock struct {
	file *os.File
	path string
}

// tryLock takes the lock of path, or returns nil if another has it.
func tryLock(path string) (*lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := flock(f, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, nil
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	l := &lock{f, path}
	if !l.current() { // somebody removed the file between the opening and the locking
		l.unlock()
		return nil, nil
	}
	return l, nil
}

// current reports whether the path still names the locked file. If it was removed, somebody else may lock another one.
func (l *lock) current() bool {
	mine, err := l.file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(l.path)
	return err == nil && os.SameFile(mine, there)
}

// unlock frees the lock. It says so before it closes: a process being forked at this moment holds a copy of the file.
func (l *lock) unlock() {
	flock(l.file, unix.LOCK_UN)
	l.file.Close()
}

// held reports whether somebody holds the lock of path. It takes the lock shared for an instant, which makes a contender that
// tries in that instant try again.
func held(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	if err := flock(f, unix.LOCK_SH|unix.LOCK_NB); err != nil {
		return errors.Is(err, unix.EWOULDBLOCK)
	}
	flock(f, unix.LOCK_UN)
	return false
}

func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// remote are file systems on which another machine may be, by their magic numbers (statfs(2), linux/magic.h).
var remote = map[int64]string{
	0x6969: "NFS", 0x517b: "SMB", 0xff534d42: "CIFS", 0xfe534d42: "SMB2", 0x65735546: "FUSE", 0x00c36400: "Ceph", 0x5346414f: "AFS",
	0x6b414653: "AFS", 0x73757245: "Coda", 0x564c: "NCP", 0x01021997: "9P", 0x0bd00bd0: "Lustre", 0x47504653: "GPFS", 0x01161970: "GFS2",
	0x7461636f: "OCFS2", 0x19830326: "BeeGFS",
}

// checkFileSystem refuses a directory on a network file system. Of a directory that is missing, its nearest ancestor counts.
func checkFileSystem(dir string) error {
	var st unix.Statfs_t
	for at := dir; ; at = filepath.Dir(at) {
		err := unix.Statfs(at, &st)
		if errors.Is(err, unix.ENOENT) && at != filepath.Dir(at) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: cannot tell what file system it is on: %w", dir, err)
		}
		return refuseRemote(dir, int64(st.Type))
	}
}

func refuseRemote(dir string, magic int64) error {
	if name, ok := remote[magic&0xffffffff]; ok {
		return fmt.Errorf("%s is on a network file system (%s), where file locks do not decide who leads; "+
			"use a directory on a disk of this machine, or high-availability.type: zookeeper for several machines", dir, name)
	}
	return nil
}
