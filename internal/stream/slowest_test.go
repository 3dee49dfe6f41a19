package stream

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

// TestReadersHearOfTheSlowest in their own process and in another: what a reader says reaches its coordinator, and what that says reaches the reader, which is
// polled again.
func TestReadersHearOfTheSlowest(t *testing.T) {
	for _, where := range []map[string]int{{}, {"r0": 1, "s": 1}} {
		t.Run(fmt.Sprint(where), func(t *testing.T) {
			r := newRec()
			heard := map[int]int64{} // by reader; with r's lock
			o := &options{limit: 64, say: []byte("event")}
			o.heard = func(reader int, event []byte, c *CoordinatorContext) {
				if !bytes.Equal(event, o.say) {
					t.Errorf("reader %d said %q", reader, event)
				}
				of, first := c.Of(0)
				if of.Readers != 1 || first != 0 {
					t.Errorf("the only edge leads to %d readers from %d on", of.Readers, first)
				}
				of.Slowest(0, int64(-7-reader))
			}
			o.slowest = func(reader int, at int64) { r.do(func() { heard[reader] = at }) }
			hs := start(t, o, r, where, 2, nil)
			if !r.wait(t, "word", 10*time.Second, func() bool { return heard[0] == -7 && heard[1] == -8 }) {
				t.Fatalf("heard %v", heard)
			}
			if !r.wait(t, "ended", 10*time.Second, r.all(thalwegv1.TaskState_TASK_STATE_ENDED, everyone...)) {
				t.Fatalf("not ended: %v", r.states)
			}
			for _, h := range hs {
				h.Close()
			}
		})
	}
}

// TestOnlyTheNewestSlowestWaits: a reader that is held up for long has one word of its group to take, in its place among what else comes.
func TestOnlyTheNewestSlowestWaits(t *testing.T) {
	c := newInChannel(&task{wake: make(chan struct{}, 1)}, 0)
	for i := range int64(1000) {
		c.put(element{kind: slowest, at: i})
	}
	c.put(element{kind: noMoreSplits})
	c.put(element{kind: slowest, at: 2000})
	c.put(element{kind: slowest, at: 2001})
	var got []string
	for range c.size.Load() {
		e, ok, err := c.take()
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		got = append(got, fmt.Sprint(e.kind, e.at))
	}
	if _, ok, _ := c.take(); ok {
		t.Error("there is more than the channel says")
	}
	want := []string{fmt.Sprint(slowest, int64(999)), fmt.Sprint(noMoreSplits, int64(0)), fmt.Sprint(slowest, int64(2001))}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
