package services

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Shared is one set of servers for all tests of a package, each started when a test first asks for it. Such tests keep apart by Root, may run
// in parallel, and must not harm the servers: who kills one starts its own. The zero value is ready:
//
//	var shared services.Shared
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(shared.Main(m)) } // or: os.Exit(shared.Main(m).Run())
//
//	func TestX(t *testing.T) { zk := shared.ZooKeeper(t); root := zk.Root(t); ... }
type Shared struct {
	mu struct {
		sync.Mutex
		dir    string
		remove func() error // the folder; nil if there is none
		// Each is started once; a failed start is not repeated for every test.
		zooKeeper    *ZooKeeper
		zooKeeperErr error
		hdfs         *HDFS
		hdfsErr      error
	}
}

// ZooKeeper is the package's ensemble of three nodes.
func (s *Shared) ZooKeeper(t testing.TB) *ZooKeeper {
	t.Helper()
	skipShort(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.zooKeeper == nil && s.mu.zooKeeperErr == nil {
		s.mu.zooKeeperErr = s.startLocked(func(ctx context.Context, dir string) (err error) {
			// Without fsync: tests kill processes, never the machine, and beside compilers an fsync can outlast a test's session.
			s.mu.zooKeeper, err = StartZooKeeper(ctx, ZooKeeperOptions{Dir: filepath.Join(dir, "zookeeper"), JVM: []string{"-Dzookeeper.forceSync=no"}})
			return err
		})
	}
	if s.mu.zooKeeperErr != nil {
		t.Fatal(s.mu.zooKeeperErr)
	}
	processes := s.mu.zooKeeper.processes()
	t.Cleanup(func() { saveLogs(t, processes) })
	return s.mu.zooKeeper
}

// HDFS is the package's file system, with two DataNodes.
func (s *Shared) HDFS(t testing.TB) *HDFS {
	t.Helper()
	skipShort(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.hdfs == nil && s.mu.hdfsErr == nil {
		s.mu.hdfsErr = s.startLocked(func(ctx context.Context, dir string) (err error) {
			s.mu.hdfs, err = StartHDFS(ctx, HDFSOptions{Dir: filepath.Join(dir, "hdfs")})
			return err
		})
	}
	if s.mu.hdfsErr != nil {
		t.Fatal(s.mu.hdfsErr)
	}
	processes := s.mu.hdfs.processes()
	t.Cleanup(func() { saveLogs(t, processes) })
	return s.mu.hdfs
}

// startLocked starts servers that live longer than the test that asks first; so its context must not be theirs.
func (s *Shared) startLocked(start func(ctx context.Context, dir string) error) error {
	if s.mu.dir == "" {
		dir, remove, err := tempDir(os.TempDir())
		if err != nil {
			return fmt.Errorf("services: a folder for shared servers: %w", err)
		}
		s.mu.dir, s.mu.remove = dir, remove
	}
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	return start(ctx, s.mu.dir)
}

// Close ends the servers and removes their folder.
func (s *Shared) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	if s.mu.zooKeeper != nil {
		errs = append(errs, s.mu.zooKeeper.Close())
	}
	if s.mu.hdfs != nil {
		errs = append(errs, s.mu.hdfs.Close())
	}
	if s.mu.remove != nil {
		errs = append(errs, s.mu.remove())
	}
	closed := errors.New("services: shared servers are closed")
	s.mu.dir, s.mu.remove, s.mu.zooKeeper, s.mu.zooKeeperErr, s.mu.hdfs, s.mu.hdfsErr = "", nil, nil, closed, nil, closed
	return errors.Join(errs...)
}

// Main wraps the package's tests: its Run ends the servers after the last test.
func (s *Shared) Main(m *testing.M) interface{ Run() int } { return sharedMain{shared: s, m: m} }

type sharedMain struct {
	shared *Shared
	m      *testing.M
}

func (r sharedMain) Run() int {
	code := r.m.Run()
	if err := r.shared.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}
