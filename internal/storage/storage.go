// Package storage is the seam to the file systems that hold what must outlive a process: job graphs and binaries, checkpoint files, the input
// and output of file connectors.
//
// It owns the contract (FileSystem and the errors a caller may branch on), the Registry that finds the file system of a name, and what can be
// said once for all of them: whole-file reads and writes, and the probe that proves at start that a directory can be used.
//
// It never knows a scheme: implementations live in the folders below (file, hdfs) and are handed to NewRegistry by the program. It never
// imports the high-availability seam, because a user's binary links this package. The contract is checked by storagetest.Conformance, which
// every implementation runs.
package storage

import (
	"context"
	"io"
	"io/fs"
	"time"
)

// A FileSystem stores files that are written once and never changed.
//
// Names. A name is a full URI ("hdfs://ns/a/b", "file:///a/b") or a path ("/a/b") of this file system; a URI of another authority is an error.
// What a method returns names files in the form it was asked in: List("hdfs://ns/a") yields "hdfs://ns/a/b".
//
// Concurrency. All methods may be called from several goroutines. The Writers and Readers they return belong to one goroutine at a time.
//
// Blocking. Every call ends soon after its context does, also when a server accepted the connection and never answers. For Create and Open the
// context also bounds the life of the Writer or Reader: when it ends, their pending and later calls fail. A call without a deadline retries
// what is worth retrying (a server that restarts) for some seconds and then fails with ErrUnavailable; it never hangs.
//
// Errors are *Error and wrap one of the Err... sentinels where one applies, or the context's error when that was the reason.
type FileSystem interface {
	// Create begins a new file; missing parent directories are made. Nobody can see the file under its name before Writer.Close has returned
	// nil, and then it is whole. A name that exists already is ErrExist, at the latest from Close: nothing is ever overwritten.
	Create(ctx context.Context, name string) (Writer, error)

	// Open opens a file for reading. A missing one is ErrNotExist; a directory is ErrIsDirectory.
	Open(ctx context.Context, name string) (Reader, error)

	// Stat describes a file or directory. A missing one is ErrNotExist.
	Stat(ctx context.Context, name string) (Info, error)

	// List describes what is directly in a directory, sorted by name. Files that are not finished (see Unfinished) are left out. A missing
	// directory is ErrNotExist; a file is ErrNotDirectory.
	List(ctx context.Context, dir string) ([]Info, error)

	// Rename moves a file or directory inside this file system, atomically, and never overwrites: an existing target is ErrExist, a missing
	// source ErrNotExist. The target's parent must exist. Repeating a rename whose outcome is unknown (ErrUnavailable, an ended context) is
	// the caller's: source gone and target there means that it was done.
	Rename(ctx context.Context, from, to string) error

	// Remove deletes a file or an empty directory. A missing one is ErrNotExist; a directory with something in it is ErrNotEmpty.
	Remove(ctx context.Context, name string) error

	// RemoveAll deletes a file or a directory with all that is in it, unfinished files included. A missing one is no error.
	RemoveAll(ctx context.Context, name string) error

	// MkdirAll makes a directory and its missing parents. An existing directory is no error; a file in the way is ErrExist or ErrNotDirectory.
	MkdirAll(ctx context.Context, dir string) error

	// Close gives up connections. Open Writers and Readers fail from then on.
	Close() error
}

// A Writer writes one new file. Any error means that the file failed: the caller calls Abort and writes the whole content again under another
// name (or the same one, after looking whether it exists: see Close). It belongs to one goroutine at a time.
type Writer interface {
	// Write appends. It does not keep p. What it accepted may be lost until Close has returned nil.
	io.Writer

	// Close makes the file durable and visible under its name, whole. On an error nothing is visible, with one exception: after
	// ErrUnavailable or an ended context the last step may have been done all the same, so the file is there whole or not at all. A second
	// Close returns the result of the first.
	Close() error

	// Abort gives the file up and removes what was written, as far as the file system can be reached. After Close it does nothing, so
	// `defer w.Abort()` is right.
	Abort() error
}

// A Reader reads one file. A file that is renamed or removed while it is open may fail to read; its content never changes. It belongs to one goroutine at a time, but for ReadAt, which may be called from
// several and does not move the offset of Read and Seek.
type Reader interface {
	io.ReadCloser
	io.ReaderAt
	io.Seeker

	// Size is the length of the file in bytes.
	Size() int64
}

// Info describes a file or directory.
type Info struct {
	Path    string    // the name to use with the same FileSystem, in the form the question had
	Name    string    // last element of Path
	Size    int64     // bytes; 0 for a directory
	ModTime time.Time // as the file system tells it
	Dir     bool
}

// InfoOf is what a client library or the system says of a file.
func InfoOf(path string, i fs.FileInfo) Info {
	info := Info{Path: path, Name: Base(path), Size: i.Size(), ModTime: i.ModTime(), Dir: i.IsDir()}
	if info.Dir {
		info.Size = 0
	}
	return info
}
