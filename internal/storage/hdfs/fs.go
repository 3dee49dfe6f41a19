// Package hdfs is the storage.FileSystem of HDFS (scheme "hdfs"), on github.com/colinmarc/hdfs/v2.
//
// It owns what that library leaves to its user: deadlines on every connection, clients that are thrown away after any doubt, retries over a
// restart or failover of the NameNode, renames that do not overwrite, files that appear whole, and the resolution of nameservices.
//
// It never resumes, appends to, or repairs a file: HDFS through Go has neither hsync nor pipeline recovery nor lease recovery, so a file is
// written in one go, and any error means that it failed.
//
// Reading path: fs.go (calls and retries), client.go (one connection and its use), pool.go, conn.go (deadlines, the rename that does not overwrite),
// writer.go, reader.go, conf.go, errors.go.
//
// Not obvious:
//   - A client is used by one call, Writer or Reader at a time, so that ending it (a context that ended) disturbs nobody else.
//   - The library's goroutines of a block being written end only through FileWriter.Close, and only if no Write of its connection ever fails:
//     conn.go swallows write errors after the first and reports them from Read.
//   - Flush waits for nothing; only Close tells whether the DataNodes have the bytes.
//   - After an error FileWriter.Close must not be asked again: it may say "done" for a block that was lost.
package hdfs

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	lib "github.com/colinmarc/hdfs/v2"

	"github.com/thalweg-io/thalweg/internal/storage"
)

// Options say how to talk to a cluster. The zero value takes everything from the environment, as Hadoop's own clients do.
type Options struct {
	// ConfDir holds core-site.xml and hdfs-site.xml; "" means $HADOOP_CONF_DIR, else $HADOOP_HOME/etc/hadoop, else none.
	ConfDir string
	// User acts for whom; "" means $HADOOP_USER_NAME, else the user of the process.
	User string

	// DialTimeout bounds the set-up of a connection; 0 means 3 s.
	DialTimeout time.Duration
	// CallTimeout is how long a NameNode may take for an answer; 0 means 10 s.
	CallTimeout time.Duration
	// DataTimeout is how long a DataNode may pass no byte though it owes some, and how long the NameNode may take to see the last block's
	// replicas; 0 means 20 s.
	DataTimeout time.Duration
	// RetryFor is how long a call is repeated while the NameNode is unreachable, standby or in safe mode; 0 means 12 s. A restarted NameNode
	// needs 3 s at least.
	RetryFor time.Duration

	// Dial replaces net.Dialer, for tests that put something between.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&o.DialTimeout, 3*time.Second)
	set(&o.CallTimeout, 10*time.Second)
	set(&o.DataTimeout, 20*time.Second)
	set(&o.RetryFor, 12*time.Second)
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	return o
}

// FS is one HDFS cluster, seen by one user.
type FS struct {
	opts    Options // with defaults
	cluster cluster
	pool    pool
	garbage garbage
}

var (
	_ storage.FileSystem = (*FS)(nil)
	_ storage.UserNamer  = (*FS)(nil)
)

// Opener returns the storage.Opener of the scheme "hdfs".
func Opener(o Options) storage.Opener {
	return func(_ context.Context, authority string) (storage.FileSystem, error) { return Open(authority, o) }
}

// Open prepares for the cluster that authority names: host:port, host (port 8020), a nameservice of the Hadoop configuration, or "" for its
// fs.defaultFS. No connection is made before the first call.
func Open(authority string, o Options) (*FS, error) {
	o = o.withDefaults()
	cl, err := resolve(authority, o, os.Getenv)
	if err != nil {
		return nil, err
	}
	f := &FS{opts: o, cluster: cl}
	f.pool.init(f.opts, f.cluster)
	return f, nil
}

// User implements storage.UserNamer.
func (f *FS) User() string { return f.cluster.user }

// path checks a name and returns what the NameNode calls it.
func (f *FS) path(op, name string) (string, error) {
	scheme, authority, p := storage.Split(name)
	switch {
	case scheme != "" && scheme != "hdfs",
		scheme != "" && !slices.Contains(f.cluster.authorities, authority),
		!strings.HasPrefix(p, "/"):
		return "", &storage.Error{Op: op, Path: name, Kind: storage.ErrInvalidName,
			Err: errors.New("not a name of hdfs://" + f.cluster.authorities[0])}
	}
	return storage.Join(p), nil
}

// How soon a failed call is tried again.
const (
	firstPause = 50 * time.Millisecond
	maxPause   = 500 * time.Millisecond
)

// retry makes attempts until one succeeds, fails for good, or time is up. An attempt is told whether an earlier one may have had its effect.
// The error is the caller's, complete with operation and name.
func (f *FS) retry(ctx context.Context, op, name string, attempt func(again bool) error) error {
	giveUp := time.Now().Add(f.opts.RetryFor)
	pause := firstPause
	for again := false; ; again = true {
		err := ctx.Err()
		if err == nil {
			err = attempt(again)
		}
		if err == nil {
			return nil
		}
		err = f.failure(ctx, op, name, err)
		if !storage.Retriable(err) || time.Now().After(giveUp) {
			return err
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done(): // the next turn reports it
		case <-t.C:
		}
		t.Stop()
		pause = min(2*pause, maxPause)
	}
}

