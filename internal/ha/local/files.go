package local

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/thalweg-io/thalweg/internal/ha"
)

// files is the store on disk: a path "a/b" is the value store/a.d/b.v, and its children are in store/a.d/b.d/. A path exists if
// and only if its value file does; a directory that was made as needed has an empty value. A file is
//
//	magic "ThV1" | version uint64 big-endian | CRC-32C of version and data, uint32 big-endian | data
//
// Whoever holds the lock is its only reader and writer.
type files struct{ root string }

const (
	valueMagic  = "ThV1"
	valueHeader = 4 + 8 + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// children is the directory of a path's children; "" is the top.
func (f files) children(path string) string {
	dir := f.root
	if path != "" {
		for _, element := range strings.Split(path, "/") {
			dir = filepath.Join(dir, element+".d")
		}
	}
	return dir
}

func (f files) value(path string) string {
	up, name := "", path
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		up, name = path[:i], path[i+1:]
	}
	return filepath.Join(f.children(up), name+".v")
}

// read returns ha.ErrNotFound for a path that does not exist.
func (f files) read(path string) (ha.Value, error) {
	name := f.value(path)
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return ha.Value{}, ha.ErrNotFound
	}
	if err != nil {
		return ha.Value{}, err
	}
	if len(b) < valueHeader || string(b[:4]) != valueMagic {
		return ha.Value{}, fmt.Errorf("%s: not a value of Thalweg: %d bytes without its magic number", name, len(b))
	}
	sum := crc32.Update(crc32.Checksum(b[4:12], castagnoli), castagnoli, b[valueHeader:])
	if sum != binary.BigEndian.Uint32(b[12:]) {
		return ha.Value{}, fmt.Errorf("%s: corrupt: its checksum is %08x, not %08x", name, sum, binary.BigEndian.Uint32(b[12:]))
	}
	return ha.Value{Data: b[valueHeader:], Version: int64(binary.BigEndian.Uint64(b[4:]))}, nil
}

func (f files) list(dir string) ([]string, error) {
	entries, err := os.ReadDir(f.children(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".v"); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, err
}

// write makes or replaces a value, durably. Its directory exists, or its parent's value does.
func (f files) write(path string, version int64, data []byte) error {
	b := make([]byte, valueHeader, valueHeader+len(data))
	copy(b, valueMagic)
	binary.BigEndian.PutUint64(b[4:], uint64(version))
	b = append(b, data...)
	binary.BigEndian.PutUint32(b[12:], crc32.Update(crc32.Checksum(b[4:12], castagnoli), castagnoli, data))
	name := f.value(path)
	if err := makeDir(filepath.Dir(name)); err != nil {
		return err
	}
	return replaceFile(name, b)
}

// remove removes a value and the directory of its children, which is empty, durably. It may be repeated.
func (f files) remove(path string) error {
	if err := os.Remove(f.children(path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	name := f.value(path)
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := syncDir(filepath.Dir(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// makeDir makes a directory and what is above it, durably.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if up := filepath.Dir(dir); up != dir {
		if err := makeDir(up); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

// replaceFile writes a file so that after a crash it has the old content or the new.
func replaceFile(name string, data []byte) error {
	tmp := name + ".tmp" // one writer
	w, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	if err == nil {
		err = w.Sync()
	}
	if err := errors.Join(err, w.Close()); err != nil {
		os.Remove(tmp)
		return err
	}
	if err := os.Rename(tmp, name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
