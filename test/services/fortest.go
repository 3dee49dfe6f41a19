package services

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// startLimit bounds the start of servers in tests: the first on a machine fetches what they are made of.
const startLimit = 10 * time.Minute

// ZooKeeperForTest starts an ensemble for one test, which may do to it what it likes. It ends with the test; if the test fails, the ends of
// the logs are printed, and the whole logs are in the test's artifacts. With -short the test is skipped: it then is to need nothing but Go.
func ZooKeeperForTest(t testing.TB, o ZooKeeperOptions) *ZooKeeper {
	t.Helper()
	skipShort(t)
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	zk, err := StartZooKeeper(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := zk.Close(); err != nil {
			t.Error(err)
		}
		saveLogs(t, zk.processes())
	})
	return zk
}

// HDFSForTest starts a file system for one test, as ZooKeeperForTest does an ensemble.
func HDFSForTest(t testing.TB, o HDFSOptions) *HDFS {
	t.Helper()
	skipShort(t)
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	h, err := StartHDFS(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		saveLogs(t, h.processes())
	})
	return h
}

// ProxyForTest makes a proxy that ends with the test.
func ProxyForTest(t testing.TB, target string) *Proxy {
	t.Helper()
	p, err := NewProxy(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// NetworkForTest makes a network to the ensemble that ends with the test.
func (z *ZooKeeper) NetworkForTest(t testing.TB) *ZooKeeperNetwork {
	t.Helper()
	n, err := z.Network()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// Root is a path of the ensemble that no other test has: "/test-<name>-<random>". Nothing is created.
func (z *ZooKeeper) Root(t testing.TB) string { return uniquePath(t) }

// Root is a path of the file system that no other test has: "/test-<name>-<random>". Nothing is created.
func (h *HDFS) Root(t testing.TB) string { return uniquePath(t) }

func skipShort(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs real servers; not with -short")
	}
}

var notInPath = regexp.MustCompile(`[^A-Za-z0-9]+`)

func uniquePath(t testing.TB) string {
	return fmt.Sprintf("/test-%s-%08x", notInPath.ReplaceAllString(t.Name(), "-"), rand.Uint32())
}

// saveLogs prints the ends of the logs of a failed test's servers and copies the logs to where the test's artifacts are.
func saveLogs(t testing.TB, processes []*Process) {
	if !t.Failed() {
		return
	}
	dir := t.ArtifactDir()
	for _, p := range processes {
		t.Logf("the end of the log of %s:\n%s", p.name, LogTail(p.log, 15))
		content, err := os.ReadFile(p.log)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(p.log)), content, 0o644)
		}
		if err != nil {
			t.Logf("the log of %s is not among the artifacts: %v", p.name, err)
		}
	}
}
