package align

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/internal/golden"
)

// TestScripts runs testdata/*.txt: "> " begins an event, and what follows is its effects and the channels that are blocked then.
func TestScripts(t *testing.T) {
	kinds := map[string]Kind{"arrived": Arrived, "triggered": Triggered, "cancel": CancelMarker, "finished": Finished, "lost": Lost,
		"aborted": Aborted, "expired": Expired, "acknowledged": Acknowledged, "failed": Failed}
	golden.Scripts(t, "testdata/*.txt", func(t *testing.T, script string) string {
		var a *Aligner
		return golden.Lines(script, func(line string) string {
			f := strings.Fields(strings.TrimPrefix(line, ">"))
			v := map[string]int64{"session": 1, "epoch": 1}
			for _, w := range f[1:] {
				k, n, _ := strings.Cut(w, "=")
				x, err := strconv.ParseInt(n, 10, 64)
				if err != nil {
					t.Fatalf("%s: %v", line, err)
				}
				v[k] = x
			}
			if f[0] == "new" {
				a = New(int(v["channels"]), v["restored"])
				return ""
			}
			kind, ok := kinds[f[0]]
			if !ok {
				t.Fatalf("unknown event: %s", line)
			}
			return effects(a, a.Step(Event{Kind: kind, Channel: int(v["channel"]), ID: v["id"], Session: uint64(v["session"]),
				Barrier: Barrier{Epoch: uint64(v["epoch"]), ID: v["id"], Deadline: time.Second}}))
		})
	})
}

func effects(a *Aligner, e Effects) string {
	var out strings.Builder
	if e.Cancel != 0 {
		fmt.Fprintf(&out, "cancel marker for %d downstream\n", e.Cancel)
	}
	for _, id := range e.Earlier {
		fmt.Fprintf(&out, "decline %d as well\n", id)
	}
	if e.Decline != 0 {
		fmt.Fprintf(&out, "decline %d: %q late=%v\n", e.Decline, e.Reason, e.Late)
	}
	if e.Deadline != 0 {
		fmt.Fprintf(&out, "deadline of %d\n", e.Deadline)
	}
	if e.Snapshot != nil {
		fmt.Fprintf(&out, "snapshot %d of epoch %d, then its barrier\n", e.Snapshot.ID, e.Snapshot.Epoch)
	}
	for c := range a.channels {
		if a.Blocked(c) {
			fmt.Fprintf(&out, "channel %d is blocked\n", c)
		}
	}
	return out.String()
}