// call is retry with a client of its own for each attempt. An attempt that keeps the client (client.keep) releases it itself later.
func (f *FS) call(ctx context.Context, op, name string, attempt func(c *client, again bool) error) error {
	return f.retry(ctx, op, name, func(again bool) error {
		c, err := f.pool.acquire(ctx)
		if err != nil {
			return err
		}
		err = attempt(c, again)
		if err != nil && kindOf(err) == storage.ErrUnavailable {
			c.retire(err)
		}
		if err != nil || !c.kept {
			f.pool.release(c)
		}
		return err
	})
}

// Stat implements storage.FileSystem.
func (f *FS) Stat(ctx context.Context, name string) (storage.Info, error) {
	p, err := f.path("stat", name)
	if err != nil {
		return storage.Info{}, err
	}
	var info os.FileInfo
	err = f.call(ctx, "stat", name, func(c *client, _ bool) (err error) {
		info, err = c.lib.Stat(p)
		return err
	})
	if err != nil {
		return storage.Info{}, err
	}
	return storage.InfoOf(name, info), nil
}

// List implements storage.FileSystem.
func (f *FS) List(ctx context.Context, dir string) ([]storage.Info, error) {
	p, err := f.path("list", dir)
	if err != nil {
		return nil, err
	}
	var entries []os.FileInfo
	err = f.call(ctx, "list", dir, func(c *client, _ bool) error {
		r, err := c.lib.Open(p)
		if err != nil {
			return err
		}
		defer r.Close() // holds nothing: a directory has no blocks
		if !r.Stat().IsDir() {
			return storage.ErrNotDirectory
		}
		entries, err = r.Readdir(0)
		return err
	})
	if err != nil {
		return nil, err
	}
	infos := make([]storage.Info, 0, len(entries))
	for _, e := range entries {
		if !storage.Unfinished(e.Name()) {
			infos = append(infos, storage.InfoOf(storage.Join(dir, e.Name()), e))
		}
	}
	slices.SortFunc(infos, func(a, b storage.Info) int { return strings.Compare(a.Name, b.Name) })
	return infos, nil
}

// Rename implements storage.FileSystem. When an attempt's answer was lost and the next one finds the source gone and the target there, the
// first one did it: with names that are used once nobody else can have.
func (f *FS) Rename(ctx context.Context, from, to string) error {
	p, err := f.path("rename", from)
	if err != nil {
		return err
	}
	q, err := f.path("rename", to)
	if err != nil {
		return err
	}
	return f.call(ctx, "rename", from+" to "+to, func(c *client, again bool) error { return c.move(p, q, again) })
}

// move renames without overwriting; again says that an earlier attempt may have done it.
func (c *client) move(from, to string, again bool) error {
	err := c.rename(from, to)
	var answer lib.Error
	switch {
	case again && errors.Is(err, storage.ErrNotExist):
		if _, serr := c.lib.Stat(to); serr == nil {
			return nil
		}
	case errors.As(err, &answer) && answer.Exception() == "java.io.IOException": // what a target of another kind gets, among others
		if _, serr := c.lib.Stat(to); serr == nil {
			return storage.ErrExist
		}
	}
	return err
}

// Remove implements storage.FileSystem.
func (f *FS) Remove(ctx context.Context, name string) error {
	p, err := f.path("remove", name)
	if err != nil {
		return err
	}
	return f.call(ctx, "remove", name, func(c *client, again bool) error {
		err := c.lib.Remove(p)
		if again && errors.Is(err, storage.ErrNotExist) {
			return nil // the attempt whose answer was lost removed it
		}
		return err
	})
}

// RemoveAll implements storage.FileSystem.
func (f *FS) RemoveAll(ctx context.Context, name string) error {
	p, err := f.path("remove all of", name)
	if err != nil {
		return err
	}
	return f.call(ctx, "remove all of", name, func(c *client, _ bool) error {
		err := c.lib.RemoveAll(p)
		if kind := kindOf(err); kind == storage.ErrNotExist || kind == storage.ErrNotDirectory { // nothing can be below a file
			return nil
		}
		return err
	})
}

// MkdirAll implements storage.FileSystem.
func (f *FS) MkdirAll(ctx context.Context, dir string) error {
	p, err := f.path("mkdir", dir)
	if err != nil {
		return err
	}
	return f.call(ctx, "mkdir", dir, func(c *client, _ bool) error { return c.lib.MkdirAll(p, 0o755) })
}

// Close implements storage.FileSystem: calls in flight fail, and so do open Writers and Readers.
func (f *FS) Close() error {
	f.pool.close()
	return nil
}
