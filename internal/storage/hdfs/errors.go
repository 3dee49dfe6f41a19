package hdfs

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"

	lib "github.com/colinmarc/hdfs/v2"

	"github.com/thalweg-io/thalweg/internal/storage"
)

// kinds are the sentinels of what a NameNode may answer, by the exception's class. What the library has translated already is not here.
var kinds = map[string]error{
	"org.apache.hadoop.hdfs.server.namenode.SafeModeException":                       storage.ErrSafeMode,
	"org.apache.hadoop.ipc.RetriableException":                                       storage.ErrUnavailable, // starting, or too busy
	"org.apache.hadoop.ipc.StandbyException":                                         storage.ErrUnavailable,
	"org.apache.hadoop.hdfs.server.namenode.NotReplicatedYetException":               storage.ErrUnavailable,
	"org.apache.hadoop.fs.ParentNotDirectoryException":                               storage.ErrNotDirectory,
	"org.apache.hadoop.fs.PathIsNotDirectoryException":                               storage.ErrNotDirectory,
	"org.apache.hadoop.fs.InvalidPathException":                                      storage.ErrInvalidName,
	"org.apache.hadoop.hdfs.protocol.FSLimitException$PathComponentTooLongException": storage.ErrInvalidName,
	"org.apache.hadoop.fs.PathIsNotEmptyDirectoryException":                          storage.ErrNotEmpty,
	"org.apache.hadoop.fs.FileAlreadyExistsException":                                storage.ErrExist,
	"org.apache.hadoop.security.AccessControlException":                              storage.ErrPermission,
	"java.io.FileNotFoundException":                                                  storage.ErrNotExist,
	"org.apache.hadoop.hdfs.server.namenode.LeaseExpiredException":                   storage.ErrNotExist, // the file being written was removed
}

// kindOf sorts an error of the library, or one of this package's own sentinels. What did not come from the NameNode as an answer is a matter
// of connections or DataNodes: ErrUnavailable. An answer of an unknown class has no kind: repeating the call would not change it.
func kindOf(err error) error {
	var answer lib.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, storage.ErrNotDirectory):
		return storage.ErrNotDirectory
	case errors.Is(err, storage.ErrIsDirectory):
		return storage.ErrIsDirectory
	case errors.Is(err, storage.ErrClosed):
		return storage.ErrClosed
	case errors.Is(err, syscall.ENOTEMPTY): // before ErrExist, which it also is
		return storage.ErrNotEmpty
	case errors.Is(err, storage.ErrNotExist):
		return storage.ErrNotExist
	case errors.Is(err, storage.ErrExist):
		return storage.ErrExist
	case errors.Is(err, storage.ErrPermission):
		return storage.ErrPermission
	case errors.Is(err, os.ErrInvalid):
		return storage.ErrInvalidName
	case errors.Is(err, errPermanent):
		return nil
	case errors.As(err, &answer):
		if kind, ok := kinds[answer.Exception()]; ok {
			return kind
		}
		if answer.Method() == "addBlock" && answer.Exception() == "java.io.IOException" {
			return storage.ErrUnavailable // "could only be written to 0 of the 1 minReplication nodes": DataNodes are missing
		}
		return nil
	}
	return storage.ErrUnavailable
}

// errPermanent marks errors of this package that no repetition cures.
var errPermanent = errors.New("permanent")

// failure is the seam's error of a library's error. A context that ended is the reason, whatever the call said.
func (f *FS) failure(ctx context.Context, op, name string, err error) error {
	var done *storage.Error
	switch {
	case f.pool.isClosed():
		return &storage.Error{Op: op, Path: name, Kind: storage.ErrClosed}
	case ctx.Err() != nil:
		e := &storage.Error{Op: op, Path: name, Kind: ctx.Err()}
		if !errors.Is(err, ctx.Err()) {
			e.Err = f.cause(err, nil)
		}
		return e
	case errors.As(err, &done):
		return err
	}
	kind := kindOf(err)
	return &storage.Error{Op: op, Path: name, Kind: kind, Err: f.cause(err, kind)}
}

// cause keeps the original for errors.As and says in one line what a reader of the message needs.
func (f *FS) cause(err, kind error) error {
	msg := err.Error()
	var answer lib.Error
	if errors.As(err, &answer) {
		msg, _, _ = strings.Cut(answer.Message(), "\n") // a Java stack trace follows
		class := answer.Exception()
		msg = class[strings.LastIndexByte(class, '.')+1:] + ": " + msg
	}
	switch kind {
	case storage.ErrPermission:
		msg = "permission denied for user " + f.cluster.user
	case storage.ErrNotExist, storage.ErrExist, storage.ErrNotEmpty, storage.ErrNotDirectory, storage.ErrIsDirectory:
		if answer == nil {
			return nil // the kind says all
		}
	case storage.ErrUnavailable:
		msg += " (NameNode " + strings.Join(f.cluster.namenodes, ", ") + ")"
	}
	return &reason{msg: msg, err: err}
}

type reason struct {
	msg string
	err error
}

func (r *reason) Error() string { return r.msg }
func (r *reason) Unwrap() error { return r.err }
