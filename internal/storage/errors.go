package storage

import (
	"errors"
	"io/fs"
	"strings"
)

// What callers branch on, with errors.Is. The first three are those of io/fs, so that code written for either works with both.
var (
	ErrNotExist   = fs.ErrNotExist
	ErrExist      = fs.ErrExist
	ErrPermission = fs.ErrPermission

	// ErrUnavailable: the file system could not be reached, stopped answering, or lost the connection in the middle; trying again may help.
	// The call may have had its effect.
	ErrUnavailable = errors.New("storage unavailable")

	// ErrSafeMode: the HDFS NameNode is read-only for the time being. Trying again may help, without any effect so far.
	ErrSafeMode = errors.New("file system is in safe mode")

	ErrNotEmpty     = errors.New("directory not empty")
	ErrIsDirectory  = errors.New("is a directory")
	ErrNotDirectory = errors.New("not a directory")

	// ErrTooLarge: ReadFile met a file above the caller's limit.
	ErrTooLarge = errors.New("file too large")

	// ErrClosed: a Writer, Reader or FileSystem was used after it was closed.
	ErrClosed = fs.ErrClosed

	// ErrInvalidName: a name that this file system cannot have.
	ErrInvalidName = errors.New("invalid name")
)

// Error tells which operation failed on which name, and why.
type Error struct {
	Op   string // "create", "open", "stat", "list", "rename", "remove", "mkdir", "read", "write", "close", ...
	Path string // as the caller named it
	Kind error  // one of the Err... sentinels, or nil
	Err  error  // the cause as the file system told it, or nil when Kind says all
}

func (e *Error) Error() string {
	msg := e.Op + " " + e.Path
	switch {
	case e.Kind == nil:
		return msg + ": " + e.Err.Error()
	case e.Err == nil:
		return msg + ": " + e.Kind.Error()
	case strings.Contains(e.Err.Error(), e.Kind.Error()):
		return msg + ": " + e.Err.Error()
	}
	return msg + ": " + e.Kind.Error() + ": " + e.Err.Error()
}

// Unwrap makes errors.Is and errors.As see the sentinel and the cause.
func (e *Error) Unwrap() []error {
	var errs []error
	if e.Kind != nil {
		errs = append(errs, e.Kind)
	}
	if e.Err != nil {
		errs = append(errs, e.Err)
	}
	return errs
}

// Retriable says whether the same call may succeed later though nothing was changed by hand.
func Retriable(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrSafeMode)
}
