package storagetest

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/thalweg-io/thalweg/internal/storage"
)

// Mem is a file system in memory, scheme "mem", that keeps the whole contract of storage.FileSystem. Several clients may stand on one Mem, each
// from Client, as several processes stand on one HDFS: closing or crashing one leaves the others and the files alone.
type Mem struct {
	disk   *memDisk
	closed bool // guarded by disk.mu
}

// memDisk is the state all clients share.
type memDisk struct {
	mu    sync.Mutex
	nodes map[string]*memNode // by clean path; "/" always
	fresh map[string]bool     // files closed since the last Settle: what Crash may take
	clock int64
}

type memNode struct {
	dir  bool
	data []byte // not changed once the node is in the map
	at   time.Time
}

var _ storage.FileSystem = (*Mem)(nil)

// NewMem returns an empty file system.
func NewMem() *Mem {
	d := &memDisk{nodes: make(map[string]*memNode), fresh: make(map[string]bool)}
	d.nodes["/"] = &memNode{dir: true, at: d.now()}
	return &Mem{disk: d}
}

// now is a clock that only counts, so that a test's files have the same times in every run.
func (d *memDisk) now() time.Time {
	d.clock++
	return time.Unix(1_700_000_000+d.clock, 0)
}

// Client returns another client of the same files.
func (m *Mem) Client() *Mem { return &Mem{disk: m.disk} }

// Settle says that all finished files have reached the disk.
func (m *Mem) Settle() {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	clear(m.disk.fresh)
}

// Crash is a loss of power at the server: keep is asked for each file finished since the last Settle what is left of it: all, a part, or, with
// nil, nothing, not even the name. It is what HDFS may do without dfs.datanode.synconclose. Names are paths ("/a/b"), in order.
func (m *Mem) Crash(keep func(name string, data []byte) []byte) {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	for _, p := range slices.Sorted(maps.Keys(m.disk.fresh)) {
		n, ok := m.disk.nodes[p]
		if !ok {
			continue
		}
		if left := keep(p, slices.Clone(n.data)); left == nil {
			delete(m.disk.nodes, p)
		} else {
			m.disk.nodes[p] = &memNode{data: slices.Clone(left), at: n.at}
		}
	}
	clear(m.disk.fresh)
}

// Files returns the content of every finished file by path.
func (m *Mem) Files() map[string][]byte {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	files := make(map[string][]byte)
	for p, n := range m.disk.nodes {
		if !n.dir {
			files[p] = slices.Clone(n.data)
		}
	}
	return files
}

// begin locks the disk and checks what all calls check. The caller unlocks when the error is nil.
func (m *Mem) begin(ctx context.Context, op, name string) (string, error) {
	scheme, authority, p := storage.Split(name)
	switch {
	case ctx.Err() != nil:
		return "", &storage.Error{Op: op, Path: name, Kind: ctx.Err()}
	case scheme != "" && scheme != "mem" || authority != "" || !strings.HasPrefix(p, "/"):
		return "", &storage.Error{Op: op, Path: name, Kind: storage.ErrInvalidName, Err: errors.New("not a name of the file system in memory")}
	}
	m.disk.mu.Lock()
	if m.closed {
		m.disk.mu.Unlock()
		return "", &storage.Error{Op: op, Path: name, Kind: storage.ErrClosed}
	}
	return storage.Join(p), nil
}

// Create implements storage.FileSystem. Bytes are kept by the Writer until Close.
func (m *Mem) Create(ctx context.Context, name string) (storage.Writer, error) {
	p, err := m.begin(ctx, "create", name)
	if err != nil {
		return nil, err
	}
	defer m.disk.mu.Unlock()
	if m.disk.nodes[p] != nil {
		return nil, &storage.Error{Op: "create", Path: name, Kind: storage.ErrExist}
	}
	if err := m.disk.mkdirAll(storage.Dir(p)); err != nil {
		return nil, &storage.Error{Op: "create", Path: name, Kind: err}
	}
	return &memWriter{ctx: ctx, m: m, name: name, path: p}, nil
}

func (d *memDisk) mkdirAll(p string) error {
	if n := d.nodes[p]; n != nil {
		if !n.dir {
			return storage.ErrNotDirectory
		}
		return nil
	}
	if err := d.mkdirAll(storage.Dir(p)); err != nil {
		return err
	}
	d.nodes[p] = &memNode{dir: true, at: d.now()}
	return nil
}

// Open implements storage.FileSystem.
func (m *Mem) Open(ctx context.Context, name string) (storage.Reader, error) {
	p, err := m.begin(ctx, "open", name)
	if err != nil {
		return nil, err
	}
	defer m.disk.mu.Unlock()
	n := m.disk.nodes[p]
	if n == nil || n.dir {
		return nil, &storage.Error{Op: "open", Path: name, Kind: missingOr(n, storage.ErrIsDirectory)}
	}
	return &memReader{ctx: ctx, m: m, name: name, r: bytes.NewReader(n.data)}, nil
}

