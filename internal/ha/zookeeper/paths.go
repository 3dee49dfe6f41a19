package zookeeper

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/thalweg-io/thalweg/internal/ha"
)

// paths are the znodes of one cluster; base is "<root>/<cluster id>".
type paths struct{ base string }

func (p paths) latches() string        { return p.base + "/leader/latch" }
func (p paths) latch(n string) string  { return p.base + "/leader/latch/" + n }
func (p paths) epoch() string          { return p.base + "/leader/epoch" }
func (p paths) connectionInfo() string { return p.base + "/leader/connection_info" }
func (p paths) key(k string) string    { return p.base + "/" + k }

// directories are what has to exist before a latch can be made, parents first.
func (p paths) directories() []string {
	return append(ancestors(p.latches()), p.latches())
}

// ancestors lists the directories above path, the highest first.
func ancestors(path string) []string {
	var all []string
	for i := 1; i < len(path); i++ {
		if path[i] == '/' {
			all = append(all, path[:i])
		}
	}
	return all
}

// latchName is the name that a contender asks for; the server appends ten digits. The protection id in it is the incarnation,
// so that a create whose answer was lost is found again, and no other process's latch is ever taken for one's own.
func latchName(me ha.Incarnation) string { return "_c_" + string(me) + "-latch-" }

// latchSequence reads the number that the server appended. It is an int32 that wraps; then it has a sign.
func latchSequence(name string) (int32, bool) {
	i := strings.LastIndex(name, "-latch-")
	if i < 0 {
		return 0, false
	}
	n, err := strconv.ParseInt(name[i+len("-latch-"):], 10, 32)
	return int32(n), err == nil
}

// compareLatches orders by sequence number; the difference of two is what counts once the numbers have wrapped.
func compareLatches(a, b string) int {
	x, _ := latchSequence(a)
	y, _ := latchSequence(b)
	switch d := x - y; {
	case d < 0:
		return -1
	case d > 0:
		return 1
	}
	return strings.Compare(a, b)
}

// cleanRoot checks the configured root and cluster id and joins them.
func cleanRoot(root, cluster string) (paths, error) {
	join := ""
	for _, part := range []struct{ key, value string }{
		{"high-availability.zookeeper.path.root", root},
		{"high-availability.cluster-id", cluster},
	} {
		value := strings.Trim(part.value, "/")
		if value == "" {
			return paths{}, fmt.Errorf("%s: %w: %q names no znode; give a path such as /thalweg", part.key, ha.ErrBadPath, part.value)
		}
		for _, element := range strings.Split(value, "/") {
			if element == "" || element == "." || element == ".." || strings.ContainsFunc(element, func(r rune) bool {
				return r < 0x20 || r >= 0x7f && r <= 0x9f || r >= 0xd800 && r <= 0xf8ff || r >= 0xfff0
			}) {
				return paths{}, fmt.Errorf("%s: %w: %q has the element %q, which ZooKeeper does not take", part.key, ha.ErrBadPath, part.value, element)
			}
		}
		join += "/" + value
	}
	if strings.HasPrefix(join, "/zookeeper/") {
		return paths{}, fmt.Errorf("high-availability.zookeeper.path.root: %w: %q is ZooKeeper's own; use another root", ha.ErrBadPath, root)
	}
	return paths{join}, nil
}
