package storagetest

import (
	"context"
	"errors"
	"testing"

	"github.com/thalweg-io/thalweg/internal/storage"
)

func TestFaultyWithoutRulesConforms(t *testing.T) {
	t.Parallel()
	Conformance(t, func(t *testing.T) Target {
		f := Faulty(NewMem())
		mustNil(t, "mkdir", f.MkdirAll(t.Context(), "/dir"))
		return Target{FS: f, Dir: "mem:///dir", BigFile: 4 << 20,
			Cannot: map[string]string{"permission": "memory has no users", "server": "memory has no connection"}}
	})
}

func TestFaultyNth(t *testing.T) {
	t.Parallel()
	f := Faulty(NewMem(), Rule{Op: OpCreate, Name: "part", Nth: 2, Err: storage.ErrPermission})
	put(t, f, "/part-1", "x")
	put(t, f, "/other", "x")
	_, err := f.Create(t.Context(), "/part-2")
	wantErr(t, "second matching create", err, storage.ErrPermission, "/part-2")
	put(t, f, "/part-2", "x")
	if n := f.Calls(OpCreate); n != 4 {
		t.Errorf("%d creates counted", n)
	}
}

func TestFaultyTornWrite(t *testing.T) {
	t.Parallel()
	m := NewMem()
	f := Faulty(m, Rule{Op: OpWrite, Torn: 3})
	w, err := f.Create(t.Context(), "/a")
	mustNil(t, "create", err)
	n, err := w.Write([]byte("hello"))
	if n != 3 {
		t.Errorf("%d bytes were let through", n)
	}
	wantErr(t, "torn write", err, storage.ErrUnavailable, "/a")
	f.Clear()
	if _, err := w.Write([]byte("lo")); err == nil {
		t.Error("a file with a failed write took more")
	}
	if w.Close() == nil {
		t.Error("a file with a failed write was closed")
	}
	if files := m.Files(); len(files) != 0 {
		t.Errorf("visible: %q", files)
	}
}

// WriteFile meets an answer that was lost after the file was in place, and recognises its own file; somebody else's stays ErrExist.
func TestWriteFileAfterLostAnswer(t *testing.T) {
	t.Parallel()
	m := NewMem()
	f := Faulty(m, Rule{Op: OpClose, Nth: 1, After: true})
	mustNil(t, "write file", storage.WriteFile(t.Context(), f, "/a", []byte("mine")))
	if got := get(t, m, "/a"); got != "mine" {
		t.Errorf("the file has %q", got)
	}

	f = Faulty(m, Rule{Op: OpCreate, Nth: 1})
	put(t, m, "/b", "theirs")
	err := storage.WriteFile(t.Context(), f, "/b", []byte("mine"))
	wantErr(t, "write file over another's", err, storage.ErrExist, "/b")
	if got := get(t, m, "/b"); got != "theirs" {
		t.Errorf("the file has %q", got)
	}
}

func TestFaultyStall(t *testing.T) {
	t.Parallel()
	m := NewMem()
	put(t, m, "/a", "x")
	f := Faulty(m, Rule{Op: OpRename, Stall: true})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Rename(ctx, "/a", "/b") }()
	<-f.Stalled()
	cancel()
	wantErr(t, "stalled rename", <-done, context.Canceled, "/a")
	get(t, m, "/a")

	go func() { done <- f.Rename(t.Context(), "/a", "/b") }()
	<-f.Stalled()
	f.Release()
	mustNil(t, "released rename", <-done)
	get(t, m, "/b")
}

func TestFaultyLostAnswer(t *testing.T) {
	t.Parallel()
	m := NewMem()
	put(t, m, "/a", "x")
	f := Faulty(m, Rule{Op: OpRename, Nth: 1, After: true})
	wantErr(t, "rename whose answer was lost", f.Rename(t.Context(), "/a", "/b"), storage.ErrUnavailable, "/a")
	if err := f.Rename(t.Context(), "/a", "/b"); !errors.Is(err, storage.ErrNotExist) {
		t.Errorf("the repeated rename: %v", err)
	}
	get(t, m, "/b")
}
