package taskmanager

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// cgroups is the part of the control groups (version 2) that this taskmanager has been given, in which each worker gets a group with a
// limit of memory that the kernel enforces:
//
//	<the taskmanager's own group>      memory enabled for what is below
//	    taskmanager-<incarnation>      the taskmanager itself: a group that has groups below it may have no process
//	    worker-<job>-<incarnation>     one for each worker process
//
// It is used only where the group was delegated to this process alone: moving another's processes is not ours to do.
type cgroups struct {
	dir  string // the taskmanager's own group
	own  string // where the taskmanager itself was moved to
	name string // of the incarnation
}

// openCgroups takes the taskmanager's own group over, or says why it cannot.
func openCgroups(name string) (*cgroups, error) {
	self, err := os.ReadFile(selfCgroup)
	if err != nil {
		return nil, err
	}
	return takeCgroup(cgroupMount, self, os.Getpid(), name)
}

func takeCgroup(mount string, self []byte, pid int, name string) (*cgroups, error) {
	_, inside, ok := strings.Cut("\n"+string(self), "\n0::")
	if !ok {
		return nil, errors.New("the system has no control groups of version 2")
	}
	inside, _, _ = strings.Cut(inside, "\n")
	c := &cgroups{dir: filepath.Join(mount, inside), name: name[:min(8, len(name))]}
	if have, err := words(c.file("cgroup.controllers")); err != nil || !slices.Contains(have, "memory") {
		return nil, fmt.Errorf("the control group %s does not limit memory", c.dir)
	}
	procs, err := words(c.file("cgroup.procs"))
	if err != nil {
		return nil, err
	}
	if !slices.Equal(procs, []string{strconv.Itoa(pid)}) {
		return nil, fmt.Errorf("the control group %s is not this process's alone", c.dir)
	}
	c.own = c.file("taskmanager-" + c.name)
	if err := os.Mkdir(c.own, 0o755); err != nil {
		return nil, err
	}
	if err := put(filepath.Join(c.own, "cgroup.procs"), strconv.Itoa(pid)); err != nil {
		os.Remove(c.own)
		return nil, err
	}
	if err := put(c.file("cgroup.subtree_control"), "+memory"); err != nil {
		c.close(pid)
		return nil, err
	}
	return c, nil
}

func (c *cgroups) file(name string) string { return filepath.Join(c.dir, name) }

// close undoes what openCgroups did, as far as the kernel lets it.
func (c *cgroups) close(pid int) {
	put(c.file("cgroup.subtree_control"), "-memory")
	put(c.file("cgroup.procs"), strconv.Itoa(pid))
	os.Remove(c.own)
}

// words are those of a file.
func words(name string) ([]string, error) {
	b, err := os.ReadFile(name)
	return strings.Fields(string(b)), err
}

// put writes a control file, which takes each value in one write.
func put(name, value string) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// group is the control group of one worker process.
type group struct {
	dir string
	max int64
}

// worker makes the group of a worker of a job, with a limit in bytes.
func (c *cgroups) worker(job string, limit int64) (*group, error) {
	g := &group{}
	var err error
	if g.dir, err = os.MkdirTemp(c.dir, "worker-"+job[:min(8, len(job))]+"-"+c.name+"-"); err != nil {
		return nil, err
	}
	if err = g.prepare(limit); err != nil {
		os.Remove(g.dir)
		return nil, err
	}
	return g, nil
}

func (g *group) prepare(limit int64) error {
	// Swapped-out state would be worse than none, and what the worker has started ends with it. Older kernels have no such files.
	for file, value := range map[string]string{"memory.swap.max": "0", "memory.oom.group": "1"} {
		if err := put(filepath.Join(g.dir, file), value); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return g.limit(limit)
}

// limit sets the limit of memory.
func (g *group) limit(bytes int64) error {
	g.max = bytes
	return put(filepath.Join(g.dir, "memory.max"), strconv.FormatInt(bytes, 10))
}

// add moves a process that has just been started into the group. Starting it there needs a system call that containers often forbid.
func (g *group) add(pid int) error {
	return put(filepath.Join(g.dir, "cgroup.procs"), strconv.Itoa(pid))
}

// killed reports whether the kernel has ended a process of the group for its memory.
func (g *group) killed() bool {
	b, err := os.ReadFile(filepath.Join(g.dir, "memory.events"))
	if err != nil {
		return false
	}
	for line := range bytes.Lines(b) {
		if n, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("oom_kill ")); ok {
			return string(n) != "0"
		}
	}
	return false
}

// close removes the group; its processes are gone.
func (g *group) close() { os.Remove(g.dir) }