func missingOr(n *memNode, otherwise error) error {
	if n == nil {
		return storage.ErrNotExist
	}
	return otherwise
}

// Stat implements storage.FileSystem.
func (m *Mem) Stat(ctx context.Context, name string) (storage.Info, error) {
	p, err := m.begin(ctx, "stat", name)
	if err != nil {
		return storage.Info{}, err
	}
	defer m.disk.mu.Unlock()
	n := m.disk.nodes[p]
	if n == nil {
		return storage.Info{}, &storage.Error{Op: "stat", Path: name, Kind: storage.ErrNotExist}
	}
	return n.info(name), nil
}

func (n *memNode) info(name string) storage.Info {
	return storage.Info{Path: name, Name: storage.Base(name), Size: int64(len(n.data)), ModTime: n.at, Dir: n.dir}
}

// List implements storage.FileSystem.
func (m *Mem) List(ctx context.Context, dir string) ([]storage.Info, error) {
	p, err := m.begin(ctx, "list", dir)
	if err != nil {
		return nil, err
	}
	defer m.disk.mu.Unlock()
	if n := m.disk.nodes[p]; n == nil || !n.dir {
		return nil, &storage.Error{Op: "list", Path: dir, Kind: missingOr(n, storage.ErrNotDirectory)}
	}
	var infos []storage.Info
	for q, n := range m.disk.nodes {
		if q != "/" && storage.Dir(q) == p {
			infos = append(infos, n.info(storage.Join(dir, storage.Base(q))))
		}
	}
	slices.SortFunc(infos, func(a, b storage.Info) int { return strings.Compare(a.Name, b.Name) })
	return infos, nil
}

// Rename implements storage.FileSystem.
func (m *Mem) Rename(ctx context.Context, from, to string) error {
	names := from + " to " + to
	q, err := m.begin(ctx, "rename", to)
	if err != nil {
		return err
	}
	m.disk.mu.Unlock()
	p, err := m.begin(ctx, "rename", from)
	if err != nil {
		return err
	}
	d := m.disk
	defer d.mu.Unlock()
	parent := d.nodes[storage.Dir(q)]
	switch {
	case d.nodes[p] == nil || parent == nil:
		return &storage.Error{Op: "rename", Path: names, Kind: storage.ErrNotExist}
	case d.nodes[q] != nil:
		return &storage.Error{Op: "rename", Path: names, Kind: storage.ErrExist}
	case !parent.dir:
		return &storage.Error{Op: "rename", Path: names, Kind: storage.ErrNotDirectory}
	case strings.HasPrefix(q, p+"/"):
		return &storage.Error{Op: "rename", Path: names, Err: errors.New("a directory cannot be moved into itself")}
	}
	for _, old := range d.below(p) {
		moved := q + strings.TrimPrefix(old, p)
		d.nodes[moved] = d.nodes[old]
		delete(d.nodes, old)
		if d.fresh[old] {
			delete(d.fresh, old)
			d.fresh[moved] = true
		}
	}
	return nil
}

// below returns p and all that is in it.
func (d *memDisk) below(p string) []string {
	var ps []string
	for q := range d.nodes {
		if q == p || strings.HasPrefix(q, strings.TrimSuffix(p, "/")+"/") {
			ps = append(ps, q)
		}
	}
	return ps
}

// Remove implements storage.FileSystem.
func (m *Mem) Remove(ctx context.Context, name string) error {
	p, err := m.begin(ctx, "remove", name)
	if err != nil {
		return err
	}
	defer m.disk.mu.Unlock()
	switch below := m.disk.below(p); {
	case len(below) == 0:
		return &storage.Error{Op: "remove", Path: name, Kind: storage.ErrNotExist}
	case len(below) > 1 || p == "/":
		return &storage.Error{Op: "remove", Path: name, Kind: storage.ErrNotEmpty}
	}
	delete(m.disk.nodes, p)
	return nil
}

// RemoveAll implements storage.FileSystem.
func (m *Mem) RemoveAll(ctx context.Context, name string) error {
	p, err := m.begin(ctx, "remove all of", name)
	if err != nil {
		return err
	}
	defer m.disk.mu.Unlock()
	for _, q := range m.disk.below(p) {
		if q != "/" {
			delete(m.disk.nodes, q)
		}
	}
	return nil
}

// MkdirAll implements storage.FileSystem.
func (m *Mem) MkdirAll(ctx context.Context, dir string) error {
	p, err := m.begin(ctx, "mkdir", dir)
	if err != nil {
		return err
	}
	defer m.disk.mu.Unlock()
	if err := m.disk.mkdirAll(p); err != nil {
		return &storage.Error{Op: "mkdir", Path: dir, Kind: err}
	}
	return nil
}

// Close implements storage.FileSystem for this client; the files stay for the others.
func (m *Mem) Close() error {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	m.closed = true
	return nil
}
