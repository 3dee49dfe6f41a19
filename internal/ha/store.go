package ha

import (
	"context"
	"fmt"
	"strings"
)

// MaxValue is the largest value that a Store takes, in bytes. ZooKeeper refuses requests above 1 MiB by closing the
// connection without a word; a multi may carry several values, see MaxApply.
const MaxValue = 512 << 10

// MaxApply is the largest sum of paths and values of one Apply, in bytes.
const MaxApply = 900 << 10

// Value is what a path holds.
type Value struct {
	Data    []byte // the caller's own copy
	Version int64  // grows by one with each Put; 0 after Create
}

// AnyVersion makes a Put unconditional: it creates the path if it is missing.
const AnyVersion = -1

// Store is the fenced metadata store of one term. Keys are slash-separated paths below the cluster's root, such as
// "jobs/<id>/graph", without a leading or trailing slash; a path may hold a value and have children.
//
// Reads see at least everything that any earlier term wrote and this term was told of. They wait for the service as long as
// ctx and the term live. Writes of different paths may overlap; one path has one writer at a time.
type Store interface {
	// Get returns ErrNotFound if the path is missing.
	Get(ctx context.Context, path string) (Value, error)

	// List returns the names of a directory's children, sorted; none if it is missing or empty.
	List(ctx context.Context, dir string) ([]string, error)

	// Apply performs ops in order, all or none, and only while this term's epoch is the current one. nil: all are durable.
	// ErrFenced: none, and the term is over. ErrConflict: none; a created path exists, a changed or deleted one is missing, has
	// another version, or (Delete) has children. ErrTooLarge, ErrBadPath: nothing was sent. ErrUnknown: all or none, and the
	// caller must not act on either before it has read back; Settle does that. ErrUnavailable: nothing was sent.
	// Directories above a created path are made as needed. The ops and their data are borrowed until Apply returns.
	Apply(ctx context.Context, ops ...Op) error

	// Settle is Apply that waits for the outcome: on ErrUnknown it reads back behind a fenced barrier and applies again what
	// did not happen, until the outcome is known or ctx or the term ends (which is then the error, wrapping ErrUnknown while
	// the outcome is). It recognises its own earlier success: a state that equals what ops make, seen after the barrier. It
	// never reports a success that it did not see.
	Settle(ctx context.Context, ops ...Op) error

	// DeleteTree removes dir and everything below it, children first, in as many fenced steps as it takes; a missing dir is
	// success. It may be repeated after an error and finishes what an earlier call began.
	DeleteTree(ctx context.Context, dir string) error
}

// OpKind says what an Op does.
type OpKind uint8

// The kinds of Op.
const (
	OpCreate OpKind = iota + 1 // the path must not exist
	OpPut                      // the path must have Version, unless that is AnyVersion
	OpDelete                   // the path must exist, without children
)

// Op is one change of one path. Make it with Create, Put or Delete.
type Op struct {
	Kind    OpKind
	Path    string
	Data    []byte
	Version int64
}

// Create makes path, which must not exist, and the directories above it.
func Create(path string, data []byte) Op {
	return Op{Kind: OpCreate, Path: path, Data: data, Version: AnyVersion}
}

// Put replaces the value of path if it has the given version. With AnyVersion it replaces whatever is there, or makes it.
func Put(path string, data []byte, version int64) Op {
	return Op{Kind: OpPut, Path: path, Data: data, Version: version}
}

// Delete removes path, which must exist and have no children.
func Delete(path string) Op { return Op{Kind: OpDelete, Path: path, Version: AnyVersion} }

// String is for errors and logs; it never shows data.
func (o Op) String() string {
	switch o.Kind {
	case OpCreate:
		return fmt.Sprintf("create %s (%d bytes)", o.Path, len(o.Data))
	case OpPut:
		if o.Version == AnyVersion {
			return fmt.Sprintf("put %s (%d bytes)", o.Path, len(o.Data))
		}
		return fmt.Sprintf("put %s (%d bytes) at version %d", o.Path, len(o.Data), o.Version)
	case OpDelete:
		return "delete " + o.Path
	}
	return fmt.Sprintf("op %d of %s", o.Kind, o.Path)
}

// CheckPath reports a path that no kind of Store takes: empty, absolute, with an empty, "." or ".." element, a control
// character, or inside "leader", which belongs to the election.
func CheckPath(path string) error {
	if path == "" {
		return fmt.Errorf("%w: it is empty", ErrBadPath)
	}
	for i, c := range path {
		if c < 0x20 || c == 0x7f || c == 0xfffd {
			return fmt.Errorf("%w: %q has a control or invalid character at byte %d", ErrBadPath, path, i)
		}
	}
	for i, element := range strings.Split(path, "/") {
		switch {
		case element == "" || element == "." || element == "..":
			return fmt.Errorf("%w: %q has the element %q; write it as \"jobs/<id>/graph\"", ErrBadPath, path, element)
		case len(element) > 200:
			return fmt.Errorf("%w: %q has an element of %d bytes, the limit is 200", ErrBadPath, path, len(element))
		case i == 0 && element == "leader":
			return fmt.Errorf("%w: %q belongs to the election", ErrBadPath, path)
		}
	}
	return nil
}

// CheckOps reports the first op that no kind of Store takes: a bad path, a value or a sum above the limits.
func CheckOps(ops []Op) error {
	sum := 0
	for _, op := range ops {
		if err := CheckPath(op.Path); err != nil {
			return err
		}
		if len(op.Data) > MaxValue {
			return fmt.Errorf("%s: %w: the limit of one value is %d bytes; put the bytes on storage and a pointer here",
				op, ErrTooLarge, MaxValue)
		}
		sum += len(op.Path) + len(op.Data)
	}
	if sum > MaxApply {
		return fmt.Errorf("apply %d ops: %w: %d bytes, the limit of one step is %d", len(ops), ErrTooLarge, sum, MaxApply)
	}
	return nil
}
