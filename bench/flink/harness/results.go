package harness

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Result is what a job that kept its results has left when it has ended: the rows that were added and not taken away again, sorted.
func (r *Running) Result() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(r.results, "*"))
	if err != nil {
		return nil, err
	}
	left := map[string]int{}
	for _, file := range files {
		if err := fold(file, left); err != nil {
			return nil, err
		}
	}
	var rows []string
	for row, n := range left {
		// The subtasks' files are read one after the other, so a row may be taken away before it was added, but not in the end.
		if n < 0 {
			return nil, fmt.Errorf("flink: the result takes row %q away more often than it adds it", row)
		}
		for range n {
			rows = append(rows, row)
		}
	}
	slices.Sort(rows)
	return rows, nil
}

// fold adds the changes of a file: "+row" and "-row".
func fold(file string, left map[string]int) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		row, added := strings.CutPrefix(lines.Text(), "+")
		n := 1
		if !added {
			var removed bool
			if row, removed = strings.CutPrefix(row, "-"); !removed {
				return fmt.Errorf("flink: %s: line %q is neither +row nor -row", file, row)
			}
			n = -1
		}
		left[row] += n
		if left[row] == 0 {
			delete(left, row)
		}
	}
	return lines.Err()
}
