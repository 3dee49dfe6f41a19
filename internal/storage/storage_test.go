package storage_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/thalweg-io/thalweg/internal/storage"
	"github.com/thalweg-io/thalweg/internal/storage/storagetest"
)

func TestSplit(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][3]string{
		"hdfs://ns/a/b":     {"hdfs", "ns", "/a/b"},
		"HDFS://nn:8020/a":  {"hdfs", "nn:8020", "/a"},
		"hdfs:///a":         {"hdfs", "", "/a"},
		"hdfs://ns":         {"hdfs", "ns", "/"},
		"file:/a":           {"file", "", "/a"},
		"file:///a%20b?c#d": {"file", "", "/a%20b?c#d"},
		"/a:/b":             {"", "", "/a:/b"},
		"a/b":               {"", "", "a/b"},
		"c:/windows":        {"", "", "c:/windows"},
		"a b://x/y":         {"", "", "a b://x/y"},
		"":                  {"", "", ""},
	} {
		s, a, p := storage.Split(name)
		if got := [3]string{s, a, p}; got != want {
			t.Errorf("Split(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestJoin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ got, want string }{
		{storage.Join("hdfs://ns/a/", "b", "c"), "hdfs://ns/a/b/c"},
		{storage.Join("hdfs://ns", "b"), "hdfs://ns/b"},
		{storage.Join("file:/a", "../../b"), "file:///b"},
		{storage.Join("/a", "b"), "/a/b"},
		{storage.Join("a", "b"), "a/b"},
		{storage.Dir("hdfs://ns/a"), "hdfs://ns/"},
		{storage.Dir("a"), "."},
		{storage.Base("hdfs://ns/a/b"), "b"},
		{storage.Base("hdfs://ns"), "/"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestUnfinished(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"hdfs://ns/a/part-1", "/x", "x", "/.hidden"} {
		u := storage.UnfinishedName(name)
		if !storage.Unfinished(storage.Base(u)) || storage.Dir(u) != storage.Dir(name) || u == storage.UnfinishedName(name) {
			t.Errorf("UnfinishedName(%q) = %q", name, u)
		}
	}
	for _, base := range []string{"", "x", ".x", ".unfinished", "x.unfinished", ".x.unfinished", ".x.0123456789abcdeg.unfinished",
		"x.0123456789abcdef.unfinished", "..0123456789abcdef"} {
		if storage.Unfinished(base) {
			t.Errorf("Unfinished(%q) is true", base)
		}
	}
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	opened := 0
	r := storage.NewRegistry(map[string]storage.Opener{
		"mem": func(_ context.Context, authority string) (storage.FileSystem, error) {
			opened++
			if authority == "broken" {
				return nil, errors.New("no such server")
			}
			return storagetest.NewMem(), nil
		}})
	a, err := r.Resolve(t.Context(), "mem:///x")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := r.Resolve(t.Context(), "mem:///y/z"); err != nil || b != a || opened != 1 {
		t.Errorf("the second name of one authority: %v, %d opened", err, opened)
	}
	if b, err := r.Resolve(t.Context(), "mem://other/y"); err != nil || b == a {
		t.Errorf("another authority: %v", err)
	}
	for name, part := range map[string]string{
		"s3://bucket/x":  `unknown scheme "s3"; known are mem`,
		"/plain":         `unknown scheme "file"`,
		"":               "empty",
		"mem://broken/x": "no such server",
	} {
		if _, err := r.Resolve(t.Context(), name); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("Resolve(%q): %v, want %q in it", name, err, part)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Stat(t.Context(), "/"); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("a file system of a closed registry: %v", err)
	}
	if _, err := r.Resolve(t.Context(), "mem:///x"); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("a closed registry: %v", err)
	}
}
