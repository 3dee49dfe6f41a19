package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/thalweg-io/thalweg/test/services"
)

// TestMain lets `up` find the supervisor in the test's own binary.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == superviseCommand {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestUpAndDown(t *testing.T) {
	if testing.Short() {
		t.Skip("needs real servers; not with -short")
	}
	dir := t.TempDir()
	t.Cleanup(func() {
		if err := down(context.WithoutCancel(t.Context()), dir, io.Discard); err != nil {
			t.Error(err)
		}
	})
	var first *record
	// The second time it serves what the first has left.
	for range 2 {
		if err := run(t.Context(), []string{"up", "--dir", dir, "--zookeeper", "1"}, io.Discard); err != nil {
			t.Fatal(err)
		}
		r, err := read(dir)
		if err != nil || r == nil {
			t.Fatalf("the record: %+v, %v", r, err)
		}
		if len(r.Servers) != 1 || !r.Servers[0].Alive() || !r.Supervisor.Alive() {
			t.Fatalf("the record is %+v, want one server and its supervisor, both alive", r)
		}
		if first != nil && first.Servers[0].Identity == r.Servers[0].Identity {
			t.Error("the second up has recorded the first one's server")
		}
		first = r
		env, err := exec.Command("/bin/sh", "-c", ". "+filepath.Join(dir, "env")+"; echo $ZOOKEEPER_QUORUM").Output()
		if err != nil || !strings.HasPrefix(string(env), "127.0.0.1:") {
			t.Errorf("ZOOKEEPER_QUORUM of the file env is %q, %v", env, err)
		}
		if err := run(t.Context(), []string{"up", "--dir", dir, "--zookeeper", "1"}, io.Discard); err == nil || !strings.Contains(err.Error(), "services down") {
			t.Errorf("up where something is up: %v, want an error that says what to do", err)
		}
		var said bytes.Buffer
		if err := run(t.Context(), []string{"down", "--dir", dir}, &said); err != nil {
			t.Fatal(err)
		}
		if r.Servers[0].Alive() || r.Supervisor.Alive() {
			t.Error("something is alive after down")
		}
		for _, path := range []string{recordPath(dir), envPath(dir)} {
			if _, err := os.Stat(path); err == nil {
				t.Errorf("%s is still there after down", path)
			}
		}
		if !strings.Contains(said.String(), "stopped 1 servers") {
			t.Errorf("down said %q", said.String())
		}
	}
}

func TestDownStopsOnlyTheRecordedProcess(t *testing.T) {
	dir := t.TempDir()
	me, err := services.Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	// The ids were given to another process, this one, in the meantime.
	stale := services.Identity{PID: me.PID, StartTime: me.StartTime - 1}
	r := &record{Supervisor: stale, Servers: []server{{Name: "zookeeper-1", Identity: stale}}}
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), []string{"down", "--dir", dir}, io.Discard); err != nil {
		t.Fatal(err)
	}
	if left, err := read(dir); left != nil || err != nil {
		t.Errorf("the stale record is still there: %+v, %v", left, err)
	}
}

func TestDownStopsWhatASupervisorLeft(t *testing.T) {
	dir := t.TempDir()
	child := exec.Command("sleep", "1000")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = child.Process.Kill() })
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	id, err := services.Identify(child.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	r := &record{Servers: []server{{Name: "zookeeper-1", Identity: id}}}
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	if err := down(t.Context(), dir, io.Discard); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil || id.Alive() {
		t.Errorf("the recorded process ended with %v, alive=%v; want it killed", err, id.Alive())
	}
}

func TestWrongUse(t *testing.T) {
	for _, args := range [][]string{
		{},
		{"sideways"},
		{"up", "--zookeeper", "-1"},
		{"up", "--hdfs", "--data-nodes", "0"},
		{"down", "more"},
	} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("services %q: no error", args)
		}
	}
}

func TestWithoutFlagsEverythingIsWanted(t *testing.T) {
	for _, c := range []struct{ given, want wanted }{
		{wanted{dataNodes: 2}, wanted{3, true, 2}},
		{wanted{zooKeeper: 1, dataNodes: 2}, wanted{1, false, 2}},
		{wanted{hdfs: true, dataNodes: 3}, wanted{0, true, 3}},
	} {
		got := c.given
		if err := got.complete(); err != nil || got != c.want {
			t.Errorf("%+v becomes %+v, %v; want %+v", c.given, got, err, c.want)
		}
	}
}
