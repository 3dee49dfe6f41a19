package hdfs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	lib "github.com/colinmarc/hdfs/v2"

	"github.com/thalweg-io/thalweg/internal/storage"
	"github.com/thalweg-io/thalweg/internal/storage/hdfs"
	"github.com/thalweg-io/thalweg/test/services"
)

// Clients are used again: any number of calls in a row takes one connection to the NameNode.
func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	h := shared.HDFS(t)
	n := newNetwork(t)
	fs := n.open(t, h.Addr(), hdfs.Options{})
	dir := freshDir(t, fs, h)
	for i := range 20 {
		name := storage.Join(dir, fmt.Sprint("f", i))
		put(t, fs, name, []byte("x"))
		if _, err := storage.ReadFile(t.Context(), fs, name, 10); err != nil {
			t.Fatal(err)
		}
		w, err := fs.Create(t.Context(), name)
		if !errors.Is(err, storage.ErrExist) {
			t.Fatalf("create of what exists: %v, %v", w, err)
		}
	}
	if got := n.dialed(h.Addr()); got != 1 {
		t.Errorf("%d connections to the NameNode were made", got)
	}
	if got := n.connections(nil); got != 1 {
		t.Errorf("%d connections are open while nothing is done", got)
	}
}

// What a lost connection left behind goes with later files.
func TestUnfinishedFilesAreRemoved(t *testing.T) {
	t.Parallel()
	h := shared.HDFS(t)
	n := newNetwork(t)
	fs := n.open(t, h.Addr(), quick)
	dir := freshDir(t, fs, h)
	var writers []storage.Writer
	for i := range 3 {
		w, err := fs.Create(t.Context(), storage.Join(dir, fmt.Sprint("lost", i)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, 100_000)); err != nil {
			t.Fatal(err)
		}
		writers = append(writers, w)
	}
	n.Cut()
	for _, w := range writers {
		if err := w.Close(); !errors.Is(err, storage.ErrUnavailable) {
			t.Errorf("close without a server: %v", err)
		}
	}
	n.Resume()
	if left := unfinished(t, h, dir); len(left) != 3 {
		t.Fatalf("unfinished files while nothing could be removed: %q", left)
	}
	put(t, fs, storage.Join(dir, "next"), []byte("x"))
	if left := unfinished(t, h, dir); len(left) != 0 {
		t.Errorf("unfinished files after the next one: %q", left)
	}
}

