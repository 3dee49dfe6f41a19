package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/connector/probe"
	"github.com/thalweg-io/thalweg/examples/internal/combined"
	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/internal/worker/local"
)

type minuteClass struct {
	minute int64 // seconds since 1970
	class  string
}

type sums struct{ requests, bytes int64 }

var combinedLine = regexp.MustCompile(`^\S+ \S+ \S+ \[([^\]]+)\] "(?:[^"\\]|\\.)*" (\d)\d\d (\d+|-)`)

// count reads the log in another way than the job does. It also tells how far out of order it is.
func count(t *testing.T) (want map[minuteClass]sums, behind time.Duration) {
	f, err := os.Open("access.log")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want = map[minuteClass]sums{}
	var newest time.Time
	for s := bufio.NewScanner(f); s.Scan(); {
		m := combinedLine.FindStringSubmatch(s.Text())
		if m == nil {
			t.Fatalf("line %q", s.Text())
		}
		at, err := time.Parse("02/Jan/2006:15:04:05 -0700", m[1])
		if err != nil {
			t.Fatal(err)
		}
		if at.After(newest) {
			newest = at
		}
		behind = max(behind, newest.Sub(at))
		size, _ := strconv.ParseInt(m[3], 10, 64)
		k := minuteClass{at.Unix() / 60 * 60, m[2] + "xx"}
		v := want[k]
		want[k] = sums{v.requests + 1, v.bytes + size}
	}
	return want, behind
}

func TestEqualsAnIndependentCount(t *testing.T) {
	want, behind := count(t)
	if behind >= combined.Bound {
		t.Errorf("the log is out of order by %v, and the job allows less than %v", behind, combined.Bound)
	}
	for _, o := range []options{{parallelism: 1}, {parallelism: 2, splits: 7}, {parallelism: 4, splits: 4, probe: t.TempDir()}} {
		t.Run(fmt.Sprintf("parallelism %d, splits %d", o.parallelism, o.splits), func(t *testing.T) {
			o.input, o.output = "access.log", t.TempDir()
			g, err := flow.Build("accesslog", 1, o.build)
			if err != nil {
				t.Fatal(err)
			}
			if err := local.Run(t.Context(), g, local.Options{}); err != nil {
				t.Fatal(err)
			}
			if got := read(t, o.output); !reflect.DeepEqual(got, want) {
				t.Errorf("%d sums, want %d: %v", len(got), len(want), got)
			}
			if o.probe == "" {
				return
			}
			logs, err := probe.ReadAll(o.probe)
			if err != nil {
				t.Fatal(err)
			}
			if n := probe.Records(logs, 0, probe.Now()); n != 10_000 {
				t.Errorf("the probe saw %d records", n)
			}
		})
	}
}

func read(t *testing.T, dir string) map[minuteClass]sums {
	names, err := filepath.Glob(filepath.Join(dir, "part-*.json"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[minuteClass]sums{}
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			var m Minute
			if err := json.Unmarshal(s.Bytes(), &m); err != nil {
				t.Fatal(err)
			}
			k := minuteClass{m.Minute.Unix(), m.Class}
			if _, twice := got[k]; twice {
				t.Errorf("%v was given twice", k)
			}
			got[k] = sums{m.Requests, m.Bytes}
		}
	}
	return got
}
