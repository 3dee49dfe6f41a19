package storagetest

import (
	"testing"
)

func TestMemConformance(t *testing.T) {
	t.Parallel()
	Conformance(t, func(t *testing.T) Target {
		m := NewMem()
		if err := m.MkdirAll(t.Context(), "mem:///dir"); err != nil {
			t.Fatal(err)
		}
		return Target{FS: m, Dir: "mem:///dir", BigFile: 8 << 20,
			Cannot: map[string]string{"permission": "memory has no users", "server": "memory has no connection"}}
	})
}

func TestMemCrash(t *testing.T) {
	t.Parallel()
	m := NewMem()
	put(t, m, "/a/settled", "1")
	m.Settle()
	put(t, m, "/a/gone", "22")
	put(t, m, "/a/torn", "333")
	if err := m.Rename(t.Context(), "/a/torn", "/a/moved"); err != nil {
		t.Fatal(err)
	}
	m.Crash(func(name string, data []byte) []byte {
		if name == "/a/gone" {
			return nil
		}
		return data[:1]
	})
	files := m.Files()
	if len(files) != 2 || string(files["/a/settled"]) != "1" || string(files["/a/moved"]) != "3" {
		t.Errorf("left: %q", files)
	}
}
