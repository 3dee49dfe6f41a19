package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/thalweg-io/thalweg/internal/job"
)

const storageHost = 98

// storage holds checkpoint files. Names are written once. Faults: errors, stalls, and files that are lost when a write fails
// half-way are simply not there.
type storage struct {
	s       *Sim
	files   map[string]any
	failing bool
	stalled bool
	held    []func()
}

var errStorage = errors.New("storage: input/output error")

// metadata is the content of a _metadata file.
type metadata struct {
	id      int64
	entries []metadataEntry
}

type metadataEntry struct {
	task job.TaskID
	path string
}

// do performs an operation after a while, and answers after another, if the process still lives.
func (st *storage) do(p *proc, op func() error, answer func(error)) {
	run := func() {
		err := errStorage
		bad := st.s.o.badWrites > 0 && !st.s.healed && st.s.rng.IntN(1000) < st.s.o.badWrites
		if !st.failing && !bad && !st.s.cut(p.host, storageHost) {
			err = op()
		}
		st.s.after(st.s.between(200*time.Microsecond, 4*time.Millisecond), p, func() { answer(err) })
	}
	st.s.after(st.s.between(500*time.Microsecond, 15*time.Millisecond), nil, func() {
		if st.stalled {
			st.held = append(st.held, run)
			return
		}
		run()
	})
}

func (st *storage) stall(on bool) {
	st.stalled = on
	if !on {
		held := st.held
		st.held = nil
		for _, run := range held {
			run()
		}
	}
}

func (st *storage) write(p *proc, path string, content any, answer func(error)) {
	st.do(p, func() error {
		if st.files[path] != nil {
			st.s.fail("C7: file %s is written twice", path)
		}
		st.files[path] = content
		return nil
	}, answer)
}

func (st *storage) read(p *proc, path string, answer func(any, error)) {
	var got any
	st.do(p, func() error {
		if got = st.files[path]; got == nil {
			return fmt.Errorf("storage: %s: no such file", path)
		}
		return nil
	}, func(err error) { answer(got, err) })
}

// deleteCheckpoints deletes what is chosen but what the retained checkpoints reach.
func (st *storage) deleteCheckpoints(p *proc, chosen func(id int64) bool, retained []int64, answer func(error)) {
	st.do(p, func() error {
		keep := map[string]bool{}
		for _, id := range retained {
			for _, path := range st.reach(id) {
				keep[path] = true
			}
		}
		var paths []string
		for path := range st.files {
			if chosen(checkpointOf(path)) && !keep[path] {
				paths = append(paths, path)
			}
		}
		slices.Sort(paths)
		for _, path := range paths {
			st.s.truth.deleted(path)
			delete(st.files, path)
		}
		return nil
	}, answer)
}

// reach are the files of a checkpoint.
func (st *storage) reach(id int64) []string {
	path := metadataPath(id)
	m, _ := st.files[path].(*metadata)
	paths := []string{path}
	if m != nil {
		for _, e := range m.entries {
			paths = append(paths, e.path)
		}
	}
	return paths
}

func metadataPath(id int64) string { return fmt.Sprintf("chk-%d/_metadata", id) }

func checkpointOf(path string) (id int64) {
	fmt.Sscanf(strings.TrimPrefix(path, "chk-"), "%d", &id)
	return id
}
