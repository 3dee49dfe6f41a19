package files

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/internal/storage"
	"github.com/thalweg-io/thalweg/internal/storage/storagetest"
)

func sourceOf(t rapid.TB, path string, max int, o ...SourceOption) flow.Source[[]byte] {
	s, err := From(path, o...).Frames(flow.Framing{Delimiter: '\n', Max: max})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// drain reads splits to their ends, a batch of size records at a time. After each batch again says whether to close the reader and open another
// at its position, as a restore does.
func drain(t rapid.TB, task *fakeTask, s flow.Source[[]byte], size int, again func() bool) (records []string, faults []string) {
	e, err := s.Enumerator(task, nil)
	if err != nil {
		t.Fatal(err)
	}
	dst := make([][]byte, size)
	for {
		splits, err := e.Next(0, 1)
		if err != nil {
			t.Fatal(err)
		}
		if len(splits) == 0 {
			return records, faults
		}
		r, err := s.Reader(task, splits[0])
		if err != nil {
			t.Fatal(err)
		}
		for ended := false; !ended; {
			n, next, err := r.Read(dst)
			if err != nil {
				t.Fatal(err)
			}
			for i, record := range dst[:n] {
				if record == nil {
					faults = append(faults, r.(flow.FrameReader).Where(i))
					continue
				}
				records = append(records, string(record))
			}
			ended = next.Ended()
			switch {
			case next == flow.WaitWake:
				<-task.wake
			case !ended && again():
				at := r.Position()
				if err := r.Close(); err != nil {
					t.Fatal(err)
				}
				if r, err = s.Reader(task, at); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func write(t rapid.TB, fs storage.FileSystem, name, content string) {
	if err := storage.WriteFile(context.Background(), fs, name, []byte(content)); err != nil {
		t.Fatal(err)
	}
}

// Every record comes once and in order, whatever the size of the splits and batches, and wherever a restore falls.
func TestAnySplitSizeGivesEachRecordOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		fs := storagetest.NewMem()
		const max = 8
		var want, wantFaults []string
		lines := rapid.SliceOfN(rapid.StringMatching(`[a-c]{0,12}`), 0, 60).Draw(rt, "lines")
		content := strings.Join(lines, "\n")
		if rapid.Bool().Draw(rt, "last line ends") && content != "" {
			content += "\n"
		}
		at := 0
		for i, l := range strings.SplitAfter(content, "\n") {
			if l == "" {
				continue
			}
			if line := strings.TrimSuffix(l, "\n"); len(line) <= max {
				want = append(want, line)
			} else {
				wantFaults = append(wantFaults, fmt.Sprintf("/in/f, byte %d,", at))
			}
			at += len(l)
			_ = i
		}
		write(rt, fs, "/in/f", content)
		task := newTask(t, fs)
		s := sourceOf(rt, "/in", max, SplitSize(rapid.Int64Range(1, 100).Draw(rt, "split size")))
		restores := rapid.SliceOfN(rapid.Bool(), 1, 10).Draw(rt, "restores")
		turn := 0
		got, faults := drain(rt, task, s, rapid.IntRange(1, 10).Draw(rt, "batch"), func() bool {
			turn++
			return restores[turn%len(restores)]
		})
		if !slices.Equal(got, want) {
			rt.Fatalf("got %q, want %q", got, want)
		}
		if len(faults) != len(wantFaults) {
			rt.Fatalf("faults %q, want %q", faults, wantFaults)
		}
		for i, f := range faults {
			if !strings.HasPrefix(f, wantFaults[i]) {
				rt.Errorf("fault %q, want %q...", f, wantFaults[i])
			}
		}
	})
}

// Records that lie across blocks, and one that is longer than a block.
func TestRecordsAcrossBlocks(t *testing.T) {
	fs := storagetest.NewMem()
	var want []string
	for i := range 3000 {
		want = append(want, fmt.Sprintf("%d %s", i, strings.Repeat("x", i%500)))
	}
	want = append(want, strings.Repeat("y", 2*blockSize+17))
	write(t, fs, "/f", strings.Join(want, "\n"))
	for _, by := range []int64{1000, blockSize, DefaultSplitSize} {
		got, faults := drain(t, newTask(t, fs), sourceOf(t, "/f", 1<<20, SplitSize(by)), 100, func() bool { return false })
		if !slices.Equal(got, want) || len(faults) > 0 {
			t.Errorf("splits of %d: %d records, want %d; faults %q", by, len(got), len(want), faults)
		}
	}
	// With a limit below, the long one is a fault that is never in memory as a whole.
	got, faults := drain(t, newTask(t, fs), sourceOf(t, "/f", 1000), 100, func() bool { return true })
	if !slices.Equal(got, want[:3000]) || len(faults) != 1 || !strings.Contains(faults[0], "record 3001 of the split") {
		t.Errorf("with a limit: %d records, faults %q", len(got), faults)
	}
}

func TestWhatIsInput(t *testing.T) {
	fs := storagetest.NewMem()
	for _, name := range []string{"/in/a/1.log", "/in/a/2.log", "/in/b/1.log", "/in/a/x.txt", "/in/.hidden", "/in/_success", "/in/a/.pending-1", "/in/odd[1].log", "/other"} {
		write(t, fs, name, name+"\n")
	}
	for _, tc := range []struct {
		path string
		want []string
	}{
		{"/in", []string{"/in/a/1.log", "/in/a/2.log", "/in/a/x.txt", "/in/b/1.log", "/in/odd[1].log"}},
		{"/in/*/1.log", []string{"/in/a/1.log", "/in/b/1.log"}},
		{"/in/[ab]/*.log", []string{"/in/a/1.log", "/in/a/2.log", "/in/b/1.log"}},
		{"/in/?", []string{"/in/a/1.log", "/in/a/2.log", "/in/a/x.txt", "/in/b/1.log"}},
		{"/in/odd[1].log", []string{"/in/odd[1].log"}}, // it exists: no pattern
		{"/other", []string{"/other"}},
	} {
		found, err := find(t.Context(), fs, tc.path)
		if err != nil {
			t.Errorf("%s: %v", tc.path, err)
		}
		var got []string
		for _, f := range found {
			got = append(got, path.Clean(f.Path))
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %q, want %q", tc.path, got, tc.want)
		}
	}
	for _, missing := range []string{"/nowhere", "/in/*.csv", "/nowhere/*"} {
		_, err := sourceOf(t, missing, 100).Enumerator(newTask(t, fs), nil)
		if !errors.Is(err, ErrNoInput) || !strings.Contains(err.Error(), missing) {
			t.Errorf("%s: %v", missing, err)
		}
	}
}

// The enumerator hands the splits out in order, and goes on from a checkpoint with what it had not handed out, even if that is nothing.
func TestEnumeratorGoesOn(t *testing.T) {
	fs := storagetest.NewMem()
	write(t, fs, "/f", strings.Repeat("x", 100))
	s := sourceOf(t, "/f", 100, SplitSize(10))
	e, err := s.Enumerator(newTask(t, fs), nil)
	if err != nil {
		t.Fatal(err)
	}
	if left := len(e.Left()); left != 10 {
		t.Fatalf("%d splits", left)
	}
	for i := range 3 {
		splits, err := e.Next(i, 3)
		if err != nil || len(splits) != 1 {
			t.Fatal(splits, err)
		}
		if p, err := decodeSplit(splits[0]); err != nil || p.From != int64(10*i) {
			t.Errorf("split %d is %+v, %v", i, p, err)
		}
	}
	if err := fs.Remove(t.Context(), "/f"); err != nil {
		t.Fatal(err) // a restored enumerator does not look for the files again
	}
	again, err := s.Enumerator(newTask(t, fs), e.Left())
	if err != nil || len(again.Left()) != 7 {
		t.Fatalf("%v, %v", again, err)
	}
	none, err := s.Enumerator(newTask(t, fs), [][]byte{})
	if err != nil || len(none.Left()) != 0 {
		t.Fatalf("%v, %v", none, err)
	}
}

func TestSplitsDividesTheWholeInput(t *testing.T) {
	fs := storagetest.NewMem()
	write(t, fs, "/in/a", strings.Repeat("x", 1000))
	write(t, fs, "/in/b", strings.Repeat("x", 3000))
	for _, n := range []int{1, 2, 4, 40} {
		e, err := sourceOf(t, "/in", 100, Splits(n)).Enumerator(newTask(t, fs), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(e.Left()); got < n || got > n+2 {
			t.Errorf("Splits(%d): %d splits", n, got)
		}
	}
}

func TestRateWaits(t *testing.T) {
	fs := storagetest.NewMem()
	write(t, fs, "/f", strings.Repeat("x\n", 100))
	task := newTask(t, fs)
	task.parallelism = 2
	r, err := sourceOf(t, "/f", 100, Rate(100)).Reader(task, split{File: "/f", To: 200}.encode())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	dst := make([][]byte, 100)
	for { // the first record is free
		n, next, err := r.Read(dst)
		if err != nil || n > 1 {
			t.Fatal(n, err)
		}
		if n == 1 {
			break
		}
		if next == flow.WaitWake {
			<-task.wake
		}
	}
	begin := time.Now()
	n, next, err := r.Read(dst)
	at, ok := next.Time()
	// 50 a second for each of two subtasks.
	if n != 0 || err != nil || !ok || at.Before(begin) || at.After(begin.Add(40*time.Millisecond)) {
		t.Errorf("%d records, %v, %v", n, next, err)
	}
}

func TestFailuresNameTheFile(t *testing.T) {
	fs := storagetest.Faulty(storagetest.NewMem())
	write(t, fs, "/f", "a\nb\n")
	fs.Add(storagetest.Rule{Op: storagetest.OpRead})
	task := newTask(t, fs)
	r, err := sourceOf(t, "/f", 100).Reader(task, split{File: "/f", To: 4}.encode())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	dst := make([][]byte, 1)
	_, next, err := r.Read(dst)
	for next == flow.WaitWake && err == nil {
		<-task.wake
		_, next, err = r.Read(dst)
	}
	if !errors.Is(err, storage.ErrUnavailable) || !strings.Contains(err.Error(), "/f, byte 0") {
		t.Errorf("%v", err)
	}
}

func TestBadDescriptions(t *testing.T) {
	for _, tr := range []flow.Transport{From(""), From("hdfs://"), From("/x", SplitSize(0)), From("/x", Rate(0)), From("/x", Rate(-1)), From("/x", Splits(0))} {
		if _, err := tr.Frames(flow.Framing{Delimiter: '\n', Max: 1}); err == nil && tr.(*transport).path != "hdfs://" {
			t.Errorf("%+v is fine", tr)
		}
	}
	for _, tr := range []flow.Target{To(""), To("/x", Spool(0))} {
		if _, err := tr.Frames(""); err == nil {
			t.Errorf("%+v is fine", tr)
		}
	}
	for _, bad := range []string{"", "{}", `{"file":"/f","from":3,"to":2}`, `{"file":"/f","from":3,"to":5,"begun":true,"at":1}`, "x"} {
		if _, err := decodeSplit([]byte(bad)); err == nil {
			t.Errorf("%q is a split", bad)
		}
	}
}
