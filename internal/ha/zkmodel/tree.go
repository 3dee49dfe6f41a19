package zkmodel

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/thalweg-io/thalweg/internal/ha/zookeeper"
)

// tree is one server's nodes by path; the root is "".
type tree map[string]*node

type node struct {
	data     []byte
	version  int32
	owner    int64
	children map[string]bool
	sequence int32 // of the next sequential child
	modified int   // zxid of the last change of data
	family   int   // zxid of the last change of children
}

func (n *node) stat() zookeeper.Stat {
	return zookeeper.Stat{Version: n.version, EphemeralOwner: n.owner, NumChildren: int32(len(n.children))}
}

// txn is what one transaction changes, in order. It was checked: applying it never fails.
type txn []change

type change struct {
	kind  zookeeper.OpKind // Create, Set, Delete
	path  string           // with the digits of a sequential node
	data  []byte
	owner int64
}

func newTree() tree { return tree{"": {children: map[string]bool{}}} }

func parent(path string) string { return path[:strings.LastIndexByte(path, '/')] }
func base(path string) string   { return path[strings.LastIndexByte(path, '/')+1:] }

func (t tree) apply(zxid int, x txn) {
	for _, c := range x {
		switch c.kind {
		case zookeeper.Create:
			t[c.path] = &node{data: c.data, owner: c.owner, children: map[string]bool{}, modified: zxid, family: zxid}
			p := t[parent(c.path)]
			p.children[base(c.path)] = true
			p.sequence++
			p.family = zxid
		case zookeeper.Set:
			n := t[c.path]
			n.data, n.modified = c.data, zxid
			n.version++
		case zookeeper.Delete:
			delete(t, c.path)
			p := t[parent(c.path)]
			delete(p.children, base(c.path))
			p.family = zxid
		}
	}
}

// ephemerals lists a session's nodes.
func (t tree) ephemerals(session int64) []string {
	var paths []string
	for _, path := range slices.Sorted(maps.Keys(t)) {
		if t[path].owner == session {
			paths = append(paths, path)
		}
	}
	return paths
}

// check decides a write against this tree without changing it.
func (t tree) check(session int64, r zookeeper.Request) (txn, zookeeper.Response, error) {
	if r.Kind != zookeeper.Multi {
		v := view{tree: t, changed: map[string]*node{}}
		c, resp, err := v.one(session, r)
		return c, resp, err
	}
	v := view{tree: t, changed: map[string]*node{}}
	var all txn
	for i, op := range r.Ops {
		c, _, err := v.one(session, op)
		if err != nil {
			return nil, zookeeper.Response{Failed: i}, err
		}
		all = append(all, c...)
	}
	return all, zookeeper.Response{}, nil
}

// view is the tree as the earlier operations of a multi have left it; a nil entry is a deleted node.
type view struct {
	tree    tree
	changed map[string]*node
}

func (v view) get(path string) *node {
	if n, ok := v.changed[path]; ok {
		return n
	}
	return v.tree[path]
}

// edit gives a private copy of a node.
func (v view) edit(path string) *node {
	if n, ok := v.changed[path]; ok {
		return n
	}
	n := *v.tree[path]
	n.children = maps.Clone(n.children)
	v.changed[path] = &n
	return &n
}

func (v view) one(session int64, r zookeeper.Request) (txn, zookeeper.Response, error) {
	n := v.get(r.Path)
	refuse := func(err error) (txn, zookeeper.Response, error) {
		return nil, zookeeper.Response{}, fmt.Errorf("%s: %w", r.Path, err)
	}
	if n == nil && r.Kind != zookeeper.Create {
		return refuse(zookeeper.ErrNoNode)
	}
	if r.Kind != zookeeper.Create && r.Version >= 0 && r.Version != n.version {
		return refuse(zookeeper.ErrBadVersion)
	}
	switch r.Kind {
	case zookeeper.Check:
		return nil, zookeeper.Response{}, nil
	case zookeeper.Set:
		n = v.edit(r.Path)
		n.version++
		return txn{{kind: zookeeper.Set, path: r.Path, data: slices.Clone(r.Data)}}, zookeeper.Response{Stat: n.stat()}, nil
	case zookeeper.Delete:
		if len(n.children) > 0 {
			return refuse(zookeeper.ErrNotEmpty)
		}
		delete(v.edit(parent(r.Path)).children, base(r.Path))
		v.changed[r.Path] = nil
		return txn{{kind: zookeeper.Delete, path: r.Path}}, zookeeper.Response{}, nil
	case zookeeper.Create:
		path, up := r.Path, v.get(parent(r.Path))
		if up == nil || up.owner != 0 {
			return refuse(zookeeper.ErrNoNode)
		}
		if r.Sequential {
			path = fmt.Sprintf("%s%010d", path, up.sequence)
		}
		if v.get(path) != nil {
			return refuse(zookeeper.ErrNodeExists)
		}
		c := change{kind: zookeeper.Create, path: path, data: slices.Clone(r.Data)}
		if r.Ephemeral {
			c.owner = session
		}
		up = v.edit(parent(path))
		up.children[base(path)] = true
		up.sequence++
		v.changed[path] = &node{owner: c.owner, children: map[string]bool{}}
		return txn{c}, zookeeper.Response{Path: path}, nil
	}
	return refuse(errRequest)
}
