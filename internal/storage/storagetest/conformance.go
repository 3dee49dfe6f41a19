// Package storagetest holds the conformance suite that every storage.FileSystem passes, a file system in memory for the unit tests of other
// packages (Mem), and one that fails on purpose (Faulty).
//
// It owns the executable form of the contract in package storage; it never starts a server: a test that needs one starts it and hands over a
// Target. It is imported by tests only.
package storagetest

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/internal/storage"
)

// A Target is what the suite runs on: one file system and a directory of it that belongs to the test.
type Target struct {
	FS  storage.FileSystem
	Dir string // exists, is empty

	// Denied returns a file system that acts as a user who may not write in dir, and a dir with one file "readable" in it. Nil only with a
	// reason in Cannot["permission"].
	Denied func(t *testing.T) (fs storage.FileSystem, dir string)

	// Server controls the way to the file system's server. Nil only with a reason in Cannot["server"].
	Server Server

	// Cannot says which cases this kind of file system cannot have, and why. They are reported as skipped with the reason.
	Cannot map[string]string

	// BigFile is the size of the largest file written; 0 means 64 MiB.
	BigFile int64
}

// A Server is the network between client and server, as seen by a test.
type Server interface {
	Stall()  // connections stay open and are accepted; no byte passes, in either direction
	Cut()    // connections are reset; new ones are refused
	Resume() // ends Stall and Cut; what was stalled arrives late, or is lost
}

// Conformance runs the suite. open is called for each case, from several goroutines, and registers its own clean-up.
func Conformance(t *testing.T, open func(t *testing.T) Target) {
	cases := []struct {
		name  string
		needs string // key of Target.Cannot
		run   func(*testing.T, Target)
	}{
		{"write and read", "", testWriteRead},
		{"atomic visibility", "", testAtomicVisibility},
		{"write once", "", testWriteOnce},
		{"concurrent writers of one name", "", testConcurrentCreate},
		{"abort", "", testAbort},
		{"writer after its end", "", testWriterEnd},
		{"missing names", "", testMissing},
		{"kinds mixed up", "", testKinds},
		{"parents are made", "", testParents},
		{"rename", "", testRename},
		{"rename never overwrites", "", testRenameNoOverwrite},
		{"concurrent renames", "", testConcurrentRename},
		{"remove", "", testRemove},
		{"mkdir", "", testMkdir},
		{"list", "", testList},
		{"forms of names", "", testNameForms},
		{"odd names", "", testOddNames},
		{"reader", "", testReader},
		{"reader of an empty file", "", testEmptyFile},
		{"ended context", "", testEndedContext},
		{"context ends while open", "", testContextEndsWhileOpen},
		{"whole files", "", testWholeFiles},
		{"probe", "", testProbe},
		{"big file", "", testBigFile},
		{"many small files", "", testManySmall},
		{"permission denied", "permission", testDenied},
		{"connection lost", "server", testConnectionLost},
		{"connection lost in a write", "server", testConnectionLostInWrite},
		{"stalled server", "server", testStalled},
		{"stalled server in a write", "server", testStalledInWrite},
		{"stalled server in a read", "server", testStalledInRead},
		{"closed", "", testClosed},
	}
	for _, c := range cases {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			t.Parallel() // each case has a Target of its own, and some wait long
			target := open(t)
			have := map[string]bool{"": true, "permission": target.Denied != nil, "server": target.Server != nil}
			if !have[c.needs] {
				reason, ok := target.Cannot[c.needs]
				if !ok {
					t.Fatalf("the target offers no %q and gives no reason in Cannot", c.needs)
				}
				t.Skipf("this file system cannot have the case: %s", reason)
			}
			c.run(t, target)
		})
	}
}

// patience bounds what is expected to succeed or to fail soon; a slow machine does not reach it.
const patience = 60 * time.Second

func ctxFor(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// put writes a file in one go.
func put(t *testing.T, fs storage.FileSystem, name, content string) {
	t.Helper()
	w, err := fs.Create(ctxFor(t), name)
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	defer w.Abort()
	if n, err := io.WriteString(w, content); err != nil || n != len(content) {
		t.Fatalf("write %s: %d of %d bytes, %v", name, n, len(content), err)
	}
	if err := w.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

// get reads a file in one go.
func get(t *testing.T, fs storage.FileSystem, name string) string {
	t.Helper()
	r, err := fs.Open(ctxFor(t), name)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
	if int64(len(b)) != r.Size() {
		t.Fatalf("%s: Size is %d, %d bytes were read", name, r.Size(), len(b))
	}
	return string(b)
}

// names lists a directory and returns the names only.
func names(t *testing.T, fs storage.FileSystem, dir string) []string {
	t.Helper()
	infos, err := fs.List(ctxFor(t), dir)
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	var ns []string
	for _, i := range infos {
		ns = append(ns, i.Name)
	}
	return ns
}

// wantErr checks the sentinel, and that the message names the operation's object.
func wantErr(t *testing.T, what string, err, want error, name string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error is %v, want %v", what, err, want)
		return
	}
	var e *storage.Error
	if !errors.As(err, &e) {
		t.Errorf("%s: error %v is not a *storage.Error", what, err)
	} else if !strings.Contains(err.Error(), name) {
		t.Errorf("%s: error %q does not name %s", what, err, name)
	}
}

func wantMissing(t *testing.T, fs storage.FileSystem, name string) {
	t.Helper()
	_, err := fs.Stat(ctxFor(t), name)
	wantErr(t, "stat of what must not be there", err, storage.ErrNotExist, name)
}

func mustNil(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}
