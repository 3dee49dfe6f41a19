package file

import (
	"os"
	"syscall"
)

// renameByLink moves without overwriting where the kernel has no such rename. For a file a hard link is exclusive; a crash between the two
// steps leaves both names, each whole. A directory cannot be linked: it is moved after a look, and the kernel itself refuses a target that is
// a file or has something in it.
func renameByLink(from, to string) error {
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		if err := os.Link(from, to); err != nil {
			return err
		}
		return os.Remove(from)
	}
	if _, err := os.Lstat(to); err == nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: syscall.EEXIST}
	}
	return os.Rename(from, to)
}
