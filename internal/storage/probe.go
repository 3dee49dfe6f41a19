package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/user"
)

// A UserNamer is a FileSystem that acts under a user's name of its own.
type UserNamer interface {
	User() string
}

// Probe proves that files in dir can be written, read back, listed and deleted, and leaves nothing behind but dir itself, which it makes if it
// is missing. Its error names the directory, the user, the operation that failed and, where one is known, the remedy; it wraps the *Error of
// that operation. It tries each operation once more than the file system itself does; whether to wait for ErrSafeMode is the caller's choice.
func Probe(ctx context.Context, fs FileSystem, dir string) error {
	if err := fs.MkdirAll(ctx, dir); err != nil {
		return probeError(fs, dir, "make the directory", err)
	}
	name := Join(dir, "probe-"+uniqueID())
	want := []byte("thalweg probes whether it can write here; this file may be deleted\n")
	if err := writeOnce(ctx, fs, name, want); err != nil {
		return probeError(fs, dir, "write a file", err)
	}
	got, err := ReadFile(ctx, fs, name, 1<<10)
	if err == nil && !bytes.Equal(got, want) {
		err = &Error{Op: "read", Path: name, Err: fmt.Errorf("read back %d other bytes than the %d written", len(got), len(want))}
	}
	if err != nil {
		return errors.Join(probeError(fs, dir, "read a file back", err), fs.Remove(ctx, name))
	}
	infos, err := fs.List(ctx, dir)
	if err == nil && !listed(infos, Base(name)) {
		err = &Error{Op: "list", Path: dir, Err: fmt.Errorf("%s was just written and is not listed", Base(name))}
	}
	if err != nil {
		return errors.Join(probeError(fs, dir, "list files", err), fs.Remove(ctx, name))
	}
	if err := fs.Remove(ctx, name); err != nil {
		return probeError(fs, dir, "delete a file", err)
	}
	return nil
}

func listed(infos []Info, base string) bool {
	for _, i := range infos {
		if i.Name == base {
			return true
		}
	}
	return false
}

func probeError(fs FileSystem, dir, what string, err error) error {
	name := "unknown"
	if n, ok := fs.(UserNamer); ok {
		name = n.User()
	} else if u, uerr := user.Current(); uerr == nil {
		name = u.Username
	}
	if r := remedy(err, dir, name); r != "" {
		return fmt.Errorf("probe %s: user %q cannot %s: %w (%s)", dir, name, what, err, r)
	}
	return fmt.Errorf("probe %s: user %q cannot %s: %w", dir, name, what, err)
}

// remedy says what to do by hand about an error of Probe.
func remedy(err error, dir, user string) string {
	scheme, authority, p := Split(dir)
	switch {
	case errors.Is(err, ErrSafeMode):
		return "wait until enough DataNodes have reported, or run: hdfs dfsadmin -safemode leave"
	case errors.Is(err, ErrPermission) && scheme == "hdfs":
		return fmt.Sprintf("create it once as the superuser: hdfs dfs -mkdir -p %s && hdfs dfs -chown %s %s; or set HADOOP_USER_NAME", p, user, p)
	case errors.Is(err, ErrPermission):
		return fmt.Sprintf("give the directory to this user: chown %s %s; or choose another one", user, p)
	case errors.Is(err, ErrUnavailable) && scheme == "hdfs":
		return fmt.Sprintf("is the NameNode %q running, is HADOOP_CONF_DIR right, are DataNodes live (hdfs dfsadmin -report)?", authority)
	case errors.Is(err, ErrNotDirectory), errors.Is(err, ErrExist):
		return "a file is in the way: choose another directory or remove the file"
	}
	return ""
}
