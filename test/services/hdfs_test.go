package services

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/colinmarc/hdfs/v2"
)

func dialHDFS(t *testing.T, h *HDFS) *hdfs.Client {
	t.Helper()
	client, err := hdfs.NewClient(hdfs.ClientOptions{Addresses: []string{h.Addr()}, User: h.User()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// write makes a file; its blocks may still be on the way to their other replicas for a moment after the last byte.
func write(ctx context.Context, client *hdfs.Client, path string, content []byte) error {
	w, err := client.Create(path)
	if err != nil {
		return err
	}
	if _, err := w.Write(content); err != nil {
		return errors.Join(err, w.Close())
	}
	return poll(ctx, 10*time.Millisecond, func() (bool, error) {
		err := w.Close()
		if hdfs.IsErrReplicating(err) {
			return false, nil
		}
		return err == nil, err
	})
}

func read(client *hdfs.Client, path string) ([]byte, error) {
	r, err := client.Open(path)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(r)
	return content, errors.Join(err, r.Close())
}

func TestHDFSGivesBackWhatWasWritten(t *testing.T) {
	h := shared.HDFS(t)
	client, root := dialHDFS(t, h), h.Root(t)
	if err := client.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	if err := write(t.Context(), client, root+"/file", content); err != nil {
		t.Fatal(err)
	}
	got, err := read(client, root+"/file")
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("read %d bytes, %v; want the %d that were written", len(got), err, len(content))
	}
	if _, err := client.Create(root + "/file"); !errors.Is(err, os.ErrExist) {
		t.Errorf("create of a file that exists: %v, want %v", err, os.ErrExist)
	}
}

func TestHadoopsOwnToolsReadTheSame(t *testing.T) {
	h := shared.HDFS(t)
	client, root := dialHDFS(t, h), h.Root(t)
	if err := client.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := write(t.Context(), client, root+"/file", []byte("hello\n")); err != nil {
		t.Fatal(err)
	}
	if got, err := h.Shell(t.Context(), "-cat", root+"/file"); err != nil || got != "hello\n" {
		t.Errorf("hdfs dfs -cat: %q, %v; want \"hello\\n\"", got, err)
	}
	if _, err := h.Shell(t.Context(), "-cat", root+"/none"); err == nil || !strings.Contains(err.Error(), "No such file") {
		t.Errorf("hdfs dfs -cat of no file: %v, want what the tool says", err)
	}
}

func TestHDFSFaults(t *testing.T) {
	h := HDFSForTest(t, HDFSOptions{DataNodes: 3})
	if err := dialHDFS(t, h).MkdirAll("/test", 0o777); err != nil {
		t.Fatal(err)
	}
	if err := write(t.Context(), dialHDFS(t, h), "/test/before", []byte("before")); err != nil {
		t.Fatal(err)
	}
	t.Run("safe mode refuses writes", func(t *testing.T) {
		if err := h.SafeMode(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		if err := dialHDFS(t, h).Mkdir("/test/refused", 0o755); err == nil {
			t.Error("a folder was made in safe mode")
		}
		if err := h.SafeMode(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if err := dialHDFS(t, h).Mkdir("/test/taken", 0o755); err != nil {
			t.Error(err)
		}
	})
	t.Run("data node killed", func(t *testing.T) {
		if err := h.DataNode(0).Kill(); err != nil {
			t.Fatal(err)
		}
		if got, err := read(dialHDFS(t, h), "/test/before"); err != nil || string(got) != "before" {
			t.Errorf("read with a data node dead: %q, %v", got, err)
		}
		// Writes that were given the dead one fail; soon it counts as stale and is avoided.
		name := h.Root(t)
		began, attempts := time.Now(), 0
		err := poll(t.Context(), 100*time.Millisecond, func() (bool, error) {
			attempts++
			err := write(t.Context(), dialHDFS(t, h), "/test"+name+string(rune('a'+attempts%26)), []byte("x"))
			return err == nil || time.Since(began) > time.Minute, nil
		})
		if err != nil || time.Since(began) > time.Minute {
			t.Fatalf("no write within a minute of a data node's death: %v", err)
		}
		t.Logf("written after %v, at attempt %d", time.Since(began), attempts)
		if err := h.DataNode(0).Start(); err != nil {
			t.Fatal(err)
		}
		if err := h.WaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("name node killed", func(t *testing.T) {
		if err := h.NameNode().Kill(); err != nil {
			t.Fatal(err)
		}
		if err := h.WaitReady(t.Context()); err == nil {
			t.Error("ready without a name node")
		}
		if err := h.NameNode().Start(); err != nil {
			t.Fatal(err)
		}
		if err := h.WaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
		client := dialHDFS(t, h)
		if got, err := read(client, "/test/before"); err != nil || string(got) != "before" {
			t.Errorf("read after the restart: %q, %v", got, err)
		}
		if err := write(t.Context(), client, "/test/after", []byte("after")); err != nil {
			t.Error(err)
		}
	})
}
