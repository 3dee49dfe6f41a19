package trial

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/thalweg-io/thalweg/connector/datagen"
)

// Output is what was committed, held against the input.
type Output struct {
	Records, Want                        int64
	Lost, Duplicated, Reordered, Phantom int64
	Example                              string // of one that is wrong
}

// Right reports whether each record is there exactly once, in the order of its key.
func (o *Output) Right() bool {
	return o.Records == o.Want && o.Lost+o.Duplicated+o.Reordered+o.Phantom == 0
}

func (o *Output) String() string {
	if o.Right() {
		return fmt.Sprintf("%d records, each exactly once, in order", o.Records)
	}
	return fmt.Sprintf("%d records, want %d: lost %d, duplicated %d, reordered %d, phantom %d; %s",
		o.Records, o.Want, o.Lost, o.Duplicated, o.Reordered, o.Phantom, o.Example)
}

// check reads the visible files below dir. Every key has the sequence numbers 1..rounds.
func check(dir string, rounds int64) (Output, error) {
	src := datagen.Oracle{Seed: 1, Keys: keys, Partitions: parallelism}
	o := Output{Want: rounds * keys}
	seen := make([]bool, o.Want)
	wrong := func(n *int64, format string, args ...any) {
		*n++
		o.Example = fmt.Sprintf(format, args...)
	}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if hidden := strings.HasPrefix(e.Name(), ".") || strings.HasPrefix(e.Name(), "_"); hidden && e.IsDir() {
			return filepath.SkipDir
		} else if hidden || e.IsDir() {
			return nil
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		last := make([]int64, keys)
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			o.Records++
			var key, payload uint64
			var seq int64
			if _, err := fmt.Sscan(lines.Text(), &key, &seq, &payload); err != nil || key >= keys || seq < 1 || seq > rounds || payload != src.Payload(key, seq) {
				wrong(&o.Phantom, "%s: %q", path, lines.Text())
				continue
			}
			if seq <= last[key] {
				wrong(&o.Reordered, "%s: key %d: %d after %d", path, key, seq, last[key])
			}
			last[key] = seq
			if at := int64(key)*rounds + seq - 1; seen[at] {
				wrong(&o.Duplicated, "%s: key %d: %d again", path, key, seq)
			} else {
				seen[at] = true
			}
		}
		return lines.Err()
	})
	if err != nil {
		return o, err
	}
	for at, s := range seen {
		if !s {
			wrong(&o.Lost, "key %d: %d is missing", int64(at)/rounds, int64(at)%rounds+1)
		}
	}
	return o, nil
}
