package probe

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/flow"
)

type task struct {
	flow.Task
	subtask int
	n       uint64
}

func (t task) JobID() string               { return "job" }
func (t task) Subtask() int                { return t.subtask }
func (t task) Generation() flow.Generation { return flow.Generation{Epoch: 3, N: t.n} }

// writeLog stamps records at given times.
func writeLog(t *testing.T, dir string, subtask int, n uint64, stamps ...int64) {
	t.Helper()
	w, err := To[int](dir).Writer(task{subtask: subtask, n: n})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stamps {
		if err := w.(*writer[int]).stamp(s, 2); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

const ms = int64(time.Millisecond)

func TestGaps(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made")
	writeLog(t, dir, 0, 1, 10*ms, 10*ms+100, 10*ms+700, 11*ms, 50*ms, 51*ms)
	writeLog(t, dir, 0, 2, 251*ms, 252*ms) // the next generation of the same subtask
	writeLog(t, dir, 1, 1, 9*ms, 12*ms, 60*ms)
	logs, err := ReadAll(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(logs) != 3 {
		t.Fatalf("%d logs", len(logs))
	}
	if e := logs[0].Entries[0]; e != (Entry{First: 10 * ms, Last: 10*ms + 700, Records: 6, Gap: 600}) {
		t.Errorf("%+v", e)
	}
	if logs[0].Epoch != 3 || logs[0].N != 1 || logs[2].Subtask != 1 {
		t.Errorf("%+v", logs)
	}
	for _, tc := range []struct {
		from, to int64
		want     []Gap
	}{
		{0, 1000 * ms, []Gap{{1, 60 * ms, 1000 * ms}, {0, 252 * ms, 1000 * ms}}}, // both have ended
		{10 * ms, 55 * ms, []Gap{{0, 51 * ms, 251 * ms}, {1, 12 * ms, 60 * ms}}}, // gaps that begin in the window are whole
		{10 * ms, 49 * ms, []Gap{{1, 12 * ms, 60 * ms}, {0, 11 * ms, 50 * ms}}},
		{10*ms + 50, 10*ms + 400, []Gap{{1, 9 * ms, 12 * ms}, {0, 10 * ms, 10*ms + 600}}},
		{0, 9 * ms, nil},
	} {
		if got := Gaps(logs, tc.from, tc.to); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%d to %d ms: %+v, want %+v", tc.from/ms, tc.to/ms, got, tc.want)
		}
	}
	if n := Records(logs, 10*ms, 51*ms); n != 12 {
		t.Errorf("%d records", n)
	}
}

// A log can be read while it is written, and after a writer that was killed in the middle of an entry.
func TestReadsWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	writer, err := To[string](dir).Writer(task{})
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	before := Now()
	if err := writer.Write([]string{"a", "b"}); err != nil {
		t.Fatal(err)
	}
	logs, err := ReadAll(dir)
	if err != nil {
		t.Fatal(err)
	}
	e := logs[0].Entries
	if len(e) != 1 || e[0].Records != 2 || e[0].First < before || e[0].First > Now() {
		t.Errorf("%+v", e)
	}
	if d := time.Since(logs[0].Time(e[0].First)); d < 0 || d > time.Minute {
		t.Errorf("the stamp is %v ago", d)
	}
	if s := Stamp(time.Now()); s < before || s > Now() {
		t.Errorf("stamp %d of now, which is after %d", s, before)
	}
	f, err := os.OpenFile(logs[0].File, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(make([]byte, entrySize-1)); err != nil {
		t.Fatal(err)
	}
	if l, err := Read(logs[0].File); err != nil || len(l.Entries) != 1 {
		t.Errorf("%v, %v", l, err)
	}
	if _, err := f.Write(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, err := Read(logs[0].File); err == nil || !strings.Contains(err.Error(), "entry 1 is damaged") {
		t.Errorf("%v", err)
	}
	for name, content := range map[string]string{"short": magic, "other": strings.Repeat("x", 100)} {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(name); err == nil || !strings.Contains(err.Error(), "is no probe's log") {
			t.Errorf("%v", err)
		}
	}
}

func TestEmptyDirectoryNameStampsNothing(t *testing.T) {
	w, err := To[int]("").Writer(task{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write([]int{1}); err != nil {
		t.Error(err)
	}
}
