package storage

import (
	"crypto/rand"
	"encoding/hex"
	"path"
	"strings"
)

// Split takes a name apart: "hdfs://ns/a/b" is ("hdfs", "ns", "/a/b"), "file:/a" is ("file", "", "/a"), "/a" and "a" have no scheme. The path is
// not decoded: '%', '?' and '#' are characters like any other, as in Hadoop.
func Split(name string) (scheme, authority, p string) {
	colon := strings.IndexByte(name, ':')
	if colon < 2 || !validScheme(name[:colon]) || colon+1 >= len(name) || name[colon+1] != '/' {
		return "", "", name
	}
	scheme, p = strings.ToLower(name[:colon]), name[colon+1:]
	rest, ok := strings.CutPrefix(p, "//")
	if !ok {
		return scheme, "", p
	}
	slash := strings.IndexByte(rest, '/')
	if slash < 0 {
		return scheme, rest, "/"
	}
	return scheme, rest[:slash], rest[slash:]
}

func validScheme(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if (c < 'a' || c > 'z') && (i == 0 || !strings.ContainsRune("0123456789+-.", rune(s[i]))) {
			return false
		}
	}
	return true
}

// Join appends elements to a directory's name and keeps its scheme and authority. The path is cleaned; it does not leave dir's root.
func Join(dir string, elems ...string) string {
	scheme, authority, p := Split(dir)
	p = path.Join(append([]string{p}, elems...)...)
	if scheme == "" {
		return p
	}
	return scheme + "://" + authority + path.Join("/", p)
}

// Dir is the name of the directory that name is in.
func Dir(name string) string { return Join(name, "..") }

// Base is the last element of a name.
func Base(name string) string {
	_, _, p := Split(name)
	return path.Base(p)
}

// Files that are being written stand beside their final name as ".<name>.<16 hex digits>.unfinished". A process that dies leaves them behind;
// they are never listed and go with RemoveAll of their directory.
const unfinishedSuffix = ".unfinished"

// UnfinishedName returns a fresh name, in name's directory, under which an implementation may write name until it is whole.
func UnfinishedName(name string) string {
	return Join(Dir(name), "."+Base(name)+"."+uniqueID()+unfinishedSuffix)
}

// uniqueID returns 16 random hex digits.
func uniqueID() string {
	var id [8]byte
	rand.Read(id[:]) // never fails (crypto/rand)
	return hex.EncodeToString(id[:])
}

// Unfinished says whether base, the last element of a name, was made by UnfinishedName.
func Unfinished(base string) bool {
	rest, ok := strings.CutSuffix(base, unfinishedSuffix)
	if !ok || len(rest) < 1+1+1+16 || rest[0] != '.' || rest[len(rest)-17] != '.' {
		return false
	}
	_, err := hex.DecodeString(rest[len(rest)-16:])
	return err == nil
}
