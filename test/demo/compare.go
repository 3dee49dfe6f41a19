package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/thalweg-io/thalweg/connector/probe"
)

// sums is one line of the job's output.
type sums struct {
	Requests int64 `json:"requests"`
	Bytes    int64 `json:"bytes"`
}

// compare prints the gap in the processing around each fault and whether the committed output is right.
func (d *demo) compare(input string) error {
	logs, err := probe.ReadAll(filepath.Join(d.dir, "probes"))
	if err != nil {
		return err
	}
	fmt.Println("\nlongest time without a record at any subtask, in the 2 s before and the 5 s after:")
	for _, f := range d.faults {
		at := probe.Stamp(f.at)
		fmt.Printf("  %-45s %7.1f ms %8.1f ms\n", f.what, longest(logs, at-int64(2*time.Second), at), longest(logs, at, at+int64(5*time.Second)))
	}
	got, err := committed(filepath.Join(d.dir, "out"))
	if err != nil {
		return err
	}
	want, err := count(input)
	if err != nil {
		return err
	}
	wrong := 0
	requests := int64(0)
	for k, w := range want {
		if got[k] != w {
			wrong++
			fmt.Printf("  %s: committed %+v, counted %+v\n", k, got[k], w)
		}
		requests += w.Requests
	}
	if wrong > 0 || len(got) != len(want) {
		return fmt.Errorf("the committed output differs from an independent count: %d of %d sums are wrong, %d were committed", wrong, len(want), len(got))
	}
	fmt.Printf("\nThe committed output equals an independent count: %d sums over %d requests, each request counted exactly once.\n", len(want), requests)
	return nil
}

func longest(logs []*probe.Log, from, to int64) float64 {
	gaps := probe.Gaps(logs, from, to)
	if len(gaps) == 0 {
		return 0
	}
	return float64(gaps[0].Length()) / float64(time.Millisecond)
}

// committed reads what a reader of the directory sees: files whose names begin with neither a dot nor an underscore.
func committed(dir string) (map[string]sums, error) {
	all := map[string]sums{}
	return all, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if hidden := strings.HasPrefix(e.Name(), ".") || strings.HasPrefix(e.Name(), "_"); hidden || e.IsDir() {
			if hidden && e.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(b)) {
			var r struct {
				Minute time.Time `json:"minute"`
				Class  string    `json:"class"`
				sums
			}
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				return fmt.Errorf("%s: %q: %w", path, line, err)
			}
			k := r.Minute.UTC().Format("2006-01-02 15:04 ") + r.Class
			if _, twice := all[k]; twice {
				return fmt.Errorf("%s was committed twice", k)
			}
			all[k] = r.sums
		}
		return nil
	})
}

var combined = regexp.MustCompile(`^\S+ \S+ \S+ \[([^\]]+)\] "(?:[^"\\]|\\.)*" (\d{3}) (\d+|-)`)

// count does in one loop over the file what the job does on a cluster.
func count(input string) (map[string]sums, error) {
	f, err := os.Open(input)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all := map[string]sums{}
	for s := bufio.NewScanner(f); s.Scan(); {
		m := combined.FindStringSubmatch(s.Text())
		if m == nil {
			return nil, fmt.Errorf("not a line of a combined log: %q", s.Text())
		}
		at, err := time.Parse("02/Jan/2006:15:04:05 -0700", m[1])
		if err != nil {
			return nil, err
		}
		n, _ := strconv.ParseInt(m[3], 10, 64) // "-" is none
		k := at.UTC().Format("2006-01-02 15:04 ") + m[2][:1] + "xx"
		v := all[k]
		v.Requests++
		v.Bytes += n
		all[k] = v
	}
	return all, nil
}
