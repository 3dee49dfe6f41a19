package taskmanager

import (
	"bytes"
	"math"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Where Linux says what a process may use.
const (
	cgroupMount = "/sys/fs/cgroup"
	selfCgroup  = "/proc/self/cgroup"
)

// machineMemory is how much memory this process can have at most, in bytes: the machine's, or the least limit of the control groups
// that it is in. 0: unknown.
func machineMemory() int64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	b, _ := os.ReadFile(selfCgroup)
	return min(int64(info.Totalram)*int64(info.Unit), containerMemory(cgroupMount, b))
}

// containerMemory is the least limit of memory of the control groups, version 1 or 2, that a /proc/<pid>/cgroup names, and of those
// above them. A group that cannot be read, as from inside a container those above it, limits nothing that we could know of.
func containerMemory(mount string, self []byte) int64 {
	least := int64(math.MaxInt64)
	for line := range strings.Lines(string(self)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		dir, file := mount, "memory.max"
		switch {
		case parts[1] == "memory":
			dir, file = filepath.Join(mount, "memory"), "memory.limit_in_bytes"
		case parts[0] != "0" || parts[1] != "":
			continue
		}
		for group := path.Clean("/" + parts[2]); ; group = path.Dir(group) {
			if n, err := readNumber(filepath.Join(dir, group, file)); err == nil {
				least = min(least, n)
			}
			if group == "/" {
				break
			}
		}
	}
	return least
}

// readNumber reads a file of one number; "max" is an error like any other text.
func readNumber(name string) (int64, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(string(bytes.TrimSpace(b)), 10, 64)
}
