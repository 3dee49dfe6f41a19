package main

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/thalweg-io/thalweg/flow"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestRecordsAreMeasured runs the measurement for a moment: every record that is due is counted once, and none before it was made.
func TestRecordsAreMeasured(t *testing.T) {
	e, err := start(1000, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer e.bed.Close()
	most, err := e.most(100 * time.Millisecond)
	if err != nil || most <= 0 {
		t.Fatalf("without a limit %v records/s, error %v", most, err)
	}
	w, err := e.run(20_000, 500*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if w.records != 10_000 || w.delay.Count() != w.records || w.delay.At(0) <= 0 {
		t.Errorf("%d records of 10000, %d measured, the shortest delay %v", w.records, w.delay.Count(), w.delay.At(0))
	}
	var out strings.Builder
	w.print(&out, 20_000)
	if n := strings.Count(out.String(), " ms"); n != 16 {
		t.Errorf("%d figures, want five of records, of the thread and of the difference, and one behind:\n%s", n, out.String())
	}
}

// A source that could not run for a while gives the records that were due meanwhile, with the times at which they were.
func TestWhatIsHeldUpCounts(t *testing.T) {
	s := &source{keys: 10}
	o := &orders{rate: 1000, total: 300}
	s.orders.Store(o)
	held := 200 * time.Millisecond
	r := &reader{source: s, x: 1, orders: o, since: time.Now().Add(-held)}
	dst := make([]event, 1000)
	n, _, err := r.Read(dst)
	if err != nil || n < 200 {
		t.Fatalf("%d records after %v at 1000/s, error %v", n, held, err)
	}
	for i, e := range dst[:n] {
		if due := r.since.UnixNano() + int64(i)*int64(time.Millisecond); e.Created != due {
			t.Fatalf("record %d was made at %d, was due at %d", i, e.Created, due)
		}
	}
	r.since = r.since.Add(-time.Hour)
	m, next, err := r.Read(dst)
	if err != nil || n+m != 300 || next != flow.WaitWake {
		t.Errorf("%d and %d records of 300, then %v, error %v", n, m, next, err)
	}
	if n, next, err = r.Read(dst); n != 0 || next != flow.WaitWake || err != nil {
		t.Errorf("behind the last: %d records, %v, error %v", n, next, err)
	}
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	for want, err := range map[string]error{"-keys 0:": check(0, time.Second), "-time 999ms:": check(1, 999*time.Millisecond)} {
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v, want one of %s", err, want)
		}
	}
	if err := check(1, time.Second); err != nil {
		t.Error(err)
	}
}
