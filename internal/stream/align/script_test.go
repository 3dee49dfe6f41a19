package align

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var rewrite = flag.Bool("rewrite", false, "write the scripts' outputs instead of checking them")

// TestScripts runs testdata/*.txt: "> " begins an event, and what follows is its effects and the channels that are blocked then.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got := runScript(t, string(want))
			if *rewrite {
				if err := os.WriteFile(name, got, 0o644); err != nil {
					t.Fatal(err)
				}
			} else if !bytes.Equal(got, want) {
				t.Errorf("output differs (go test -rewrite shows it in the diff):\n%s", got)
			}
		})
	}
}

func runScript(t *testing.T, script string) []byte {
	t.Helper()
	var out bytes.Buffer
	var a *Aligner
	for line := range strings.Lines(script) {
		line = strings.TrimRight(line, "\n")
		if !strings.HasPrefix(line, "> ") {
			if line == "" || strings.HasPrefix(line, "#") {
				fmt.Fprintln(&out, line)
			}
			continue
		}
		fmt.Fprintln(&out, line)
		f := strings.Fields(line[2:])
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
			continue
		}
		kinds := map[string]Kind{"arrived": Arrived, "triggered": Triggered, "cancel": CancelMarker, "finished": Finished, "lost": Lost,
			"aborted": Aborted, "expired": Expired, "acknowledged": Acknowledged, "failed": Failed}
		kind, ok := kinds[f[0]]
		if !ok {
			t.Fatalf("unknown event: %s", line)
		}
		e := a.Step(Event{Kind: kind, Channel: int(v["channel"]), ID: v["id"], Session: uint64(v["session"]),
			Barrier: Barrier{Epoch: uint64(v["epoch"]), ID: v["id"], Deadline: time.Second}})
		write(&out, a, e)
	}
	return out.Bytes()
}

func write(out *bytes.Buffer, a *Aligner, e Effects) {
	if e.Cancel != 0 {
		fmt.Fprintf(out, "  cancel marker for %d downstream\n", e.Cancel)
	}
	for _, id := range e.Earlier {
		fmt.Fprintf(out, "  decline %d as well\n", id)
	}
	if e.Decline != 0 {
		fmt.Fprintf(out, "  decline %d: %q late=%v\n", e.Decline, e.Reason, e.Late)
	}
	if e.Deadline != 0 {
		fmt.Fprintf(out, "  deadline of %d\n", e.Deadline)
	}
	if e.Snapshot != nil {
		fmt.Fprintf(out, "  snapshot %d of epoch %d, then its barrier\n", e.Snapshot.ID, e.Snapshot.Epoch)
	}
	for c := range a.channels {
		if a.Blocked(c) {
			fmt.Fprintf(out, "  channel %d is blocked\n", c)
		}
	}
}