// unfinished looks with the library itself, as List does not show them.
func unfinished(t *testing.T, h *services.HDFS, dir string) (names []string) {
	t.Helper()
	c, err := lib.NewClient(lib.ClientOptions{Addresses: []string{h.Addr()}, User: h.User()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _, p := storage.Split(dir)
	infos, err := c.ReadDir(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range infos {
		if storage.Unfinished(i.Name()) {
			names = append(names, i.Name())
		}
	}
	return names
}

// The NameNode does what it is asked and the answer is lost: the call finds out, and succeeds.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	h := shared.HDFS(t)
	for _, c := range []struct {
		method string
		call   func(fs storage.FileSystem, dir string) error // on dir with a file "old"; "new" is to be there afterwards
	}{
		{"rename2", func(fs storage.FileSystem, dir string) error {
			return fs.Rename(t.Context(), storage.Join(dir, "old"), storage.Join(dir, "new"))
		}},
		{"rename2", func(fs storage.FileSystem, dir string) error {
			return storage.WriteFile(t.Context(), fs, storage.Join(dir, "new"), []byte("x"))
		}},
		{"create", func(fs storage.FileSystem, dir string) error {
			return storage.WriteFile(t.Context(), fs, storage.Join(dir, "new"), []byte("x"))
		}},
		{"addBlock", func(fs storage.FileSystem, dir string) error {
			return storage.WriteFile(t.Context(), fs, storage.Join(dir, "new"), []byte("x"))
		}},
		{"complete", func(fs storage.FileSystem, dir string) error {
			return storage.WriteFile(t.Context(), fs, storage.Join(dir, "new"), []byte("x"))
		}},
		{"mkdirs", func(fs storage.FileSystem, dir string) error {
			return fs.MkdirAll(t.Context(), storage.Join(dir, "new"))
		}},
		{"delete", func(fs storage.FileSystem, dir string) error {
			put(t, fs, storage.Join(dir, "new"), nil)
			return fs.Remove(t.Context(), storage.Join(dir, "old"))
		}},
		{"delete", func(fs storage.FileSystem, dir string) error {
			put(t, fs, storage.Join(dir, "new"), nil)
			return fs.RemoveAll(t.Context(), storage.Join(dir, "old"))
		}},
	} {
		n := newNetwork(t)
		fs := n.open(t, h.Addr(), quick)
		dir := freshDir(t, fs, h)
		put(t, fs, storage.Join(dir, "old"), []byte("x"))
		n.lose(c.method)
		if err := c.call(fs, dir); err != nil {
			t.Errorf("%s: %v", c.method, err)
		}
		if n.losing() {
			t.Errorf("%s: no answer was lost", c.method)
		}
		if _, err := fs.Stat(t.Context(), storage.Join(dir, "new")); err != nil {
			t.Errorf("%s: afterwards: %v", c.method, err)
		}
		put(t, fs, storage.Join(dir, "next"), nil)
		if left := unfinished(t, h, dir); len(left) != 0 {
			t.Errorf("%s: unfinished files: %q", c.method, left)
		}
	}
}

// One of two NameNodes accepts connections and never answers: calls go on with the other one.
func TestStalledNameNodeOfTwo(t *testing.T) {
	t.Parallel()
	h := shared.HDFS(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0") // never accepts: the kernel does
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conf := t.TempDir()
	site := "<configuration>"
	for k, v := range map[string]string{"dfs.nameservices": "ns", "dfs.ha.namenodes.ns": "n1,n2",
		"dfs.namenode.rpc-address.ns.n1": ln.Addr().String(), "dfs.namenode.rpc-address.ns.n2": h.Addr()} {
		site += "<property><name>" + k + "</name><value>" + v + "</value></property>"
	}
	if err := os.WriteFile(filepath.Join(conf, "hdfs-site.xml"), []byte(site+"</configuration>"), 0o644); err != nil {
		t.Fatal(err)
	}
	fs, err := hdfs.Open("ns", hdfs.Options{ConfDir: conf, CallTimeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	began := time.Now()
	if _, err := fs.Stat(t.Context(), "hdfs://ns/"); err != nil {
		t.Fatal(err)
	}
	t.Logf("first call: %v", time.Since(began))
	began = time.Now()
	for range 20 {
		if _, err := fs.List(t.Context(), "/"); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("20 calls after the failover took %v: they still ask the NameNode that stalls", took)
	}
}

// The NameNode is killed and started again: calls wait it out, a Reader does not even notice, an open file is whole or fails.
func TestNameNodeRestart(t *testing.T) {
	h := services.HDFSForTest(t, services.HDFSOptions{DataNodes: 2})
	n := newNetwork(t)
	fs := n.open(t, h.Addr(), hdfs.Options{})
	dir := freshDir(t, fs, h)
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	put(t, fs, storage.Join(dir, "big"), big)
	r, err := fs.Open(t.Context(), storage.Join(dir, "big"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got := make([]byte, len(big))
	if _, err := io.ReadFull(r, got[:1000]); err != nil {
		t.Fatal(err)
	}
	w, err := fs.Create(t.Context(), storage.Join(dir, "open"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := w.Write(big[:100_000]); err != nil {
		t.Fatal(err)
	}

	if err := h.NameNode().Kill(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if _, err := io.ReadFull(r, got[1000:]); err != nil || !bytes.Equal(got, big) {
		t.Errorf("read while the NameNode is dead: %v, same: %v", err, bytes.Equal(got, big))
	}
	var wg sync.WaitGroup
	calls := []func() error{
		func() error { _, err := fs.Stat(t.Context(), dir); return err },
		func() error { return storage.WriteFile(t.Context(), fs, storage.Join(dir, "new"), []byte("x")) },
		func() error { return fs.Rename(t.Context(), storage.Join(dir, "big"), storage.Join(dir, "moved")) },
	}
	for _, call := range calls {
		wg.Go(func() {
			if err := call(); err != nil {
				t.Errorf("call over the restart: %v", err)
			}
		})
	}
	if err := h.NameNode().Start(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	t.Logf("calls answered %v after the kill", time.Since(began))

	cerr := w.Close()
	content, rerr := storage.ReadFile(t.Context(), fs, storage.Join(dir, "open"), 1<<20)
	t.Logf("the file that was open: %v", cerr)
	switch {
	case cerr == nil && bytes.Equal(content, big[:100_000]):
	case errors.Is(cerr, storage.ErrUnavailable) && errors.Is(rerr, storage.ErrNotExist):
	default:
		t.Errorf("the file that was open: close %v, then %d bytes, %v", cerr, len(content), rerr)
	}
}

// A DataNode of three is killed: some open files fail, none shows less than was written; reads go on with the other replica, and new files
// work within seconds.
func TestDataNodeKilled(t *testing.T) {
	h := services.HDFSForTest(t, services.HDFSOptions{DataNodes: 3})
	n := newNetwork(t)
	fs := n.open(t, h.Addr(), hdfs.Options{})
	dir := freshDir(t, fs, h)
	data := bytes.Repeat([]byte("0123456789abcdef"), 50_000)
	var readers []storage.Reader
	for i := range 6 {
		name := storage.Join(dir, fmt.Sprint("old", i))
		put(t, fs, name, data)
		r, err := fs.Open(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if _, err := io.ReadFull(r, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		readers = append(readers, r)
	}
	var writers []storage.Writer
	for i := range 12 {
		w, err := fs.Create(t.Context(), storage.Join(dir, fmt.Sprint("open", i)))
		if err != nil {
			t.Fatal(err)
		}
		defer w.Abort()
		if _, err := w.Write(data[:len(data)/2]); err != nil {
			t.Fatal(err)
		}
		writers = append(writers, w)
	}

	if err := h.DataNode(0).Kill(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	put(t, fs, storage.Join(dir, "new"), data)
	t.Logf("a new file was written %v after the kill", time.Since(began))
	for i, r := range readers {
		rest, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(rest, data[100:]) {
			t.Errorf("reader %d: %d bytes, %v", i, len(rest), err)
		}
	}
	failed := 0
	for i, w := range writers {
		_, err := w.Write(data[len(data)/2:])
		if err == nil {
			err = w.Close()
		}
		content, rerr := storage.ReadFile(t.Context(), fs, storage.Join(dir, fmt.Sprint("open", i)), 1<<30)
		switch {
		case err == nil && bytes.Equal(content, data):
		case errors.Is(err, storage.ErrUnavailable) && errors.Is(rerr, storage.ErrNotExist):
			failed++
		default:
			t.Errorf("file %d: %v, then %d bytes, %v", i, err, len(content), rerr)
		}
	}
	if failed == 0 {
		t.Error("no file failed: the DataNode was in no pipeline, and nothing was tested")
	}
	t.Logf("%d of %d open files failed", failed, len(writers))
}

// A NameNode that starts without its DataNodes stays in safe mode: reading the tree works, writing is ErrSafeMode, and the probe says so.
func TestSafeMode(t *testing.T) {
	h := services.HDFSForTest(t, services.HDFSOptions{DataNodes: 2})
	fs := newNetwork(t).open(t, h.Addr(), hdfs.Options{RetryFor: 6 * time.Second})
	dir := freshDir(t, fs, h)
	for i := range 5 { // of one block it would want 99.9 %, rounded down
		put(t, fs, storage.Join(dir, fmt.Sprint("old", i)), []byte("x"))
	}
	for _, p := range []interface{ Kill() error }{h.DataNode(0), h.DataNode(1), h.NameNode()} {
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.NameNode().Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := fs.Stat(t.Context(), storage.Join(dir, "old0")); err != nil {
		t.Errorf("stat in safe mode: %v", err)
	}
	_, err := fs.Create(t.Context(), storage.Join(dir, "new"))
	if !errors.Is(err, storage.ErrSafeMode) || !storage.Retriable(err) {
		t.Errorf("create in safe mode: %v", err)
	}
	err = storage.Probe(t.Context(), fs, dir)
	if !errors.Is(err, storage.ErrSafeMode) || !strings.Contains(err.Error(), "dfsadmin -safemode") || !strings.Contains(err.Error(), dir) {
		t.Errorf("probe in safe mode: %v", err)
	}
	t.Logf("probe says: %v", err)
	for i := range 2 {
		if err := h.DataNode(i).Start(); err != nil {
			t.Fatal(err)
		}
	}
	for {
		err := storage.Probe(t.Context(), fs, dir)
		if err == nil {
			break
		}
		if !storage.Retriable(err) {
			t.Fatalf("probe while the DataNodes come back: %v", err)
		}
	}
}
