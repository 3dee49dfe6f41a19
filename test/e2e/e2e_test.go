// Package e2e tests whole clusters: the built binaries, a real ZooKeeper ensemble, a real HDFS, and the command line as a person
// uses it. `make e2e` builds what it needs.
package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/storage"
	"github.com/thalweg-io/thalweg/internal/storage/hdfs"
	"github.com/thalweg-io/thalweg/test/cluster"
	"github.com/thalweg-io/thalweg/test/services"
)

const bin = "../../bin"

// fixture is one test's servers and cluster.
type fixture struct {
	*cluster.Cluster
	zookeeper *services.ZooKeeper
	hdfs      *services.HDFS
	root      string // of this cluster's znodes
	dir       string
	files     storage.FileSystem
}

// start brings up ZooKeeper x 3, HDFS, two jobmanagers and n taskmanagers of 4 slots.
func start(t *testing.T, taskmanagers int, conf map[string]string) *fixture {
	t.Helper()
	f := &fixture{zookeeper: services.ZooKeeperForTest(t, services.ZooKeeperOptions{Nodes: 3}), hdfs: services.HDFSForTest(t, services.HDFSOptions{DataNodes: 2})}
	f.dir = t.TempDir()
	f.root = "/thalweg/e2e"
	all := map[string]string{
		"high-availability.type":                             "zookeeper",
		"high-availability.zookeeper.quorum":                 f.zookeeper.ConnectString(),
		"high-availability.cluster-id":                       "/e2e",
		"high-availability.zookeeper.client.session-timeout": "4 s",
		"high-availability.storageDir":                       f.hdfs.URI() + "/ha",
		"execution.checkpointing.dir":                        f.hdfs.URI() + "/checkpoints",
		"execution.checkpointing.interval":                   "1 s",
	}
	for k, v := range conf {
		all[k] = v
	}
	var err error
	if f.Cluster, err = cluster.New(f.dir, bin, all, "HADOOP_CONF_DIR="+f.hdfs.ConfDir()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.Close()
		if t.Failed() {
			f.Tail(os.Stderr, 60)
		}
	})
	f.up(t, taskmanagers)
	if f.files, err = hdfs.Open(f.hdfs.Addr(), hdfs.Options{ConfDir: f.hdfs.ConfDir()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.files.Close() })
	return f
}

func (f *fixture) up(t *testing.T, taskmanagers int) (jms, tms []*cluster.Process) {
	t.Helper()
	for i := range 2 {
		p, err := f.JobManager(fmt.Sprintf("jobmanager-%d", i+1))
		if err != nil {
			t.Fatal(err)
		}
		jms = append(jms, p)
	}
	for i := range taskmanagers {
		p, err := f.TaskManager(fmt.Sprintf("taskmanager-%d", i+1), 4)
		if err != nil {
			t.Fatal(err)
		}
		tms = append(tms, p)
	}
	if _, err := f.Leader(within(t, time.Minute)); err != nil {
		t.Fatal(err)
	}
	return jms, tms
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// put copies a local file to HDFS.
func (f *fixture) put(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := storage.WriteFile(within(t, time.Minute), f.files, to, b); err != nil {
		t.Fatal(err)
	}
}

// output is all lines of the visible files of an output directory.
func (f *fixture) output(t *testing.T, dir string) []string {
	t.Helper()
	ctx := within(t, time.Minute)
	var lines []string
	var walk func(dir string)
	walk = func(dir string) {
		infos, err := f.files.List(ctx, dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range infos {
			if strings.HasPrefix(i.Name, ".") || strings.HasPrefix(i.Name, "_") {
				continue
			}
			if i.Dir {
				walk(i.Path)
				continue
			}
			b, err := storage.ReadFile(ctx, f.files, i.Path, 1<<30)
			if err != nil {
				t.Fatal(err)
			}
			for l := range strings.Lines(string(b)) {
				lines = append(lines, strings.TrimSuffix(l, "\n"))
			}
		}
	}
	walk(dir)
	return lines
}

// shell runs a pipeline of ordinary tools: the independent count.
func shell(t *testing.T, script string, args ...string) string {
	t.Helper()
	cmd := exec.Command("sh", append([]string{"-c", script, "sh"}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, stderr.String())
	}
	return string(out)
}

// znodes lists every znode below a path.
func (f *fixture) znodes(t *testing.T, path string) []string {
	t.Helper()
	c, _, err := zk.Connect(f.zookeeper.Addrs(), 5*time.Second, zk.WithLogInfo(false))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var all []string
	var walk func(p string)
	walk = func(p string) {
		children, _, err := c.Children(p)
		if err != nil {
			t.Fatalf("%s: %v", p, err)
		}
		for _, n := range children {
			all = append(all, p+"/"+n)
			walk(p + "/" + n)
		}
	}
	walk(path)
	return all
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	p, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func finished(i *thalwegv1.JobInfo) bool {
	return i.Summary.Status == thalwegv1.JobStatus_JOB_STATUS_FINISHED
}
