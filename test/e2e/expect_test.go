package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

func atLeastCheckpoints(n int64) func(*thalwegv1.JobInfo) bool {
	return func(i *thalwegv1.JobInfo) bool { return i.Checkpoints.GetCompleted() >= n }
}

func waits(i *thalwegv1.JobInfo) bool { return i.WaitingFor != "" }

var combined = regexp.MustCompile(`^\S+ \S+ \S+ \[([^\]]+)\] "(?:[^"\\]|\\.)*" (\d{3}) (\d+|-)`)

// minute is a line of accesslog's output.
type minute struct {
	Minute   time.Time `json:"minute"`
	Class    string    `json:"class"`
	Requests int64     `json:"requests"`
	Bytes    int64     `json:"bytes"`
}

// plainAccessLog does in one loop what the job does, and gives the lines that it must write, sorted.
func plainAccessLog(t *testing.T, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]*minute{}
	for line := range strings.Lines(string(b)) {
		m := combined.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("not a line of a combined log: %q", line)
		}
		at, err := time.Parse("02/Jan/2006:15:04:05 -0700", m[1])
		if err != nil {
			t.Fatal(err)
		}
		at = at.UTC().Truncate(time.Minute)
		class := m[2][:1] + "xx"
		k := fmt.Sprint(at, class)
		if sums[k] == nil {
			sums[k] = &minute{Minute: at, Class: class}
		}
		n, _ := strconv.ParseInt(m[3], 10, 64) // "-" is none
		sums[k].Requests++
		sums[k].Bytes += n
	}
	var lines []string
	for _, s := range sums {
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(b))
	}
	slices.Sort(lines)
	return lines
}
